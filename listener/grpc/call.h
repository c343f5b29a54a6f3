/*
 * call: one gRPC call, from its headers to its status.
 *
 * It lives on a stream of a session, and, between the method's `request` and
 * call_finish, in the method's hands as well; whoever lets go last frees it.
 * Once its stream is gone, its deadline is over or its status is decided, what
 * is sent on it goes nowhere.
 */
#ifndef FLEXI_LISTENER_GRPC_CALL_H
#define FLEXI_LISTENER_GRPC_CALL_H

#include <stdint.h>
#include <sys/queue.h>

#include "methods.h"
#include "wire/grpc.h"

struct session;

/* Metadata as it came. What is too long for its place is cut, and no valid value any more. */
struct call_metadata {
	char id[32];
	char level[16];
	char created_at[32];
};

struct call {
	TAILQ_ENTRY(call) next;
	struct session *session; /* NULL: the stream is gone */
	int32_t stream;
	int holders;
	int64_t deadline_ms;	   /* for the request to be whole, then for the answer */
	int64_t asked_deadline_ms; /* by the caller; INT64_MAX: none */
	const struct method *method;
	struct call_metadata metadata;

	/* The request. */
	size_t header_bytes;
	bool is_post, is_grpc, is_encoded, has_bad_timeout;
	struct grpc_intake intake;
	bool in_hand; /* the method has it */

	/* The answer. */
	bool has_head, is_decided;
	enum grpc_status status;
	bool not_stored;	/* and that for certain */
	struct buffer sentence; /* percent-encoded */
	struct buffer out;
	size_t out_sent;
};

TAILQ_HEAD(call_list, call);

/* ---- for methods ---- */

/* Sends a message. For streams: returns how many bytes now wait for the peer to read them. */
size_t call_send(struct call *call, struct text message);

/* Decides the status, and lets go of the call: the method's last word. */
void call_finish(struct call *call, enum grpc_status status, const char *sentence);

/* The same with the status that tells of an error. */
void call_fail(struct call *call, const struct error *e);

/* ---- for the session ---- */

/* A call whose headers begin; NULL when memory is short. */
struct call *call_new(struct session *session, int32_t stream);

/* One header; false if there are too many to go on with this stream. */
bool call_header(struct call *call, struct text name, struct text value);

/* The headers are complete: refuses the call, or starts its clock. */
void call_begin(struct call *call);

/* Bytes of the body, and its end: then the method gets the request. */
void call_body(struct call *call, struct text bytes);
void call_end(struct call *call);

/* Whether there were many bytes of requests, and now there are none: true once each time. */
bool call_bodies_are_gone(void);

/* Its time is over. */
void call_expire(struct call *call);

/* The stream is gone. */
void call_detach(struct call *call);

#endif
