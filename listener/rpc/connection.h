/*
 * connection: one client of rpc-logd: bytes into calls, answers into bytes.
 *
 * Answers may be given in any order and are written together, once for each
 * turn of the loop. A connection that is closed lives on until the calls of it
 * that are under way have been answered, which then goes nowhere.
 */
#ifndef FLEXI_LISTENER_RPC_CONNECTION_H
#define FLEXI_LISTENER_RPC_CONNECTION_H

#include <sys/queue.h>
#include <uv.h>

#include "wire/rpc.h"

enum connection_state {
	CONNECTION_OPEN,
	CONNECTION_ENDING, /* nothing more is taken; answers are still sent */
	CONNECTION_LEFT,   /* all is sent, and the client has been told that it is the end */
	CONNECTION_CLOSED,
};

struct connection {
	TAILQ_ENTRY(connection) next;	 /* the server's */
	TAILQ_ENTRY(connection) changed; /* of those to look after before the loop waits */
	uv_tcp_t tcp;
	uv_write_t write;
	uv_shutdown_t shutdown;
	enum connection_state state;
	bool is_reading, is_writing, is_changed;
	bool has_called, has_ended; /* the client */
	size_t calls, call_bytes;   /* under way, and what is kept for them */
	size_t held;		    /* what is counted of it, in connections_held */
	struct rpc_reader reader;
	struct rpc_writer writer;
	struct buffer in;      /* what has come and is not taken yet */
	struct buffer out;     /* answers */
	struct buffer sending; /* those that the kernel has not taken yet */
	int64_t active_ms;     /* the last call or answer */
	int64_t begun_ms;      /* of a message that is not whole; 0: there is none */
	size_t queued;	       /* of `sending`, when it was last looked at */
	int64_t sent_ms;       /* when some of it was taken */
	const struct connection_events *events;
};

struct connection_events {
	void (*gone)(struct connection *c); /* its memory goes after this */
	void (*crowded)(void);		    /* connections_held is over MAX_HELD_BYTES */
};

TAILQ_HEAD(connection_list, connection);

/* Accepts from a listener. NULL if it cannot be had. */
struct connection *connection_accept(uv_stream_t *listener, const struct connection_events *events);

/* Closes it at once, with a line that says why; NULL: without a line. */
void connection_close(struct connection *c, const char *why);

/* Takes nothing more, sends the answers that are due, then ends in good order. */
void connection_end(struct connection *c);

/* A call is under way, and keeps so many bytes; it will be answered. */
void connection_begin_call(struct connection *c, size_t bytes);

/* The answer to it: a result, or an error. */
void connection_answer(struct connection *c, size_t bytes, struct text method, uint64_t seq,
		       struct text result);
void connection_fail(struct connection *c, size_t bytes, struct text method, uint64_t seq,
		     struct text error);

/* Ends what has taken too long. */
void connection_tick(struct connection *c, int64_t now_ms);

/* Sends what has been answered, and takes what there is room for again, on all connections. */
void connections_flush(void);

/* All that connections keep, in bytes. */
size_t connections_held(void);

#endif
