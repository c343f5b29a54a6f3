/*
 * publish: messages that go on to another queue: a retry queue, or the one of
 * dead letters. One connection for the process.
 *
 * A message stays unacked where it came from until RabbitMQ has confirmed that
 * the other queue has it: it may be in both for a moment, and never in none.
 */
#ifndef FLEXI_LISTENER_PUBLISH_H
#define FLEXI_LISTENER_PUBLISH_H

#include <stdbool.h>

#include <uv.h>

#include "core/text.h"
#include "message.h"

struct publish_events {
	/* Whether m may still be acked where it came from: if not, it is not worth sending. */
	bool (*holds)(const struct message *m);
	/* The other queue has m, or m was not worth sending: whoever sent it owns it again. */
	void (*settled)(struct message *m);
	/* The queue that m goes to is not there. m waits, and is tried again. */
	void (*missing)(struct message *m);
};

/* Starts to connect. events must stay valid. */
void publish_open(uv_loop_t *loop, const struct publish_events *events);

/*
 * Sends m, which now has m->attempts failed attempts, to `queue` until it is
 * confirmed, over as many connections as that takes. m is lent until `settled`.
 * Returns false when memory is short: then m was not taken.
 */
bool publish_retry(struct message *m, const char *queue);

/* The same for a dead letter, with the reason and the handler that it was for. */
bool publish_dead(struct message *m, const char *from_queue, const char *handler,
		  struct text reason);

/* Closes in good order, and forgets what was not sent; `closed` is called later, once. */
void publish_close(void (*closed)(void));

#endif
