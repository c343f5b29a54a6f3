/* reply: the shapes of an answer. */
#include "handler/reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/utf8.h"

/* A cut message must not end within a character. */
static void set_message(struct reply *r, const char *format, va_list arguments)
{
	int n = vsnprintf(r->message, sizeof(r->message), format, arguments);
	if (n < (int)sizeof(r->message))
		return;
	size_t at = 0;
	size_t length;
	while ((length = utf8_length(r->message + at, sizeof(r->message) - 1 - at)) > 0)
		at += length;
	r->message[at] = '\0';
}

struct reply reply_ok(int status, const char *format, ...)
{
	struct reply r = { .status = status };
	va_list arguments;
	va_start(arguments, format);
	set_message(&r, format, arguments);
	va_end(arguments);
	return r;
}

struct reply reply_data(int status, struct json_object *data, const char *format, ...)
{
	if (!data)
		return reply_error(
			&(struct error){ .code = ERROR_INTERNAL, .text = "out of memory" });
	struct reply r = { .status = status, .data = data };
	va_list arguments;
	va_start(arguments, format);
	set_message(&r, format, arguments);
	va_end(arguments);
	return r;
}

struct reply reply_error(const struct error *e)
{
	struct reply r = { .status = error_status(e->code), .error = true };
	snprintf(r.message, sizeof(r.message), "%s", e->text);
	return r;
}

struct reply reply_failures(struct reply r, struct json_object *failures)
{
	if (!failures) {
		json_object_put(r.data);
		return reply_error(
			&(struct error){ .code = ERROR_INTERNAL, .text = "out of memory" });
	}
	r.failures = failures;
	return r;
}
