/*
 * source: the consuming side of a trigger: its queue's messages come in whole,
 * and leave by being acked, rejected, or returned when the connection goes.
 *
 * How many messages may be in hand is the prefetch; how many bytes, is a limit
 * that no prefetch can express. A message that would go over it is not kept:
 * its bytes are dropped, and it is given back to the queue once there is room.
 */
#ifndef FLEXI_LISTENER_SOURCE_H
#define FLEXI_LISTENER_SOURCE_H

#include "link.h"
#include "message.h"
#include "transport/triggers.h"

struct source_events {
	void (*ready)(void *owner); /* the consumer is established */
	/* Takes the message over. */
	void (*message)(void *owner, struct message *m);
	void (*read)(void *owner); /* all messages that were there have been handed over */
	void (*lost)(void *owner); /* what is in hand is void: it comes again */
	void (*closed)(void *owner);
};

/* A message that was not kept, and waits to be given back. */
struct parcel {
	uint64_t tag;
	size_t size;
};

struct source {
	struct link link;
	const struct trigger *trigger;
	const struct source_events *events;
	void *owner;
	char name[MAX_QUEUE_NAME_BYTES + sizeof("listener: ")];
	int prefetch;
	size_t held_bytes; /* of all messages in hand */
	size_t max_held_bytes;
	struct { /* the delivery that is coming in */
		uint64_t tag;
		bool expected, redelivered, rejected;
		amqp_bytes_t key;
		char key_bytes[MAX_ROUTING_KEY_BYTES];
		struct message *message; /* NULL: its bytes are dropped */
		size_t body_size, got;
	} coming;
	struct parcel *shed; /* room for `prefetch` */
	int shed_count;
	size_t returning_bytes; /* given back, and not here again yet */
};

/* Starts to consume trigger's queue; trigger must stay valid. Returns false when memory is short.
 */
bool source_open(struct source *s, uv_loop_t *loop, const struct trigger *trigger,
		 const struct source_events *events, void *owner);

/* Whether m can still be acked: the connection that it came on is there. */
bool source_holds(const struct source *s, const struct message *m);

/* Acks m, if it still can be, and frees it. */
void source_ack(struct source *s, struct message *m);

/* Gives m back to its queue, at once, and frees it. */
void source_return(struct source *s, struct message *m);

/* Frees m without an answer to RabbitMQ: it has become void. */
void source_drop(struct source *s, struct message *m);

/* No more messages, please. What is in hand may still be acked. */
void source_cancel(struct source *s);

/* Closes: what was not acked goes back to the queue. `closed` is called later, once. */
void source_close(struct source *s);

#endif
