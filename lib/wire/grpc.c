/* grpc: timeouts, percent-encoding, and the five bytes before a message. */
#include "wire/grpc.h"

#include <stdio.h>

enum { TIMEOUT_DIGITS = 8, TIMEOUT_MOST = 99999999 };

static const enum grpc_status statuses[ERROR_CODES] = {
	[ERROR_NONE] = GRPC_OK,
	[ERROR_BAD_INPUT] = GRPC_INVALID_ARGUMENT,
	[ERROR_CREDENTIALS] = GRPC_UNAUTHENTICATED,
	[ERROR_NOT_FOUND] = GRPC_NOT_FOUND,
	[ERROR_METHOD] = GRPC_UNIMPLEMENTED,
	[ERROR_BODY_CUT] = GRPC_INTERNAL,
	[ERROR_CONFLICT] = GRPC_ALREADY_EXISTS,
	[ERROR_TOO_LARGE] = GRPC_RESOURCE_EXHAUSTED,
	[ERROR_UNPROCESSABLE] = GRPC_INVALID_ARGUMENT,
	[ERROR_INTERNAL] = GRPC_INTERNAL,
	[ERROR_PEER_ANSWER] = GRPC_INTERNAL,
	[ERROR_PEER_DOWN] = GRPC_UNAVAILABLE,
	[ERROR_PEER_FULL] = GRPC_RESOURCE_EXHAUSTED,
	[ERROR_DEFERRED] = GRPC_UNAVAILABLE,
	/* Our own deadline, not the caller's: to them the store is not available. */
	[ERROR_PEER_TIMEOUT] = GRPC_UNAVAILABLE,
	[ERROR_CONFIG] = GRPC_INTERNAL,
};

enum grpc_status grpc_status_of(enum error_code code)
{
	enum grpc_status status = (unsigned)code < ERROR_CODES ? statuses[code] : GRPC_INTERNAL;
	return status == GRPC_OK && code ? GRPC_INTERNAL : status;
}

/* ---- grpc-timeout ---- */

/* Of a unit: how many milliseconds it has, or how many of it make one. */
static const struct {
	char unit;
	int64_t times, parts;
} units[] = {
	{ 'H', 3600000, 1 }, { 'M', 60000, 1 }, { 'S', 1000, 1 },
	{ 'm', 1, 1 },	     { 'u', 1, 1000 },	{ 'n', 1, 1000000 },
};

enum { UNITS = sizeof(units) / sizeof(units[0]) };

bool grpc_timeout_read(struct text in, int64_t *ms)
{
	if (in.n < 2 || in.n > TIMEOUT_DIGITS + 1)
		return false;
	int64_t number = 0;
	for (size_t i = 0; i + 1 < in.n; i++) {
		if (in.s[i] < '0' || in.s[i] > '9')
			return false;
		number = number * 10 + (in.s[i] - '0');
	}
	for (size_t u = 0; u < UNITS; u++) {
		if (units[u].unit != in.s[in.n - 1])
			continue;
		*ms = (number * units[u].times + units[u].parts - 1) / units[u].parts;
		return true;
	}
	return false;
}

void grpc_timeout_write(int64_t ms, char out[GRPC_TIMEOUT_BYTES])
{
	ms = ms > 1 ? ms : 1;
	int64_t seconds = ms / 1000 < TIMEOUT_MOST ? ms / 1000 : TIMEOUT_MOST;
	if (ms <= TIMEOUT_MOST)
		snprintf(out, GRPC_TIMEOUT_BYTES, "%dm", (int)ms);
	else
		snprintf(out, GRPC_TIMEOUT_BYTES, "%dS", (int)seconds);
}

/* ---- grpc-message ---- */

void grpc_percent_encode(struct text text, struct buffer *out)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.s[i];
		if (c >= 0x20 && c <= 0x7E && c != '%')
			buffer_append(out, &text.s[i], 1);
		else
			buffer_printf(out, "%%%02X", c);
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f'))
		return (c & 15) + 9;
	return -1;
}

void grpc_percent_decode(struct text text, struct buffer *out)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.s[i];
		int high = c == '%' && text.n - i > 2 ? hex_value(text.s[i + 1]) : -1;
		int low = high >= 0 ? hex_value(text.s[i + 2]) : -1;
		if (low >= 0) {
			c = (char)(high << 4 | low);
			i += 2;
		}
		buffer_append(out, &c, 1);
	}
}

/* ---- messages ---- */

void grpc_prefix_append(struct buffer *out, size_t n)
{
	const unsigned char prefix[GRPC_PREFIX_BYTES] = {
		0,
		(unsigned char)(n >> 24),
		(unsigned char)(n >> 16),
		(unsigned char)(n >> 8),
		(unsigned char)n,
	};
	buffer_append(out, prefix, sizeof(prefix));
}

static enum grpc_status read_prefix(struct grpc_intake *in, size_t most, const char **why)
{
	const unsigned char *p = in->prefix;
	in->size = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	if (p[0] != 0) {
		*why = "the message is compressed, and no encoding was named";
		return GRPC_INTERNAL;
	}
	if (in->size > most) {
		*why = "the message is too large";
		return GRPC_RESOURCE_EXHAUSTED;
	}
	in->whole = in->size == 0;
	return GRPC_OK;
}

enum grpc_status grpc_intake_take(struct grpc_intake *in, struct text bytes, size_t most,
				  const char **why)
{
	while (bytes.n > 0 && in->prefix_size < GRPC_PREFIX_BYTES) {
		in->prefix[in->prefix_size++] = (unsigned char)*bytes.s++;
		bytes.n--;
		enum grpc_status status =
			in->prefix_size < GRPC_PREFIX_BYTES ? GRPC_OK : read_prefix(in, most, why);
		if (status != GRPC_OK)
			return status;
	}
	if (bytes.n > in->size - in->message.size) {
		*why = "more than one message";
		return GRPC_INTERNAL;
	}
	buffer_append_text(&in->message, bytes);
	if (in->message.failed) {
		*why = "out of memory";
		return GRPC_RESOURCE_EXHAUSTED;
	}
	in->whole = in->prefix_size == GRPC_PREFIX_BYTES && in->message.size == in->size;
	return GRPC_OK;
}

void grpc_intake_finish(struct grpc_intake *in)
{
	buffer_finish(&in->message);
	*in = (struct grpc_intake){ 0 };
}
