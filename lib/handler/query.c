/* query: decoded in one pass, into room that is made before it. */
#include "handler/query.h"

#include <stdlib.h>

#include "core/utf8.h"

enum { MAX_NUMBER_DIGITS = 18 }; /* so that every such number fits */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 32);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes n bytes to out, which has room for n + 1. A percent sign that begins nothing stays. */
static struct text decode(const char *s, size_t n, char *out)
{
	size_t size = 0;
	for (size_t i = 0; i < n; i++) {
		char c = (char)(s[i] == '+' ? ' ' : s[i]);
		if (c == '%' && i + 2 < n && hex_digit(s[i + 1]) >= 0 && hex_digit(s[i + 2]) >= 0) {
			c = (char)(hex_digit(s[i + 1]) << 4 | hex_digit(s[i + 2]));
			i += 2;
		}
		out[size++] = c;
	}
	out[size] = '\0';
	return (struct text){ out, size };
}

static bool is_clean(struct text t)
{
	return !memchr(t.s, '\0', t.n) && utf8_is_valid(t);
}

static enum error_code take(struct text name, struct text value, struct query_parameter *parameters,
			    size_t count, struct error *e)
{
	for (size_t i = 0; i < count; i++) {
		struct query_parameter *p = &parameters[i];
		if (!text_equal(name, text_of(p->name)))
			continue;
		if (p->given)
			return error_set(e, ERROR_BAD_INPUT, "%s: given twice", p->name);
		if (!is_clean(value))
			return error_set(e, ERROR_BAD_INPUT, "%s: must be UTF-8 without NUL",
					 p->name);
		p->given = true;
		p->value = value;
		return ERROR_NONE;
	}
	return error_set(e, ERROR_BAD_INPUT, "%s: no such parameter", name.s);
}

enum error_code query_read(const char *query, struct query_parameter *parameters, size_t count,
			   struct buffer *room, struct error *e)
{
	for (size_t i = 0; i < count; i++) {
		parameters[i].given = false;
		parameters[i].value = text_of("");
	}
	/* Each pair becomes two texts, no longer than it was, with a NUL each. */
	char *out = buffer_room(room, 2 * strlen(query) + 2);
	if (!out)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	while (*query) {
		size_t pair = strcspn(query, "&");
		size_t name_size = strcspn(query, "=&");
		struct text name = decode(query, name_size, out);
		out += name.n + 1;
		const char *at = query + name_size + (query[name_size] == '=');
		struct text value = decode(at, (size_t)(query + pair - at), out);
		out += value.n + 1;
		if (pair > 0) {
			enum error_code code = take(name, value, parameters, count, e);
			if (code)
				return code;
		}
		query += pair + (query[pair] == '&');
	}
	return ERROR_NONE;
}

enum error_code query_number(const struct query_parameter *parameter, int64_t least, int64_t most,
			     int64_t *out, struct error *e)
{
	const char *s = parameter->value.s;
	size_t n = parameter->value.n;
	if (!parameter->given)
		return ERROR_NONE;
	bool plain = n > 0 && n <= MAX_NUMBER_DIGITS && strspn(s, "0123456789") == n;
	long long number = plain ? strtoll(s, NULL, 10) : 0;
	if (!plain || number < least || number > most)
		return error_set(e, ERROR_BAD_INPUT, "%s: must be a number from %lld to %lld",
				 parameter->name, (long long)least, (long long)most);
	*out = number;
	return ERROR_NONE;
}
