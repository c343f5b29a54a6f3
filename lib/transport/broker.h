/*
 * broker: a connection to RabbitMQ as publishers and consumers here need it.
 *
 * Everything that touches rabbitmq-c outside the listener is here: connecting
 * (timeouts, TLS verified, heartbeats, connection.blocked asked for) and the
 * topology: the exchange logs_topic (topic, durable) and, for each trigger,
 *
 *	QUEUE          quorum, bound to its keys; at-least-once dead-lettering
 *	               to QUEUE.dead, overflow reject-publish, delivery limit 100
 *	QUEUE.retry.N  quorum, one for each backoff step, N its milliseconds:
 *	               messages wait out x-message-ttl and go back to QUEUE
 *	QUEUE.dead     quorum, delivery limit -1, declared first
 *
 * A connection belongs to one thread.
 */
#ifndef FLEXI_TRANSPORT_BROKER_H
#define FLEXI_TRANSPORT_BROKER_H

#include <stdint.h>

#include <rabbitmq-c/amqp.h>

#include "core/error.h"
#include "transport/triggers.h"

#define BROKER_EXCHANGE "logs_topic"

enum { BROKER_HEARTBEAT_S = 10, BROKER_CHANNEL = 1 };

/*
 * Connects to RABBITMQ_URL, logs in and opens BROKER_CHANNEL, all before the
 * deadline. On success the caller disconnects *connection; on error nothing is
 * owned: ERROR_PEER_DOWN, ERROR_PEER_TIMEOUT, ERROR_CONFIG for an URL that
 * cannot be or credentials that are refused. name is shown by RabbitMQ's tools.
 */
enum error_code broker_connect(const char *name, int64_t deadline_ms,
			       amqp_connection_state_t *connection, struct error *e);

/* Closes without waiting long, and sets *connection to NULL. NULL is allowed. */
void broker_disconnect(amqp_connection_state_t *connection);

/*
 * Declares exchange, queues and bindings of all triggers. ERROR_CONFIG if an
 * existing queue disagrees; the sentence names it. After an error the channel
 * is closed: disconnect.
 */
enum error_code broker_declare(amqp_connection_state_t connection,
			       const struct triggers *triggers, struct error *e);

/* Reads TRIGGERS_FILE, connects, declares and disconnects: for flexi migrate. */
enum error_code broker_migrate(struct error *e);

/* Turns an RPC reply into an error that says what was done ("declare queue logs"). */
enum error_code broker_check(amqp_rpc_reply_t reply, const char *what, struct error *e);

#endif
