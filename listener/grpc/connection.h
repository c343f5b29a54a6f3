/*
 * connection: a session on a socket.
 *
 * What a session owes is written once per turn of the loop, by
 * connections_flush. A peer that does not take what is sent is not read from.
 */
#ifndef FLEXI_LISTENER_GRPC_CONNECTION_H
#define FLEXI_LISTENER_GRPC_CONNECTION_H

#include <sys/queue.h>
#include <uv.h>

#include "session.h"

struct connection {
	TAILQ_ENTRY(connection) next;  /* of whoever keeps a list of them */
	TAILQ_ENTRY(connection) dirty; /* among those that owe something */
	uv_tcp_t tcp;
	uv_timer_t timer; /* the session's next deadline */
	int handles;
	struct session session;
	void (*gone)(struct connection *connection);
	bool is_dirty, is_closing, has_farewell;
	uv_write_t write;
	char *unwritten;      /* what the socket did not take; NULL: nothing */
	int64_t began_ms;     /* the connection */
	int64_t unwritten_ms; /* since then it takes nothing */
	int64_t armed_ms;     /* what the timer is set to; INT64_MAX: nothing */
};

TAILQ_HEAD(connection_list, connection);

/*
 * Accepts the connection that waits at listener. `gone` is called once, when
 * it is closed, and is the last time that it may be named. NULL when there is
 * none, or memory is short: then it was closed.
 */
struct connection *connection_accept(uv_stream_t *listener,
				     void (*gone)(struct connection *connection));

/* Closes it now; what its calls were for goes on without it. */
void connection_close(struct connection *c);

/* Closes, or bids farewell to, one that was silent, stuck or idle for too long. */
void connection_tick(struct connection *c, int64_t now_ms);

/* The two steps of a farewell. */
void connection_announce_end(struct connection *c);
void connection_refuse_more(struct connection *c);

/* Writes what is owed on all connections. */
void connections_flush(void);

#endif
