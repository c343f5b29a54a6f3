/* feeds: the file's triggers against the feeds that run. */
#include "feeds.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "core/config.h"
#include "core/log.h"
#include "feed.h"
#include "transport/triggers.h"

struct node {
	TAILQ_ENTRY(node) next;
	struct feed *feed;
	bool stopping;
	bool drained;
};

static TAILQ_HEAD(node_list, node) nodes = TAILQ_HEAD_INITIALIZER(nodes);
static void (*on_all_ready)(void);
static void (*on_all_stopped)(void);

static void tell_if_ready(void)
{
	struct node *n;
	if (!on_all_ready)
		return;
	for (n = TAILQ_FIRST(&nodes); n; n = TAILQ_NEXT(n, next)) {
		if (!n->stopping && !feed_was_ready(n->feed))
			return;
	}
	void (*tell)(void) = on_all_ready;
	on_all_ready = NULL;
	tell();
}

static void tell_if_stopped(void)
{
	struct node *n;
	if (!on_all_stopped)
		return;
	for (n = TAILQ_FIRST(&nodes); n; n = TAILQ_NEXT(n, next)) {
		if (!n->drained)
			return;
	}
	void (*tell)(void) = on_all_stopped;
	on_all_stopped = NULL;
	tell();
}

static void on_ready(void *context)
{
	(void)context;
	tell_if_ready();
}

static void on_drained(void *context)
{
	struct node *n = context;
	n->drained = true;
	tell_if_stopped();
}

static void on_closed(void *context)
{
	struct node *n = context;
	TAILQ_REMOVE(&nodes, n, next);
	free(n);
	tell_if_stopped();
}

static const struct feed_events events = {
	.ready = on_ready,
	.drained = on_drained,
	.closed = on_closed,
};

static void stop(struct node *n)
{
	if (n->stopping)
		return;
	n->stopping = true;
	feed_stop(n->feed);
}

static enum error_code start(uv_loop_t *loop, const struct trigger *t, struct error *e)
{
	struct node *n = calloc(1, sizeof(*n));
	if (n)
		n->feed = feed_open(loop, t, &events, n);
	if (!n || !n->feed) {
		free(n);
		return error_set(e, ERROR_INTERNAL, "out of memory");
	}
	TAILQ_INSERT_TAIL(&nodes, n, next);
	log_info("trigger", LOG_TEXT("queue", t->queue), LOG_TEXT("handler", t->handler),
		 LOG_INT("batch_size", t->batch_size),
		 LOG_INT("max_concurrency", t->max_concurrency));
	return ERROR_NONE;
}

static bool same_keys(const struct trigger *a, const struct trigger *b)
{
	bool same = a->key_count == b->key_count;
	for (int i = 0; same && i < a->key_count; i++)
		same = strcmp(a->keys[i], b->keys[i]) == 0;
	return same;
}

static bool same_backoff(const struct trigger *a, const struct trigger *b)
{
	bool same = a->backoff_steps == b->backoff_steps;
	for (int i = 0; same && i < a->backoff_steps; i++)
		same = a->backoff_ms[i] == b->backoff_ms[i];
	return same;
}

static bool same(const struct trigger *a, const struct trigger *b)
{
	return strcmp(a->queue, b->queue) == 0 && strcmp(a->handler, b->handler) == 0 &&
	       a->batch_size == b->batch_size && a->batch_window_ms == b->batch_window_ms &&
	       a->max_concurrency == b->max_concurrency && a->max_attempts == b->max_attempts &&
	       same_keys(a, b) && same_backoff(a, b);
}

static const struct trigger *find(const struct triggers *triggers, const struct trigger *wanted)
{
	for (int i = 0; i < triggers->count; i++) {
		if (same(&triggers->list[i], wanted))
			return &triggers->list[i];
	}
	return NULL;
}

static bool runs(const struct trigger *t)
{
	struct node *n;
	for (n = TAILQ_FIRST(&nodes); n; n = TAILQ_NEXT(n, next)) {
		if (!n->stopping && same(feed_trigger(n->feed), t))
			return true;
	}
	return false;
}

enum error_code feeds_load(uv_loop_t *loop, void (*ready)(void), struct error *e)
{
	struct triggers triggers;
	struct node *n;
	struct node *after;
	enum error_code code = triggers_load(config()->triggers_file, &triggers, e);
	if (code)
		return code;
	for (n = TAILQ_FIRST(&nodes); n; n = after) {
		after = TAILQ_NEXT(n, next);
		if (!find(&triggers, feed_trigger(n->feed)))
			stop(n);
	}
	for (int i = 0; code == ERROR_NONE && i < triggers.count; i++) {
		if (!runs(&triggers.list[i]))
			code = start(loop, &triggers.list[i], e);
	}
	triggers_finish(&triggers);
	if (ready)
		on_all_ready = ready;
	tell_if_ready();
	return code;
}

void feeds_stop(void (*stopped)(void))
{
	struct node *n;
	for (n = TAILQ_FIRST(&nodes); n; n = TAILQ_NEXT(n, next))
		stop(n);
	on_all_stopped = stopped;
	tell_if_stopped();
}

int feeds_count(void)
{
	int count = 0;
	struct node *n;
	for (n = TAILQ_FIRST(&nodes); n; n = TAILQ_NEXT(n, next))
		count++;
	return count;
}
