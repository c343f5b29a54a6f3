/*
 * reply: what a handler answers, built whole before a byte of it leaves.
 *
 * The functions return a reply by value; returning it from the handler's
 * function hands over what it holds. They never fail: when memory is short the
 * reply is a 500 without data.
 */
#ifndef FLEXI_HANDLER_REPLY_H
#define FLEXI_HANDLER_REPLY_H

#include "core/error.h"
#include "wire/json.h"

enum { REPLY_MESSAGE_BYTES = 1024 };

struct reply {
	int status;
	bool error;			   /* the envelope's "error" */
	char message[REPLY_MESSAGE_BYTES]; /* the envelope's "message", cut if longer */
	struct json_object *data;	   /* the envelope's "data", or NULL */
	struct json_object *failures;	   /* the envelope's "failures", or NULL */
	const char *allow;		   /* for a 405: what would be taken */
	const char *challenge;		   /* for a 401: the WWW-Authenticate, or NULL */
};

/* {"error":false,"message":"…"} */
struct reply reply_ok(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* {"error":false,"message":"…","data":…}; takes data over. */
struct reply reply_data(int status, struct json_object *data, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* {"error":true,"message":"…","handler":"…","request_id":"…"} with the error's status. */
struct reply reply_error(const struct error *e);

/*
 * Adds what failed of several to a reply; takes failures over. NULL: memory
 * was short, and the reply becomes a 500.
 */
struct reply reply_failures(struct reply r, struct json_object *failures);

#endif
