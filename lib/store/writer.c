/*
 * writer: a list of waiting entries, a thread that stores them, and a list of settled ones.
 *
 * What both threads touch is under the lock. The loop alone knows which entries are unanswered:
 * one that was answered because its time was over stays in the thread's hands until it settles.
 */
#include "store/writer.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/limits.h"
#include "core/log.h"
#include "store/entries.h"
#include "store/mongo.h"

/* libmongoc and its TLS want little of the 8 MiB that a thread gets by default. */
enum { STACK_BYTES = 512 * 1024, MS_IN_NS = 1000000, US_IN_NS = 1000 };

struct item {
	TAILQ_ENTRY(item) next;	      /* among the waiting, or the settled */
	TAILQ_ENTRY(item) unanswered; /* in the order of their coming; the loop's */
	writer_done *done;
	bool is_answered;
	void *context;
	int64_t due_ms;
	enum error_code code;
	struct error *failure; /* NULL if it is stored, or for want of memory */
	struct entry entry;
	char texts[];
};

TAILQ_HEAD(items, item);

struct writer {
	struct writer_options options;
	uv_thread_t thread;
	uv_mutex_t lock;
	uv_cond_t wake;

	/* Under the lock. */
	struct items waiting, settled;
	size_t waiting_count;
	bool closing, ended;
	bool reached; /* the store, at the last time */

	/* The thread's. */
	struct entry *entries;
	struct error *verdicts;

	/* The loop's. */
	uv_async_t async;
	uv_timer_t patience;
	struct items unanswered;
	size_t count, bytes;
	bool well, closed_once;
	int handles;
	void (*closed)(void *context);
	void *closed_context;
};

static size_t item_bytes(const struct item *item)
{
	return item->entry.name.n + item->entry.data.n;
}

/* ---- in the thread ---- */

/* Whether what became of an entry shows that the store is there, or that it is not. */
static bool shows_store(enum error_code code)
{
	return code == ERROR_NONE || code == ERROR_CONFLICT || code == ERROR_PEER_ANSWER ||
	       code == ERROR_PEER_FULL;
}

static bool shows_no_store(enum error_code code)
{
	return code == ERROR_PEER_DOWN || code == ERROR_PEER_TIMEOUT || code == ERROR_CONFIG;
}

static size_t take_batch(struct writer *w, struct items *batch)
{
	size_t count = 0;
	size_t bytes = 0;
	struct item *item;
	while ((item = TAILQ_FIRST(&w->waiting)) && count < w->options.max_batch) {
		bytes += item_bytes(item);
		if (count > 0 && bytes > WRITER_MAX_BATCH_BYTES)
			break;
		TAILQ_REMOVE(&w->waiting, item, next);
		TAILQ_INSERT_TAIL(batch, item, next);
		w->entries[count++] = item->entry;
	}
	w->waiting_count -= count;
	return count;
}

/* Stores a batch, and returns whether the store was there. */
static bool store(struct writer *w, struct items *batch, size_t count)
{
	struct item *item;
	bool there = false;
	bool away = false;
	size_t i = 0;
	memset(w->verdicts, 0, count * sizeof(*w->verdicts));
	w->options.insert(w->entries, count, w->verdicts, NULL);
	TAILQ_FOREACH(item, batch, next)
	{
		const struct error *verdict = &w->verdicts[i++];
		item->code = verdict->code;
		there = there || shows_store(verdict->code);
		away = away || shows_no_store(verdict->code);
		if (verdict->code && (item->failure = malloc(sizeof(*item->failure))))
			*item->failure = *verdict;
	}
	return there || (w->reached && !away);
}

/* How long to wait for entries before the store is asked after; 0: for ever. */
static uint64_t patience_ns(const struct writer *w)
{
	long ms = w->options.ask_ms;
	if (!w->reached)
		ms = PEER_PAUSE_MS;
	return (uint64_t)ms * MS_IN_NS;
}

/* Waits for entries or the end; false if neither came and it is time to ask after the store. */
static bool wait_for_work(struct writer *w)
{
	bool in_time = true;
	uint64_t patience = patience_ns(w);
	while (TAILQ_EMPTY(&w->waiting) && !w->closing && in_time) {
		if (patience == 0)
			uv_cond_wait(&w->wake, &w->lock);
		else
			in_time = uv_cond_timedwait(&w->wake, &w->lock, patience) == 0;
	}
	return in_time;
}

/*
 * A commit costs the store as much as ten entries of it. Where the last batch was of several callers, as
 * many are likely to come again soon: they are waited for, a little.
 */
static void gather(struct writer *w, size_t last)
{
	uint64_t until = uv_hrtime() + w->options.gather_us * US_IN_NS;
	while (last > 1 && w->waiting_count > 0 && w->waiting_count < last && !w->closing) {
		uint64_t now = uv_hrtime();
		if (now >= until || uv_cond_timedwait(&w->wake, &w->lock, until - now) != 0)
			break;
	}
}

static void run(void *context)
{
	struct writer *w = context;
	struct items batch;
	size_t count = 0;
	TAILQ_INIT(&batch);
	uv_mutex_lock(&w->lock);
	for (;;) {
		bool work = wait_for_work(w);
		gather(w, count);
		count = take_batch(w, &batch);
		if (work && count == 0)
			break;
		uv_mutex_unlock(&w->lock);
		bool reached =
			count > 0 ? store(w, &batch, count) : shows_store(w->options.ping(NULL));
		uv_mutex_lock(&w->lock);
		w->reached = reached;
		TAILQ_CONCAT(&w->settled, &batch, next);
		uv_async_send(&w->async);
	}
	w->ended = true;
	uv_async_send(&w->async);
	uv_mutex_unlock(&w->lock);
	if (w->options.insert == entries_insert)
		mongo_close();
}

/* ---- in the loop ---- */

static void answer(struct writer *w, struct item *item, const struct error *e)
{
	item->is_answered = true;
	TAILQ_REMOVE(&w->unanswered, item, unanswered);
	item->done(item->context, e);
}

static void settle(struct writer *w, struct item *item)
{
	struct error e = { .code = item->code };
	if (item->failure)
		e = *item->failure;
	else if (item->code)
		error_set(&e, item->code, "%s", error_sentence(item->code));
	w->count--;
	w->bytes -= item_bytes(item);
	if (!item->is_answered)
		answer(w, item, &e);
	free(item->failure);
	free(item);
}

static void start_patience(struct writer *w);

static void on_patience(uv_timer_t *timer)
{
	static const struct error late = { ERROR_PEER_TIMEOUT,
					   "the log store did not answer in time" };
	struct writer *w = timer->data;
	int64_t now = clock_now_ms();
	struct item *item;
	while ((item = TAILQ_FIRST(&w->unanswered)) && item->due_ms <= now)
		answer(w, item, &late);
	start_patience(w);
}

/* The timer runs until the oldest is due, and looks then which is the oldest. */
static void start_patience(struct writer *w)
{
	const struct item *oldest = TAILQ_FIRST(&w->unanswered);
	if (!oldest || uv_is_active((uv_handle_t *)&w->patience) ||
	    uv_is_closing((uv_handle_t *)&w->patience))
		return;
	/* Never 0: the loop's own clock may be a little behind. */
	uv_timer_start(&w->patience, on_patience, (uint64_t)clock_left_ms(oldest->due_ms) + 1, 0);
}

static void tell_change(struct writer *w, bool reached)
{
	if (w->well == reached)
		return;
	w->well = reached;
	if (reached)
		log_info("the log store is there again");
	else
		log_warning("the log store cannot be reached");
	if (w->options.changed)
		w->options.changed(w->options.context, reached);
}

static void writer_destroy(struct writer *w)
{
	uv_cond_destroy(&w->wake);
	uv_mutex_destroy(&w->lock);
	free(w->entries);
	free(w->verdicts);
	free(w);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct writer *w = handle->data;
	if (--w->handles > 0)
		return;
	void (*closed)(void *) = w->closed;
	void *context = w->closed_context;
	writer_destroy(w);
	closed(context);
}

static void end(struct writer *w)
{
	if (w->closed_once)
		return;
	w->closed_once = true;
	uv_thread_join(&w->thread);
	w->handles = 2;
	uv_close((uv_handle_t *)&w->async, on_handle_closed);
	uv_close((uv_handle_t *)&w->patience, on_handle_closed);
}

static void on_settled(uv_async_t *async)
{
	struct writer *w = async->data;
	struct items settled;
	struct item *item;
	TAILQ_INIT(&settled);
	uv_mutex_lock(&w->lock);
	TAILQ_CONCAT(&settled, &w->settled, next);
	bool reached = w->reached;
	bool ended = w->ended;
	uv_mutex_unlock(&w->lock);
	tell_change(w, reached);
	while ((item = TAILQ_FIRST(&settled))) {
		TAILQ_REMOVE(&settled, item, next);
		settle(w, item);
	}
	if (ended)
		end(w);
}

static struct writer_options with_defaults(const struct writer_options *given)
{
	struct writer_options o = *given;
	o.max_waiting = o.max_waiting ? o.max_waiting : WRITER_MAX_WAITING;
	o.max_bytes = o.max_bytes ? o.max_bytes : WRITER_MAX_BYTES;
	o.max_batch = o.max_batch ? o.max_batch : WRITER_MAX_BATCH;
	o.gather_us = o.gather_us ? o.gather_us : WRITER_GATHER_US;
	o.timeout_ms = o.timeout_ms ? o.timeout_ms : config()->store_timeout_ms;
	o.insert = o.insert ? o.insert : entries_insert;
	o.ping = o.ping ? o.ping : entries_ping;
	return o;
}

struct writer *writer_open(uv_loop_t *loop, const struct writer_options *options)
{
	static const uv_thread_options_t thread_options = { .flags = UV_THREAD_HAS_STACK_SIZE,
							    .stack_size = STACK_BYTES };
	struct writer *w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->options = with_defaults(options);
	w->entries = calloc(w->options.max_batch, sizeof(*w->entries));
	w->verdicts = calloc(w->options.max_batch, sizeof(*w->verdicts));
	w->well = w->reached = true;
	TAILQ_INIT(&w->waiting);
	TAILQ_INIT(&w->settled);
	TAILQ_INIT(&w->unanswered);
	uv_mutex_init(&w->lock);
	uv_cond_init(&w->wake);
	w->async.data = w->patience.data = w;
	if (!w->entries || !w->verdicts || uv_async_init(loop, &w->async, on_settled)) {
		writer_destroy(w);
		return NULL;
	}
	uv_timer_init(loop, &w->patience);
	if (uv_thread_create_ex(&w->thread, &thread_options, run, w)) {
		uv_close((uv_handle_t *)&w->async, NULL);
		uv_close((uv_handle_t *)&w->patience, NULL);
		uv_run(loop, UV_RUN_NOWAIT);
		writer_destroy(w);
		return NULL;
	}
	return w;
}

static struct item *item_new(const struct entry *entry)
{
	size_t name = entry->name.n;
	size_t data = entry->data.n;
	struct item *item = calloc(1, sizeof(*item) + name + data + 2);
	if (!item)
		return NULL;
	memcpy(item->texts, entry->name.s, name);
	memcpy(item->texts + name + 1, entry->data.s, data);
	item->entry = *entry;
	item->entry.name.s = item->texts;
	item->entry.data.s = item->texts + name + 1;
	return item;
}

enum error_code writer_put(struct writer *w, const struct entry *entry, writer_done *done,
			   void *context, struct error *e)
{
	size_t bytes = entry->name.n + entry->data.n;
	if (w->closed)
		return error_set(e, ERROR_PEER_DOWN, "the log server is about to end");
	/* One of any size is taken when there is no other. */
	if (w->count >= w->options.max_waiting ||
	    (w->count > 0 && w->bytes + bytes > w->options.max_bytes))
		return error_set(e, ERROR_PEER_FULL, "too many entries wait to be stored");
	struct item *item = item_new(entry);
	if (!item)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	item->done = done;
	item->context = context;
	item->due_ms = clock_now_ms() + w->options.timeout_ms;
	w->count++;
	w->bytes += bytes;
	TAILQ_INSERT_TAIL(&w->unanswered, item, unanswered);
	start_patience(w);
	uv_mutex_lock(&w->lock);
	TAILQ_INSERT_TAIL(&w->waiting, item, next);
	w->waiting_count++;
	uv_cond_signal(&w->wake);
	uv_mutex_unlock(&w->lock);
	return ERROR_NONE;
}

bool writer_is_well(const struct writer *w)
{
	return w->well;
}

void writer_close(struct writer *w, void (*closed)(void *context), void *context)
{
	w->closed = closed;
	w->closed_context = context;
	uv_mutex_lock(&w->lock);
	w->closing = true;
	uv_cond_signal(&w->wake);
	uv_mutex_unlock(&w->lock);
}
