/* json_scan: a recursive descent over RFC 8259's grammar that builds nothing. */
#include "wire/json_scan.h"

#include "core/limits.h"
#include "core/utf8.h"

struct scan {
	const char *start, *at, *end;
	const char *what;
	size_t members, values;
	int depth;
	struct error *e;
};

static enum error_code fail(struct scan *s, const char *why)
{
	return error_set(s->e, ERROR_BAD_INPUT, "%s is not JSON: %s at byte %zu", s->what, why,
			 (size_t)(s->at - s->start));
}

static char next(const struct scan *s)
{
	if (s->at == s->end)
		return '\0';
	return *s->at;
}

static void skip_space(struct scan *s)
{
	static const char space[] = { ' ', '\t', '\r', '\n' };
	while (s->at < s->end && memchr(space, *s->at, sizeof(space)))
		s->at++;
}

/* Four hexadecimal digits at s->at, or -1. */
static long hex4(const struct scan *s)
{
	long code = 0;
	if (s->end - s->at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = s->at[i];
		if (c >= '0' && c <= '9')
			code = code << 4 | (c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			code = code << 4 | ((c | 32) - 'a' + 10);
		else
			return -1;
	}
	return code;
}

/* After \u: the digits, and for the first half of a surrogate pair the second half too. */
static enum error_code scan_code(struct scan *s)
{
	long code = hex4(s);
	if (code < 0)
		return fail(s, "a broken \\u escape");
	if (code == 0)
		return fail(s, "a NUL character");
	s->at += 4;
	if (code < 0xD800 || code > 0xDFFF)
		return ERROR_NONE;
	if (code > 0xDBFF || s->end - s->at < 2 || s->at[0] != '\\' || s->at[1] != 'u')
		return fail(s, "half a surrogate pair");
	s->at += 2;
	long low = hex4(s);
	if (low < 0xDC00 || low > 0xDFFF)
		return fail(s, "half a surrogate pair");
	s->at += 4;
	return ERROR_NONE;
}

static enum error_code scan_escape(struct scan *s)
{
	static const char escapes[] = { '"', '\\', '/', 'b', 'f', 'n', 'r', 't', 'u' };
	s->at++;
	char c = next(s);
	if (!memchr(escapes, c, sizeof(escapes)))
		return fail(s, "an unknown escape");
	s->at++;
	return c == 'u' ? scan_code(s) : ERROR_NONE;
}

static enum error_code scan_string(struct scan *s)
{
	if (next(s) != '"')
		return fail(s, "no string");
	s->at++;
	while (s->at < s->end && *s->at != '"') {
		if (*s->at == '\\') {
			enum error_code code = scan_escape(s);
			if (code)
				return code;
			continue;
		}
		if ((unsigned char)*s->at < 0x20)
			return fail(s, "a control character in a string");
		size_t length = utf8_length(s->at, (size_t)(s->end - s->at));
		if (length == 0)
			return fail(s, "bytes that are not UTF-8");
		s->at += length;
	}
	if (s->at == s->end)
		return fail(s, "a string without an end");
	s->at++;
	return ERROR_NONE;
}

static size_t skip_digits(struct scan *s)
{
	const char *first = s->at;
	while (next(s) >= '0' && next(s) <= '9')
		s->at++;
	return (size_t)(s->at - first);
}

static enum error_code scan_number(struct scan *s)
{
	if (next(s) == '-')
		s->at++;
	char lead = next(s);
	size_t digits = skip_digits(s);
	if (digits == 0 || (lead == '0' && digits > 1))
		return fail(s, "a broken number");
	if (next(s) == '.') {
		s->at++;
		if (skip_digits(s) == 0)
			return fail(s, "a broken number");
	}
	if (next(s) == 'e' || next(s) == 'E') {
		s->at++;
		if (next(s) == '+' || next(s) == '-')
			s->at++;
		if (skip_digits(s) == 0)
			return fail(s, "a broken number");
	}
	return ERROR_NONE;
}

static enum error_code scan_value(struct scan *s);

static enum error_code scan_member(struct scan *s)
{
	skip_space(s);
	enum error_code code = scan_string(s);
	if (code)
		return code;
	s->members++;
	skip_space(s);
	if (next(s) != ':')
		return fail(s, "no colon after a member's name");
	s->at++;
	return scan_value(s);
}

/* An object or an array: parts between commas, up to close. */
static enum error_code scan_parts(struct scan *s, char close,
				  enum error_code (*scan_part)(struct scan *))
{
	if (++s->depth > MAX_JSON_DEPTH)
		return error_set(s->e, ERROR_BAD_INPUT, "%s nests deeper than %d levels", s->what,
				 MAX_JSON_DEPTH);
	s->at++;
	skip_space(s);
	bool first = true;
	while (first ? next(s) != close : next(s) == ',') {
		if (!first)
			s->at++;
		first = false;
		enum error_code code = scan_part(s);
		if (code)
			return code;
	}
	if (next(s) != close)
		return fail(s, s->at == s->end ? "an early end" : "no comma between two parts");
	s->at++;
	s->depth--;
	return ERROR_NONE;
}

static enum error_code scan_word(struct scan *s)
{
	static const char *const words[] = { "true", "false", "null" };
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i]);
		if ((size_t)(s->end - s->at) >= n && memcmp(s->at, words[i], n) == 0) {
			s->at += n;
			return ERROR_NONE;
		}
	}
	return fail(s, s->at == s->end ? "an early end" : "an unexpected character");
}

/* A value with the space around it. */
static enum error_code scan_value(struct scan *s)
{
	enum error_code code;
	if (++s->values > MAX_JSON_VALUES)
		return error_set(s->e, ERROR_TOO_LARGE, "%s holds more than %d values", s->what,
				 MAX_JSON_VALUES);
	skip_space(s);
	char c = next(s);
	if (c == '{')
		code = scan_parts(s, '}', scan_member);
	else if (c == '[')
		code = scan_parts(s, ']', scan_value);
	else if (c == '"')
		code = scan_string(s);
	else if (c == '-' || (c >= '0' && c <= '9'))
		code = scan_number(s);
	else
		code = scan_word(s);
	skip_space(s);
	return code;
}

enum error_code json_scan(struct text in, const char *what, size_t *members, struct error *e)
{
	struct scan s = { .start = in.s, .at = in.s, .end = in.s + in.n, .what = what, .e = e };
	skip_space(&s);
	if (s.at == s.end)
		return error_set(e, ERROR_BAD_INPUT, "%s is empty", what);
	enum error_code code = scan_value(&s);
	if (code)
		return code;
	if (s.at != s.end)
		return error_set(e, ERROR_BAD_INPUT, "%s must have only a single JSON value", what);
	*members = s.members;
	return ERROR_NONE;
}
