/*
 * confirm: publications on a channel, and what RabbitMQ says became of them.
 *
 * Several may be in flight. Each is settled exactly once, by a call of
 * `settled` from within one of the functions below:
 *
 *	OUTCOME_STORED      confirmed, and not returned: a queue keeps it
 *	OUTCOME_NOT_STORED  returned because no queue takes its key
 *	                    (ERROR_CONFIG), or rejected (ERROR_PEER_FULL)
 *	OUTCOME_UNKNOWN     the connection was lost, or the caller gave up
 *
 * settled may publish anew, but not finish the confirms. The connection
 * belongs to the caller, and nobody else reads from it.
 */
#ifndef FLEXI_TRANSPORT_CONFIRM_H
#define FLEXI_TRANSPORT_CONFIRM_H

#include <stdbool.h>
#include <stdint.h>

#include <amqp.h>
#include <amqp_framing.h>

#include "core/error.h"
#include "core/text.h"
#include "transport/transport.h"

struct publication {
	const char *exchange; /* "" is the default one: key is a queue's name */
	const char *key;
	const amqp_basic_properties_t *properties; /* delivery_mode is set to persistent */
	struct text body;
};

/* What settles: `what` is what confirms_publish was given; e is filled unless it is stored. */
typedef void confirms_settled(void *context, void *what, enum outcome outcome,
			      const struct error *e);

struct in_flight {
	uint64_t sequence; /* the delivery tag of its confirm */
	void *what;
	bool returned;
};

struct confirms {
	amqp_connection_state_t connection;
	confirms_settled *settled;
	void *context;
	struct in_flight *list; /* by sequence */
	int count, window;
	uint64_t sequence;
	bool blocked;	/* RabbitMQ reads no publications now: an alarm of memory or disk */
	bool lost;	/* the connection is of no use any more */
	bool returning; /* a basic.return came, its content not yet whole */
	uint64_t returning_rest; /* bytes of it still to come */
};

/*
 * Puts BROKER_CHANNEL of connection into confirm mode. At most window
 * publications will be in flight. On success the caller finishes *c; on error
 * nothing is owned.
 */
enum error_code confirms_open(struct confirms *c, amqp_connection_state_t connection, int window,
			      confirms_settled *settled, void *context, struct error *e);

/*
 * Publishes. On success it is in flight, or settled already because the
 * connection was lost on the way. On error it is certain that nothing was
 * taken: ERROR_PEER_FULL while blocked or with the window full; with any other
 * error the connection is lost, and what else was in flight is settled.
 */
enum error_code confirms_publish(struct confirms *c, const struct publication *p, void *what,
				 int64_t deadline_ms, struct error *e);

/* Takes in all that has come, without waiting. On error the connection is lost. */
enum error_code confirms_pump(struct confirms *c, struct error *e);

/*
 * Waits until nothing is in flight. ERROR_PEER_TIMEOUT if that did not happen
 * before the deadline; ERROR_PEER_FULL if RabbitMQ blocked meanwhile and then
 * CONFIRM_BLOCKED_GRACE_MS passed: it confirms nothing until it unblocks, but
 * may have taken it. Either way what is in flight stays so. With any other
 * error the connection is lost.
 */
enum error_code confirms_wait(struct confirms *c, int64_t deadline_ms, struct error *e);

enum { CONFIRM_BLOCKED_GRACE_MS = 100 };

/* Settles what is in flight as unknown; confirms that come for it later are ignored. */
void confirms_give_up(struct confirms *c, const struct error *why);

/* Gives up and frees. The connection stays open. */
void confirms_finish(struct confirms *c);

#endif
