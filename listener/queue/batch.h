/*
 * batch: the items of one call, and the body that carries them.
 *
 *	[{"id":"…","key":"log.INFO","attempt":1,"payload":…}, …]
 */
#ifndef FLEXI_LISTENER_BATCH_H
#define FLEXI_LISTENER_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "core/buffer.h"
#include "message.h"

enum { MAX_BATCH_MESSAGES = 1000 };

struct batch {
	TAILQ_ENTRY(batch) next;
	struct feed *feed;
	char request_id[MAX_REQUEST_ID_BYTES + 1]; /* of the last call with it */
	size_t count;
	struct message **messages; /* borrowed one by one: whoever settles one frees it */
};

TAILQ_HEAD(batch_list, batch);

/*
 * Takes the next batch off the front of waiting: at most max_count messages and
 * max_bytes bytes, but at least one; no id twice; one that must be alone is
 * alone. What is passed over keeps its place. The caller destroys the batch;
 * NULL if nothing waits or memory is short, and then nothing was taken.
 */
struct batch *batch_gather(struct message_list *waiting, size_t max_count, size_t max_bytes);

/* Moves the second half of a batch of several to a new one; NULL when memory is short. */
struct batch *batch_halve(struct batch *b);

/* Frees the batch, and not its messages. */
void batch_destroy(struct batch *b);

/* How many bytes a message is counted as against max_bytes. */
size_t batch_cost(const struct message *m);

/* Appends the body; b->failed of the buffer tells when memory is short. */
void batch_body(const struct batch *batch, struct buffer *body);

#endif
