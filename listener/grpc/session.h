/*
 * session: HTTP/2 with one peer, without a socket: bytes in, bytes out, and
 * the calls between them.
 *
 * What is owed to the peer is asked for with session_produce; `wake` tells that
 * there is something, from wherever it came. Only the owner may end a session,
 * and never from within one of its functions.
 */
#ifndef FLEXI_LISTENER_GRPC_SESSION_H
#define FLEXI_LISTENER_GRPC_SESSION_H

#include <nghttp2/nghttp2.h>

#include "call.h"
#include "core/text.h"

struct session {
	nghttp2_session *http2;
	void (*wake)(void *owner);
	void *owner;
	struct call_list calls;
	bool is_greeted;    /* the peer's first frame came */
	int64_t due_ms;	    /* no call's deadline is before that; INT64_MAX: there is none */
	int64_t changed_ms; /* when a call last came or went */
	/* Resets that the peer made us send, less those that time has forgiven. */
	int provoked;
	int64_t provoked_ms;
};

/* Begins a session and its own greeting; false when memory is short, and then nothing is owned. */
bool session_init(struct session *s, void (*wake)(void *owner), void *owner);

/* Takes bytes of the peer. NULL, or why nothing more can come of it: the connection must go. */
const char *session_receive(struct session *s, struct text bytes);

enum {
	/* What session_produce needs at least: more than any frame of ours. */
	SESSION_ROOM_BYTES = 64 * 1024,
};

/* Writes what is owed, at most size bytes; 0: nothing now, -1: the connection must go. */
ssize_t session_produce(struct session *s, char *room, size_t size);

/* Whether nothing will come or go any more. */
bool session_is_over(const struct session *s);

/* Ends calls whose deadline is over. */
void session_expire(struct session *s, int64_t now_ms);

/* The two steps of a farewell: new calls are still taken after the first, not after the second. */
void session_announce_end(struct session *s);
void session_refuse_more(struct session *s);

/* Frees what it holds; its calls lose their stream. */
void session_finish(struct session *s);

/* ---- for calls ---- */

void session_wake(struct session *s);
void session_due(struct session *s, int64_t deadline_ms);

#endif
