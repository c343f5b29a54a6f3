/* reply: the shapes of an answer. */
#include "handler/reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/utf8.h"

/* Whatever is put in, an answer is JSON: well-formed UTF-8, and not cut within a character. */
__attribute__((format(printf, 2, 0))) static void set_message(struct reply *r, const char *format,
							      va_list arguments)
{
	int n = vsnprintf(r->message, sizeof(r->message), format, arguments);
	size_t end = strlen(r->message);
	/* Takes back the part of a character that a cut left over. */
	for (size_t back = 1; n >= (int)sizeof(r->message) && back < 4; back++) {
		if ((unsigned char)r->message[end - back] < 0xC0)
			continue;
		if (utf8_length(r->message + end - back, back) != back)
			r->message[end - back] = '\0';
		break;
	}
	utf8_mend(r->message);
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
