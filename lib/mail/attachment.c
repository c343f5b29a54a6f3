/* attachment: what may be attached, and its bytes. */
#include "mail/attachment.h"

#include <stdint.h>
#include <stdio.h>
#include <strings.h>

#include "mail/header.h"

enum { NO_DIGIT = -1 };

static int digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : NO_DIGIT;
}

/* How many of the digits of whole groups are padding; more than 2 if it is not base64. */
static size_t padding_of(struct text t)
{
	size_t padding = 0;
	while (padding < t.n && padding < 3 && t.s[t.n - 1 - padding] == '=')
		padding++;
	return padding;
}

static bool is_base64(struct text t)
{
	size_t padding = padding_of(t);
	if (t.n % 4 != 0 || padding > 2)
		return false;
	for (size_t i = 0; i < t.n - padding; i++) {
		if (digit_value(t.s[i]) == NO_DIGIT)
			return false;
	}
	/* The bits of the last digit that stand for nothing are 0. */
	unsigned unused = padding == 0 ? 0 : padding == 1 ? 3 : 15;
	return padding == 0 || ((unsigned)digit_value(t.s[t.n - padding - 1]) & unused) == 0;
}

/* Whether the n bytes are a token of RFC 2045 section 5.1. */
static bool is_token(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] <= ' ' || s[i] >= 0x7F || strchr("()<>@,;:\\\"/[]?=", s[i]))
			return false;
	}
	return n > 0;
}

static bool is_type(struct text t)
{
	const char *slash = t.n > 0 ? memchr(t.s, '/', t.n) : NULL;
	size_t n = slash ? (size_t)(slash - t.s) : 0;
	if (!slash || t.n > MAX_ATTACHMENT_TYPE_BYTES)
		return false;
	bool composite = (n == 9 && strncasecmp(t.s, "multipart", n) == 0) ||
			 (n == 7 && strncasecmp(t.s, "message", n) == 0);
	return !composite && is_token(t.s, n) && is_token(slash + 1, t.n - n - 1);
}

static enum error_code check_name(struct text name, const char *what, struct error *e)
{
	char member[64];
	snprintf(member, sizeof(member), "%s.name", what);
	enum error_code code = header_check(name, member, e);
	if (code)
		return code;
	if (name.n == 0)
		return error_set(e, ERROR_UNPROCESSABLE, "%s: empty", member);
	if (name.n > MAX_ATTACHMENT_NAME_BYTES)
		return error_set(e, ERROR_UNPROCESSABLE, "%s: longer than %d bytes", member,
				 MAX_ATTACHMENT_NAME_BYTES);
	if (memchr(name.s, '/', name.n) || memchr(name.s, '\\', name.n))
		return error_set(e, ERROR_UNPROCESSABLE, "%s: must be a file's name without a path",
				 member);
	/* Some programs would read another name from it (RFC 2047). */
	if (memmem(name.s, name.n, "=?", 2))
		return error_set(e, ERROR_UNPROCESSABLE, "%s: must not look like an encoded word",
				 member);
	return ERROR_NONE;
}

enum error_code attachment_check(const struct attachment *a, const char *what, struct error *e)
{
	enum error_code code = check_name(a->name, what, e);
	if (code)
		return code;
	if (!is_type(attachment_type(a)))
		return error_set(e, ERROR_UNPROCESSABLE,
				 "%s.type: must be the type of a file, as image/png is", what);
	if (!is_base64(a->content))
		return error_set(e, ERROR_UNPROCESSABLE, "%s.content: not base64", what);
	return ERROR_NONE;
}

struct text attachment_type(const struct attachment *a)
{
	return a->type.n > 0 ? a->type : text_of("application/octet-stream");
}

void attachment_decode(const struct attachment *a, struct buffer *out)
{
	struct text t = a->content;
	char *at = buffer_room(out, t.n / 4 * 3 + 1);
	size_t size = t.n / 4 * 3 - (t.n > 0 ? padding_of(t) : 0);
	size_t written = 0;
	for (size_t i = 0; at && i < t.n; i += 4) {
		uint32_t group = 0;
		for (size_t k = 0; k < 4; k++) {
			int value = digit_value(t.s[i + k]);
			group = group << 6 | (uint32_t)(value == NO_DIGIT ? 0 : value);
		}
		for (int shift = 16; shift >= 0 && written < size; shift -= 8)
			at[written++] = (char)(group >> shift & 0xFF);
	}
	buffer_grew(out, written);
}
