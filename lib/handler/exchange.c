/* exchange: from a request that is being read to the bytes of its answer. */
#include "handler/exchange.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/limits.h"
#include "core/log.h"

/* A worker gives back what a large body took: most that follow are small. */
enum { READ_BYTES = 64 * 1024, LARGE_BODY_BYTES = 256 * 1024 };

static const struct {
	const char *name;
	unsigned bit;
} methods[] = {
	{ "GET", METHOD_GET }, { "HEAD", METHOD_GET },	    { "POST", METHOD_POST },
	{ "PUT", METHOD_PUT }, { "DELETE", METHOD_DELETE },
};

static unsigned accepted_methods(const struct handler *handler)
{
	return handler->methods ? handler->methods : METHOD_POST;
}

static bool is_request_id(const char *s)
{
	size_t n = strlen(s);
	return n > 0 && n <= MAX_REQUEST_ID_BYTES &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

/* W3C Trace Context: 2-32-16-2 hexadecimal digits. */
static bool is_traceparent(const char *s)
{
	return strlen(s) == 55 && strspn(s, "0123456789abcdef-") == 55 && s[2] == '-' &&
	       s[35] == '-' && s[52] == '-';
}

static void make_request_id(char id[33])
{
	unsigned char bytes[16] = { 0 };
	if (getrandom(bytes, sizeof(bytes), GRND_NONBLOCK) < 0)
		memcpy(bytes, &(int64_t){ clock_now_ms() }, sizeof(int64_t));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(id + 2 * i, 3, "%02x", bytes[i]);
}

void exchange_begin(struct request *rq, const struct handler *handler, char **variables)
{
	*rq = (struct request){ .handler = handler, .variables = variables };
	rq->started_ms = clock_now_ms();
	rq->deadline_ms = rq->started_ms + config()->request_timeout_ms;
	const char *id = request_variable(rq, "HTTP_X_REQUEST_ID");
	const char *trace = request_variable(rq, "HTTP_TRACEPARENT");
	char made[33];
	if (!is_request_id(id)) {
		make_request_id(made);
		id = made;
	}
	log_set_context(id, is_traceparent(trace) ? trace : "");
}

/* CONTENT_LENGTH, or -1 where it is not known: it can be missing, or -1. */
static long long announced_length(const struct request *rq)
{
	const char *text = request_variable(rq, "CONTENT_LENGTH");
	char *end;
	errno = 0;
	long long length = strtoll(text, &end, 10);
	return *text && !*end && !errno && length >= 0 ? length : -1;
}

void exchange_read_body(struct request *rq, exchange_read *read, void *source)
{
	size_t most = rq->handler->max_body ? rq->handler->max_body : MAX_BODY_BYTES;
	long long announced = announced_length(rq);
	for (;;) {
		char *room = buffer_room(&rq->body, READ_BYTES);
		ssize_t n = room ? read(source, room, READ_BYTES) : -1;
		if (!room)
			rq->body_error = ERROR_INTERNAL;
		else if (n < 0 && !rq->body_error)
			rq->body_error = ERROR_BODY_CUT;
		if (n <= 0)
			break;
		/* What is too much is still taken in: a server that writes does not read the
		 * answer. */
		if (rq->body_error)
			continue;
		buffer_grew(&rq->body, (size_t)n);
		if (rq->body.size > most)
			rq->body_error = ERROR_TOO_LARGE;
	}
	if (!rq->body_error && announced >= 0 && (unsigned long long)announced != rq->body.size)
		rq->body_error = ERROR_BODY_CUT;
}

/* Writes "GET, HEAD, POST" of what the handler takes. */
static const char *allow_header(const struct handler *handler)
{
	static char allow[64];
	size_t n = 0;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (accepted_methods(handler) & methods[i].bit)
			n += (size_t)snprintf(allow + n, sizeof(allow) - n, "%s%s", n ? ", " : "",
					      methods[i].name);
	}
	return allow;
}

static bool takes_method(const struct request *rq)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].name, request_method(rq)) == 0)
			return accepted_methods(rq->handler) & methods[i].bit;
	}
	return false;
}

static struct reply refuse(enum error_code code)
{
	struct error e;
	error_set(&e, code, "%s", error_sentence(code));
	return reply_error(&e);
}

static struct reply answer(struct request *rq)
{
	const char *path = request_path(rq);
	if (*path && strcmp(path, "/") != 0 && !rq->handler->subpaths) {
		struct error e;
		error_set(&e, ERROR_NOT_FOUND, "no such path under this handler");
		return reply_error(&e);
	}
	if (!takes_method(rq)) {
		struct reply r = refuse(ERROR_METHOD);
		r.allow = allow_header(rq->handler);
		return r;
	}
	if (rq->body_error)
		return refuse(rq->body_error);
	bool queue = *request_variable(rq, "HTTP_X_TRIGGER") != '\0';
	if (queue && (rq->handler->each || rq->handler->batch))
		return item_batch_reply(rq);
	if (rq->handler->call)
		return rq->handler->call(rq);
	struct error e;
	error_set(&e, ERROR_NOT_FOUND, "only a queue feeds this handler");
	return reply_error(&e);
}

static struct json_object *envelope(struct reply *r)
{
	struct json_object *o = json_object_new_object();
	int failed = !o || json_add_boolean(o, "error", r->error) ||
		     json_add_text(o, "message", text_of(r->message));
	if (!failed && r->error)
		failed = json_add_text(o, "handler", text_of(log_program())) ||
			 json_add_text(o, "request_id", text_of(log_request_id()));
	if (!failed && r->data)
		failed = json_add(o, "data", json_object_get(r->data));
	if (!failed && r->failures)
		failed = json_add(o, "failures", json_object_get(r->failures));
	if (!failed)
		return o;
	json_object_put(o);
	return NULL;
}

static int last_status;

static bool write_answer(struct request *rq, struct reply *r, struct buffer *out)
{
	CLEANUP(json_put) struct json_object *body = envelope(r);
	struct text bytes = body ? json_write(body) : text_of("");
	if (bytes.n == 0)
		return false;
	buffer_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", bytes.n);
	if (r->allow)
		buffer_printf(out, "Allow: %s\r\n", r->allow);
	if (r->challenge)
		buffer_printf(out, "WWW-Authenticate: %s\r\n", r->challenge);
	if (r->status == 503)
		buffer_printf(out, "Retry-After: %d\r\n", RETRY_AFTER_S);
	/* Last, so that an answer cut off in the headers never counts as a success. */
	buffer_printf(out, "Status: %d\r\n\r\n", r->status);
	if (strcmp(request_method(rq), "HEAD") != 0)
		buffer_append_text(out, bytes);
	last_status = r->status;
	return !out->failed;
}

bool exchange_answer(struct request *rq, struct buffer *out)
{
	struct reply r = answer(rq);
	bool written = write_answer(rq, &r, out);
	json_object_put(r.data);
	json_object_put(r.failures);
	if (written)
		return true;
	buffer_clear(out);
	struct reply failed = refuse(ERROR_INTERNAL);
	return write_answer(rq, &failed, out);
}

int exchange_status(void)
{
	return last_status;
}

void exchange_log(const struct request *rq, int status, size_t size, bool sent)
{
	log_at(status >= 500 || !sent ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
	       sent ? "answered" : "the client did not take the answer",
	       LOG_TEXT("method", request_method(rq)), LOG_TEXT("path", request_path(rq)),
	       LOG_INT("status", status), LOG_INT("ms", clock_now_ms() - rq->started_ms),
	       LOG_INT("bytes_in", rq->body.size), LOG_INT("bytes_out", size));
}

void exchange_finish(struct request *rq)
{
	bool large = rq->body.size > LARGE_BODY_BYTES;
	json_put(&rq->json);
	buffer_finish(&rq->body);
	if (large)
		malloc_trim(0);
	log_set_context(NULL, NULL);
}
