/*
 * amqp: messages to RabbitMQ over one connection that a worker keeps.
 *
 * Every connect declares the topology of TRIGGERS_FILE. The connection is
 * looked after while the worker idles, and remade when it is found dead.
 */
#ifndef FLEXI_TRANSPORT_AMQP_H
#define FLEXI_TRANSPORT_AMQP_H

#include <stdint.h>

#include "transport/transport.h"

struct amqp_post {
	const char *key;     /* routing key on BROKER_EXCHANGE */
	const char *id;	     /* message id; whoever takes the message knows a repeat by it */
	int64_t accepted_ms; /* since 1970 UTC */
	struct text body;    /* JSON */
};

/*
 * Publishes post and waits for its confirm. A connection that is lost on the
 * way is remade once and post sent again under its id: a queue may then hold
 * it twice, and its consumer must take a second message of an id for the first.
 */
enum outcome amqp_post(const struct amqp_post *post, int64_t deadline_ms, struct error *e);

/* The transport "amqp": an entry under its level's routing key. */
enum outcome amqp_send(const struct entry *entry, int64_t deadline_ms, struct error *e);

/* Closes the connection if there is one. */
void amqp_close(void);

#endif
