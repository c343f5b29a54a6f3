/* dsn: reads a connection string or URI, passing over what libpq does not know. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "store/postgres.h"

/* Other clients of such strings take it; here times are always asked for in UTC. */
static const char passed_over[] = "timezone";

static bool is_passed_over(const char *keyword, size_t n)
{
	return n == sizeof(passed_over) - 1 && strncasecmp(keyword, passed_over, n) == 0;
}

static const char *skip_space(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

/* Where a value ends: at its closing quote, or at the next space; a backslash takes one along. */
static const char *value_end(const char *s)
{
	bool quoted = *s == '\'';
	s += quoted;
	while (*s && (quoted ? *s != '\'' : !isspace((unsigned char)*s)))
		s += s[0] == '\\' && s[1] ? 2 : 1;
	return s + (quoted && *s);
}

/* What is no pair is kept as it is: libpq says what is wrong with it. */
static void copy_pairs(const char *dsn, struct buffer *out)
{
	for (const char *s = skip_space(dsn); *s; s = skip_space(s)) {
		size_t n = strcspn(s, "= \t\r\n\f\v");
		const char *equals = skip_space(s + n);
		const char *end = *equals == '=' ? value_end(skip_space(equals + 1)) : s + n;
		if (end == s)
			end++;
		if (!is_passed_over(s, n)) {
			buffer_append(out, s, (size_t)(end - s));
			buffer_append_string(out, " ");
		}
		s = end;
	}
}

static void copy_uri(const char *uri, struct buffer *out)
{
	size_t n = strcspn(uri, "?");
	buffer_append(out, uri, n);
	const char *between = "?";
	for (const char *s = uri + n; *s;) {
		s++; /* the ? or the & */
		n = strcspn(s, "&");
		if (!is_passed_over(s, strcspn(s, "=&"))) {
			buffer_append_string(out, between);
			buffer_append(out, s, n);
			between = "&";
		}
		s += n;
	}
}

static bool is_uri(const char *dsn)
{
	return strncmp(dsn, "postgres://", 11) == 0 || strncmp(dsn, "postgresql://", 13) == 0;
}

PQconninfoOption *postgres_dsn_parse(const char *dsn, struct error *e)
{
	CLEANUP(buffer_finish) struct buffer known = { 0 };
	(is_uri(dsn) ? copy_uri : copy_pairs)(dsn, &known);
	buffer_append(&known, "", 0);
	if (known.failed) {
		error_set(e, ERROR_INTERNAL, "out of memory");
		return NULL;
	}
	/* libpq's own message quotes the string, the password in it too. */
	PQconninfoOption *options = PQconninfoParse(buffer_text(&known).s, NULL);
	if (!options)
		error_set(e, ERROR_CONFIG, "DSN: not a connection string or URI of PostgreSQL");
	return options;
}

const char *postgres_dsn_value(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword; options++) {
		if (strcmp(options->keyword, keyword) == 0)
			return options->val ? options->val : "";
	}
	return "";
}

void postgres_dsn_free(PQconninfoOption **options)
{
	PQconninfoFree(*options);
	*options = NULL;
}
