/* waiting: gathers messages until they may go. */
#include "waiting.h"

#include "core/config.h"

void waiting_init(struct waiting *w, const struct trigger *trigger)
{
	*w = (struct waiting){ .trigger = trigger };
	TAILQ_INIT(&w->messages);
	TAILQ_INIT(&w->batches);
}

void waiting_add(struct waiting *w, struct message *m)
{
	TAILQ_INSERT_TAIL(&w->messages, m, next);
	w->count++;
	w->bytes += batch_cost(m);
}

static void took(struct waiting *w, const struct message *m)
{
	w->count--;
	w->bytes -= batch_cost(m);
}

void waiting_put_back(struct waiting *w, struct batch *b)
{
	TAILQ_INSERT_HEAD(&w->batches, b, next);
}

static bool is_full(const struct waiting *w)
{
	return w->count >= (size_t)w->trigger->batch_size ||
	       w->bytes >= (size_t)config()->max_batch_bytes;
}

int64_t waiting_due_ms(const struct waiting *w)
{
	const struct message *oldest = TAILQ_FIRST(&w->messages);
	if (!TAILQ_EMPTY(&w->batches))
		return 1; /* long ago */
	if (!oldest)
		return 0;
	if (oldest->alone || is_full(w))
		return oldest->received_ms;
	return oldest->received_ms + w->trigger->batch_window_ms;
}

struct batch *waiting_take(struct waiting *w, int64_t now_ms)
{
	int64_t due_ms = waiting_due_ms(w);
	if (due_ms == 0 || due_ms > now_ms)
		return NULL;
	struct batch *b = TAILQ_FIRST(&w->batches);
	if (b) {
		TAILQ_REMOVE(&w->batches, b, next);
		return b;
	}
	b = batch_gather(&w->messages, (size_t)w->trigger->batch_size,
			 (size_t)config()->max_batch_bytes);
	for (size_t i = 0; b && i < b->count; i++)
		took(w, b->messages[i]);
	return b;
}

struct message *waiting_pop(struct waiting *w)
{
	struct batch *b = TAILQ_FIRST(&w->batches);
	struct message *m = TAILQ_FIRST(&w->messages);
	if (b) {
		m = b->messages[--b->count];
		if (b->count == 0) {
			TAILQ_REMOVE(&w->batches, b, next);
			batch_destroy(b);
		}
	} else if (m) {
		TAILQ_REMOVE(&w->messages, m, next);
		took(w, m);
	}
	return m;
}
