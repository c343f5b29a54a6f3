/*
 * waiting: what a trigger has in hand and not under way, and when it may go.
 *
 * Messages gather here until a batch is full or the oldest has waited for
 * batch_window; batches that were made up before (halves, or held ones) go
 * first, as they are.
 */
#ifndef FLEXI_LISTENER_WAITING_H
#define FLEXI_LISTENER_WAITING_H

#include "batch.h"
#include "message.h"
#include "transport/triggers.h"

struct waiting {
	const struct trigger *trigger;
	struct message_list messages; /* in the order of their arrival */
	size_t count;
	size_t bytes;
	struct batch_list batches;
};

/* trigger must stay valid. */
void waiting_init(struct waiting *w, const struct trigger *trigger);

/* Takes over a message, or a batch, which then goes before all others. */
void waiting_add(struct waiting *w, struct message *m);
void waiting_put_back(struct waiting *w, struct batch *b);

/* The next batch if one may go now, else NULL. The caller destroys it. */
struct batch *waiting_take(struct waiting *w, int64_t now_ms);

/* When the next batch may go; 0: nothing waits. */
int64_t waiting_due_ms(const struct waiting *w);

/* Any one of the messages, those in batches too; NULL if none is left. The caller owns it. */
struct message *waiting_pop(struct waiting *w);

#endif
