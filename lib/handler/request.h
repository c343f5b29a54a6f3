/*
 * request: one call of a handler. What its functions return lives as long as
 * the request, which ends when the handler's function returns.
 */
#ifndef FLEXI_HANDLER_REQUEST_H
#define FLEXI_HANDLER_REQUEST_H

#include <stdint.h>

#include "core/error.h"
#include "core/text.h"
#include "wire/json.h"

struct request;

/* "GET", "POST", … */
const char *request_method(const struct request *rq);

/* What follows /NAME in the path: "" or "/…". */
const char *request_path(const struct request *rq);

/* What follows the question mark, "" if nothing does. */
const char *request_query(const struct request *rq);

/* A CGI variable ("REMOTE_ADDR", "HTTP_ACCEPT"), "" if it is not there. */
const char *request_variable(const struct request *rq, const char *name);

/* The body, as it came. */
struct text request_body(const struct request *rq);

/* The body as strict JSON, parsed at the first call. *out is borrowed. */
enum error_code request_json(struct request *rq, struct json_object **out, struct error *e);

/* The body as a JSON object; anything else is an error. */
enum error_code request_json_object(struct request *rq, struct json_object **out, struct error *e);

/* When the answer must be on its way: monotonic milliseconds, as core/clock has them. */
int64_t request_deadline(const struct request *rq);

#endif
