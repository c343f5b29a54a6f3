/* feed: gathers, calls, and does with each message what the verdict says. */
#include "feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "batch.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "deliver.h"
#include "pause.h"
#include "publish.h"
#include "source.h"
#include "transport/broker.h"
#include "verdict.h"
#include "waiting.h"

struct feed {
	struct trigger trigger;
	struct source source;
	const struct feed_events *events;
	void *context;
	bool was_ready;
	bool stopping;
	bool closing;
	struct waiting waiting;
	int calls;   /* under way */
	int letters; /* messages that are being published */
	struct pause pause;
	uv_timer_t timer; /* the end of a batch's window, or of the pause */
};

static void dispatch(struct feed *f);

/* ---- what becomes of a message ---- */

static void on_timer_closed(uv_handle_t *handle)
{
	struct feed *f = handle->data;
	f->events->closed(f->context);
	free(f);
}

/* Closes once nothing is under way any more. */
static void close_if_drained(struct feed *f)
{
	if (!f->stopping || f->closing || f->calls > 0 || f->letters > 0)
		return;
	f->closing = true;
	source_close(&f->source);
	f->events->drained(f->context);
}

static void die(struct feed *f, struct message *m, struct text reason)
{
	log_warning("dead letter", LOG_TEXT("queue", f->trigger.queue), LOG_TEXT("id", m->id),
		    LOG_TEXT("handler", f->trigger.handler), LOG_INT("attempts", m->attempts),
		    LOG_TEXT("reason", reason.s));
	if (publish_dead(m, f->trigger.queue, f->trigger.handler, reason))
		f->letters++;
	else
		source_return(&f->source, m);
}

static void try_again(struct feed *f, struct message *m, struct text reason)
{
	char queue[BROKER_QUEUE_NAME_BYTES];
	if (m->attempts >= f->trigger.max_attempts) {
		die(f, m, reason);
		return;
	}
	int last = f->trigger.backoff_steps - 1;
	int step = m->attempts - 1 < last ? m->attempts - 1 : last;
	int delay_ms = f->trigger.backoff_ms[step];
	log_debug("to be tried again", LOG_TEXT("queue", f->trigger.queue), LOG_TEXT("id", m->id),
		  LOG_INT("attempts", m->attempts), LOG_INT("in_ms", delay_ms),
		  LOG_TEXT("reason", reason.s));
	broker_retry_queue(f->trigger.queue, delay_ms, queue);
	if (publish_retry(m, queue))
		f->letters++;
	else
		source_return(&f->source, m);
}

static void apply(struct feed *f, struct message *m, const struct verdict *v)
{
	if (v->kind == VERDICT_DONE) {
		source_ack(&f->source, m);
		return;
	}
	if (!source_holds(&f->source, m)) {
		source_drop(&f->source, m);
		return;
	}
	m->attempts++;
	if (v->kind == VERDICT_DEAD) {
		die(f, m, v->reason);
		return;
	}
	m->alone = m->alone || v->kind == VERDICT_ALONE;
	try_again(f, m, v->reason);
}

bool feed_holds(const struct message *m)
{
	return source_holds(&m->feed->source, m);
}

void feed_settled(struct message *m)
{
	struct feed *f = m->feed;
	f->letters--;
	source_ack(&f->source, m);
	close_if_drained(f);
}

void feed_missing(struct message *m)
{
	/* To connect anew is to declare anew. */
	link_break(&m->feed->source.link, "a queue for retries or dead letters is missing");
}

/* ---- calls ---- */

static void hold(struct feed *f, struct batch *b, const char *reason)
{
	waiting_put_back(&f->waiting, b);
	if (pause_begin(&f->pause, clock_now_ms()))
		log_warning("trigger pauses", LOG_TEXT("queue", f->trigger.queue),
			    LOG_TEXT("handler", f->trigger.handler),
			    LOG_INT("for_ms", f->pause.length_ms), LOG_TEXT("reason", reason));
}

static void split(struct feed *f, struct batch *b)
{
	struct batch *second = batch_halve(b);
	if (second)
		waiting_put_back(&f->waiting, second);
	waiting_put_back(&f->waiting, b);
}

/* Does what the verdicts say, and tells of what was not done in one line. */
static void apply_all(struct feed *f, struct batch *b, const struct judgement *j)
{
	size_t done = 0;
	const char *reason = j->reason;
	for (size_t i = 0; i < b->count; i++) {
		const struct verdict *v = &j->verdicts[i];
		if (v->kind == VERDICT_DONE)
			done++;
		else
			reason = v->reason.s;
		apply(f, b->messages[i], v);
	}
	if (done < b->count)
		log_warning("not done", LOG_TEXT("queue", f->trigger.queue),
			    LOG_TEXT("handler", f->trigger.handler), LOG_INT("items", b->count),
			    LOG_INT("failed", b->count - done), LOG_TEXT("reason", reason));
	else
		log_info("done", LOG_TEXT("queue", f->trigger.queue), LOG_INT("items", b->count));
	batch_destroy(b);
}

static void judge(struct feed *f, struct batch *b, const struct answer *answer)
{
	struct text ids[MAX_BATCH_MESSAGES];
	struct judgement j;
	for (size_t i = 0; i < b->count; i++)
		ids[i] = (struct text){ b->messages[i]->id, ENTRY_ID_DIGITS };
	verdict_judge(answer, ids, b->count, &j);
	if (j.fate != FATE_HELD && pause_end(&f->pause))
		log_info("trigger goes on", LOG_TEXT("queue", f->trigger.queue));
	if (j.fate == FATE_HELD)
		hold(f, b, j.reason);
	else if (j.fate == FATE_HALVES)
		split(f, b);
	else
		apply_all(f, b, &j);
	judgement_finish(&j);
}

static void on_answer(void *context, const struct answer *answer)
{
	struct batch *b = context;
	struct feed *f = b->feed;
	f->calls--;
	log_set_context(b->request_id, b->count == 1 ? b->messages[0]->traceparent : NULL);
	if (source_holds(&f->source, b->messages[0])) {
		judge(f, b, answer);
	} else { /* its connection is gone: the messages come again by themselves */
		for (size_t i = 0; i < b->count; i++)
			source_drop(&f->source, b->messages[i]);
		batch_destroy(b);
	}
	log_set_context(NULL, NULL);
	dispatch(f);
	close_if_drained(f);
}

/* 32 hexadecimal digits that nobody else has. */
static void new_request_id(char id[MAX_REQUEST_ID_BYTES + 1])
{
	unsigned char random[16] = { 0 };
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		log_warning("no random bytes");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(id + 2 * i, 3, "%02x", random[i]);
}

static void call(struct feed *f, struct batch *b)
{
	const struct message *only = b->count == 1 ? b->messages[0] : NULL;
	char request_id[MAX_REQUEST_ID_BYTES + 1];
	if (only && *only->request_id)
		snprintf(request_id, sizeof(request_id), "%s", only->request_id);
	else
		new_request_id(request_id);
	struct call c = {
		.handler = f->trigger.handler,
		.queue = f->trigger.queue,
		.request_id = request_id,
		.traceparent = only ? only->traceparent : "",
		.done = on_answer,
		.context = b,
	};
	b->feed = f;
	snprintf(b->request_id, sizeof(b->request_id), "%s", request_id);
	batch_body(b, &c.body);
	if (deliver_start(&c))
		f->calls++;
	else
		hold(f, b, "out of memory");
}

/* ---- what goes next ---- */

/* After a pause a single call asks whether the handler is back. */
static int most_calls(const struct feed *f)
{
	return pause_is_probing(&f->pause) ? 1 : f->trigger.max_concurrency;
}

static bool may_call(const struct feed *f, int64_t now)
{
	return !f->stopping && !pause_is_on(&f->pause, now) && f->calls < most_calls(f);
}

static void on_timer(uv_timer_t *timer)
{
	dispatch(timer->data);
}

/* Wakes up when the next batch may go; the end of a call wakes by itself. */
static void arm_timer(struct feed *f, int64_t now)
{
	int64_t due = waiting_due_ms(&f->waiting);
	if (pause_is_on(&f->pause, now) && due > 0 && due < f->pause.until_ms)
		due = f->pause.until_ms;
	if (due > 0 && !f->stopping && f->calls < most_calls(f))
		uv_timer_start(&f->timer, on_timer, (uint64_t)clock_left_ms(due), 0);
	else
		uv_timer_stop(&f->timer);
}

static void dispatch(struct feed *f)
{
	int64_t now = clock_now_ms();
	struct batch *b;
	while (may_call(f, now) && (b = waiting_take(&f->waiting, now)))
		call(f, b);
	arm_timer(f, now);
}

/* ---- what comes in ---- */

static void on_ready(void *owner)
{
	struct feed *f = owner;
	f->was_ready = true;
	if (f->stopping)
		source_cancel(&f->source);
	f->events->ready(f->context);
}

/* A payload that is not JSON would spoil its whole batch: the one verdict that is our own. */
static bool is_json(struct feed *f, struct message *m)
{
	struct json_object *value = NULL;
	struct error e;
	enum error_code code = json_parse(m->body, "payload", &value, &e);
	json_put(&value);
	if (code == ERROR_NONE)
		return true;
	if (code == ERROR_INTERNAL)
		source_return(&f->source, m);
	else
		die(f, m, text_of(e.text));
	return false;
}

static void on_message(void *owner, struct message *m)
{
	struct feed *f = owner;
	m->feed = f;
	if (f->stopping) {
		source_return(&f->source, m);
		return;
	}
	if (is_json(f, m))
		waiting_add(&f->waiting, m);
}

static void on_read(void *owner)
{
	dispatch(owner);
}

/* Empties what waits, by dropping it or by giving it back. */
static void settle_waiting(struct feed *f, void (*settle)(struct source *s, struct message *m))
{
	struct message *m;
	while ((m = waiting_pop(&f->waiting)))
		settle(&f->source, m);
}

static void on_lost(void *owner)
{
	struct feed *f = owner;
	settle_waiting(f, source_drop);
	uv_timer_stop(&f->timer);
}

static void on_source_closed(void *owner)
{
	struct feed *f = owner;
	settle_waiting(f, source_drop);
	uv_close((uv_handle_t *)&f->timer, on_timer_closed);
}

static const struct source_events source_events = {
	.ready = on_ready,
	.message = on_message,
	.read = on_read,
	.lost = on_lost,
	.closed = on_source_closed,
};

struct feed *feed_open(uv_loop_t *loop, const struct trigger *trigger,
		       const struct feed_events *events, void *context)
{
	struct feed *f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->trigger = *trigger;
	f->events = events;
	f->context = context;
	waiting_init(&f->waiting, &f->trigger);
	if (!source_open(&f->source, loop, &f->trigger, &source_events, f)) {
		free(f);
		return NULL;
	}
	uv_timer_init(loop, &f->timer);
	f->timer.data = f;
	return f;
}

const struct trigger *feed_trigger(const struct feed *f)
{
	return &f->trigger;
}

bool feed_was_ready(const struct feed *f)
{
	return f->was_ready;
}

void feed_stop(struct feed *f)
{
	if (f->stopping)
		return;
	f->stopping = true;
	source_cancel(&f->source);
	settle_waiting(f, source_return);
	uv_timer_stop(&f->timer);
	close_if_drained(f);
}
