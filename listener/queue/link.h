/*
 * link: one connection to RabbitMQ on the loop, remade for ever.
 *
 * rabbitmq-c blocks, so connecting and `prepare` happen on a thread; once the
 * link is up, frames are read without waiting and everything else happens on
 * the loop. A short frame is sent right away; whoever sends many or long ones
 * asks link_can_write before each. Between failures the link waits, from 0.25 s
 * to 10 s.
 */
#ifndef FLEXI_LISTENER_LINK_H
#define FLEXI_LISTENER_LINK_H

#include <amqp.h>
#include <uv.h>

#include "core/error.h"

struct link_events {
	/* On a thread: declares and asks for what the link is for, before anything is read. */
	enum error_code (*prepare)(void *owner, amqp_connection_state_t connection,
				   struct error *e);
	void (*up)(void *owner);
	/*
	 * Every frame but those that close the connection or its channel, valid
	 * during the call only. NULL if the owner reads by itself, in `read`.
	 */
	void (*frame)(void *owner, const amqp_frame_t *frame);
	/* All frames that were there have been handed over, or are there to be read. */
	void (*read)(void *owner);
	/* There is room again after link_can_write said that there was none. May be NULL. */
	void (*writable)(void *owner);
	/* The connection is gone, and what was unacked on it goes back to its queue. */
	void (*down)(void *owner);
	/* After link_close: the link's memory may go. */
	void (*closed)(void *owner);
};

enum link_state {
	LINK_WAITING,
	LINK_CONNECTING,
	LINK_UP,
	LINK_BROKEN, /* to be given up from the loop */
	LINK_LEAVING, /* said goodbye, and waits for the answer: what was sent before has arrived then */
};

struct link {
	const char *name;
	void *owner;
	const struct link_events *events;
	enum link_state state;
	bool closing;
	unsigned epoch; /* counts the connections: what belongs to an older one is void */
	int wait_ms;	/* before the next attempt; 0: there was no failure lately */
	int64_t up_since_ms;
	amqp_connection_state_t connection;
	uv_timer_t timer; /* the next attempt, or the next look at heartbeats */
	uv_poll_t *poll;
	uv_work_t work;
	amqp_connection_state_t fresh; /* made on the thread, until the loop takes it */
	struct error error;
};

/* Starts to connect. name must stay valid; it is what RabbitMQ's tools show. */
void link_open(struct link *link, uv_loop_t *loop, const char *name,
	       const struct link_events *events, void *owner);

/* Whether something may be sent now. */
bool link_is_up(const struct link *link);

/* Whether a frame can be sent without waiting; if not, `writable` is called once it can. */
bool link_can_write(struct link *link);

/*
 * Gives the connection up, says why, and connects anew. Safe everywhere: what
 * it does it does from the loop, later.
 */
void link_break(struct link *link, const char *why);

/* Breaks the link if status, of a call of rabbitmq-c, is an error. Returns whether it was none. */
bool link_check(struct link *link, int status, const char *what);

/* Closes in good order, within a few seconds; no event comes any more, but later `closed`, once. */
void link_close(struct link *link);

#endif
