/* error: the codes, what they mean to a caller, and how they are filled. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

static const struct {
	int status;
	bool permanent;
	const char *sentence;
} codes[ERROR_CODES] = {
	[ERROR_NONE] = { 200, false, "no error" },
	[ERROR_BAD_INPUT] = { 400, true, "the request is malformed" },
	[ERROR_CREDENTIALS] = { 401, false, "invalid credentials" },
	[ERROR_NOT_FOUND] = { 404, false, "not found" },
	[ERROR_METHOD] = { 405, false, "the handler does not take this method" },
	[ERROR_BODY_CUT] = { 408, false, "the body did not come whole" },
	[ERROR_CONFLICT] = { 409, true, "the id is in use for other content" },
	[ERROR_TOO_LARGE] = { 413, true, "the request is too large" },
	[ERROR_UNPROCESSABLE] = { 422, true, "a value cannot be used" },
	[ERROR_INTERNAL] = { 500, false, "the handler failed" },
	[ERROR_PEER_ANSWER] = { 502, false, "a peer answered wrong" },
	[ERROR_PEER_DOWN] = { 503, false, "a peer is down" },
	[ERROR_PEER_FULL] = { 503, false, "a peer takes nothing more now" },
	[ERROR_DEFERRED] = { 503, false, "a peer refused it for now" },
	[ERROR_PEER_TIMEOUT] = { 504, false, "a peer did not answer in time" },
	[ERROR_CONFIG] = { 500, false, "a setting is wrong" },
};

/* Takes back the part of a character that a cut at the end of the buffer left over. */
static void cut_between_characters(char *text, size_t n)
{
	while (n > 0 && ((unsigned char)text[n - 1] & 0xC0) == 0x80)
		n--;
	if (n > 0 && (unsigned char)text[n - 1] >= 0xC0)
		n--;
	text[n] = '\0';
}

#undef error_set
enum error_code error_set(struct error *e, enum error_code code, const char *format, ...)
{
	if (!e)
		return code;
	e->code = code;
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(e->text, sizeof(e->text), format, arguments);
	va_end(arguments);
	if (n >= (int)sizeof(e->text))
		cut_between_characters(e->text, sizeof(e->text) - 1);
	utf8_mend(e->text); /* it may quote what a peer said */
	return code;
}

static enum error_code known(enum error_code code)
{
	return (unsigned)code < ERROR_CODES ? code : ERROR_INTERNAL;
}

int error_status(enum error_code code)
{
	return codes[known(code)].status;
}

const char *error_sentence(enum error_code code)
{
	return codes[known(code)].sentence;
}

bool error_is_permanent(enum error_code code)
{
	return codes[known(code)].permanent;
}

bool error_is_pause(enum error_code code)
{
	return code == ERROR_PEER_DOWN || code == ERROR_PEER_FULL;
}
