/*
 * feed: one trigger at work: from its queue, in batches, into its handler.
 */
#ifndef FLEXI_LISTENER_FEED_H
#define FLEXI_LISTENER_FEED_H

#include <uv.h>

#include "message.h"
#include "transport/triggers.h"

struct feed;

struct feed_events {
	void (*ready)(void *context);	/* the consumer is established, perhaps again */
	void (*drained)(void *context); /* after feed_stop: nothing is under way any more, */
	void (*closed)(void *context);	/* and later: feed is no more */
};

/* Starts; *trigger is copied. NULL when memory is short. */
struct feed *feed_open(uv_loop_t *loop, const struct trigger *trigger,
		       const struct feed_events *events, void *context);

/* What it was opened with. */
const struct trigger *feed_trigger(const struct feed *feed);

/* Whether its consumer was established since it was opened. */
bool feed_was_ready(const struct feed *feed);

/*
 * Stops: takes and calls nothing more, lets calls under way and what must be
 * published come to their end, and closes. What is left goes back to the queue.
 */
void feed_stop(struct feed *feed);

/* For publish: see there. */
bool feed_holds(const struct message *m);
void feed_settled(struct message *m);
void feed_missing(struct message *m);

#endif
