/*
 * exchange: one request and its reply, however they travel. FastCGI (worker.c)
 * and CGI (cgi.c) fill a request, have it answered, and write what comes back.
 * Private to lib/handler.
 */
#ifndef FLEXI_HANDLER_EXCHANGE_H
#define FLEXI_HANDLER_EXCHANGE_H

#include <sys/types.h>

#include "core/buffer.h"
#include "handler/handler.h"

struct request {
	const struct handler *handler;
	char **variables; /* "NAME=value", NULL at the end */
	struct buffer body;
	enum error_code body_error; /* why the body is not whole, or ERROR_NONE */
	struct json_object *json;   /* the body parsed, once parsed is set */
	bool parsed;
	int64_t started_ms;
	int64_t deadline_ms;
};

/* Reads up to n bytes: what it got, 0 at the end, -1 if the stream broke. */
typedef ssize_t exchange_read(void *source, char *bytes, size_t n);

/* Starts a request: its clock, and its names in the log's context. variables are borrowed. */
void exchange_begin(struct request *rq, const struct handler *handler, char **variables);

/*
 * Reads the body to its end, at most the handler's max_body. What is wrong
 * with it is kept in the request and becomes the answer.
 */
void exchange_read_body(struct request *rq, exchange_read *read, void *source);

/* The answer as it leaves: CGI headers (RFC 3875), Status last, and the body. False: no memory. */
bool exchange_answer(struct request *rq, struct buffer *out);

/* Writes the access line. sent tells whether the client took the whole answer. */
void exchange_log(const struct request *rq, int status, size_t size, bool sent);

/* The status that exchange_answer wrote last. */
int exchange_status(void);

void exchange_finish(struct request *rq);

/* Serves FastCGI on fd 0 until SIGTERM; returns the exit status. */
int worker_run(const struct handler *handler);

/* Answers one CGI request; returns the exit status. */
int cgi_run(const struct handler *handler);

/* The body of a queue's batch handed to the handler; the reply names what failed. */
struct reply item_batch_reply(struct request *rq);

#endif
