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
 *	QUEUE.dead     quorum, no delivery limit that is ever reached, declared first
 *
 * A connection belongs to one thread.
 */
#ifndef FLEXI_TRANSPORT_BROKER_H
#define FLEXI_TRANSPORT_BROKER_H

#include <stdint.h>
#include <sys/time.h>

#include <amqp.h>

#include "core/error.h"
#include "transport/triggers.h"

#define BROKER_EXCHANGE "logs_topic"

enum {
	BROKER_HEARTBEAT_S = 10,
	BROKER_CHANNEL = 1,

	/*
	 * The library sends without a deadline. Linux says that a socket can be
	 * written to while a third of its send buffer is free: with these sizes
	 * what is sent in one go fits into that, and sending it does not wait.
	 * So whoever sends calls broker_wait_writable first, and cuts bodies
	 * into frames of BROKER_BODY_FRAME_BYTES. (What others publish may come
	 * in frames of up to BROKER_FRAME_BYTES.)
	 */
	BROKER_FRAME_BYTES = AMQP_DEFAULT_FRAME_SIZE,
	BROKER_BODY_FRAME_BYTES = 32 * 1024,
	BROKER_SEND_BUFFER_BYTES = 192 * 1024,

	/* QUEUE.retry.N and its NUL. */
	BROKER_QUEUE_NAME_BYTES = MAX_QUEUE_NAME_BYTES + sizeof(".retry.2147483647"),
};

/*
 * Connects to RABBITMQ_URL, logs in and opens BROKER_CHANNEL, all before the
 * deadline. On success the caller disconnects *connection; on error nothing is
 * owned: ERROR_PEER_DOWN, ERROR_PEER_TIMEOUT, ERROR_CONFIG for an URL that
 * cannot be or credentials that are refused. name is shown by RabbitMQ's tools.
 */
enum error_code broker_connect(const char *name, int64_t deadline_ms,
			       amqp_connection_state_t *connection, struct error *e);

/* Whether it can be connected to: does so, and disconnects. */
enum error_code broker_ping(int64_t deadline_ms, struct error *e);

/* Closes without waiting long, and sets *connection to NULL. NULL is allowed. */
void broker_disconnect(amqp_connection_state_t *connection);

/* The same without a goodbye, for a RabbitMQ that did not answer. */
void broker_drop(amqp_connection_state_t *connection);

/*
 * Declares exchange, queues and bindings of all triggers, all within one RPC
 * timeout of the connection. ERROR_CONFIG if an existing queue disagrees; the
 * sentence names it. After an error the channel is closed: disconnect.
 */
enum error_code broker_declare(amqp_connection_state_t connection, const struct triggers *triggers,
			       struct error *e);

/* Reads TRIGGERS_FILE, connects, declares and disconnects: for flexi migrate. */
enum error_code broker_migrate(struct error *e);

/* The names of a queue's helpers. */
void broker_retry_queue(const char *queue, int delay_ms, char name[BROKER_QUEUE_NAME_BYTES]);
void broker_dead_queue(const char *queue, char name[BROKER_QUEUE_NAME_BYTES]);

/* Turns an RPC reply into an error that says what was done ("declare queue logs"). */
enum error_code broker_check(amqp_rpc_reply_t reply, const char *what, struct error *e);

/* The same for a status of the library, and for a channel.close or connection.close that came. */
enum error_code broker_status(int status, const char *what, struct error *e);
enum error_code broker_closed(const amqp_method_t *method, const char *what, struct error *e);

/* Waits until a frame can be sent without waiting; see BROKER_SEND_BUFFER_BYTES. */
enum error_code broker_wait_writable(amqp_connection_state_t connection, int64_t deadline_ms,
				     const char *what, struct error *e);

/* What is left until a monotonic deadline, as the library takes it. */
struct timeval broker_time_left(int64_t deadline_ms);

#endif
