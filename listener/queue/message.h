/*
 * message: one message in hand, from its delivery until it is acked or goes
 * back to its queue.
 *
 * It is one piece of memory: what it points to lies behind it. properties are
 * as they came, encoded, so that a message that is published again keeps what
 * its publisher said.
 */
#ifndef FLEXI_LISTENER_MESSAGE_H
#define FLEXI_LISTENER_MESSAGE_H

#include <stdint.h>
#include <sys/queue.h>

#include <amqp.h>

#include "core/limits.h"
#include "core/text.h"
#include "entry/entry.h"

enum { MESSAGE_TRACE_BYTES = 64 };

struct feed;

struct message {
	TAILQ_ENTRY(message) next;
	struct feed *feed;
	uint64_t tag;	/* the delivery's number on its connection, */
	unsigned epoch; /* and which connection of the feed's that was */
	int64_t received_ms;
	size_t size; /* bytes of memory, this struct included */
	char id[ENTRY_ID_BYTES];
	int attempts; /* that failed and were counted, before this delivery */
	bool alone;   /* it may have brought its worker down: nothing else goes with it */
	char request_id[MAX_REQUEST_ID_BYTES + 1]; /* "" if the publisher named none */
	char traceparent[MESSAGE_TRACE_BYTES];
	struct text key;
	struct text body;
	amqp_bytes_t properties;
	char bytes[];
};

TAILQ_HEAD(message_list, message);

/*
 * Makes a message from the header frame of a delivery with this routing key.
 * The body is yet to be filled in: body.n is its announced size, the bytes are
 * zero. The caller frees it; NULL when memory is short.
 */
struct message *message_new(const amqp_frame_t *header, amqp_bytes_t routing_key);

/* Frees every message of the list and leaves it empty. */
void message_list_clear(struct message_list *list);

#endif
