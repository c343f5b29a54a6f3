/* css: finds where statements and declarations end. */
#include "mail/css.h"

#include <strings.h>

bool css_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

bool css_is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || (unsigned char)c >= 0x80;
}

/* The byte after the string that begins at s; a newline ends one that is not closed. */
static const char *after_string(const char *s, const char *end)
{
	char quote = *s++;
	while (s < end && *s != quote && *s != '\n')
		s += *s == '\\' && end - s > 1 ? 2 : 1;
	return s < end ? s + 1 : end;
}

/* The byte after what must be taken as one: an escape, a string, or a single byte. */
static const char *after_unit(const char *s, const char *end)
{
	if (*s == '\\' && end - s > 1)
		return s + 2;
	return *s == '"' || *s == '\'' ? after_string(s, end) : s + 1;
}

const char *css_skip(const char *s, const char *end, const char *stops)
{
	size_t depth = 0;
	while (s < end) {
		char c = *s;
		if (depth == 0 && c && strchr(stops, c))
			return s;
		if (c == '(' || c == '[' || c == '{')
			depth++;
		else if ((c == ')' || c == ']' || c == '}') && depth > 0)
			depth--;
		s = after_unit(s, end);
	}
	return end;
}

struct text css_trim(const char *s, const char *end)
{
	while (s < end && css_is_blank(*s))
		s++;
	while (end > s && css_is_blank(end[-1]))
		end--;
	return (struct text){ s, (size_t)(end - s) };
}

/* *rest becomes what follows `at`, but for the byte at `at`. */
static void continue_after(struct text *rest, const char *at)
{
	const char *end = rest->s + rest->n;
	rest->s = at < end ? at + 1 : end;
	rest->n = (size_t)(end - rest->s);
}

bool css_next_part(struct text *rest, struct text *part)
{
	if (rest->n == 0)
		return false;
	const char *comma = css_skip(rest->s, rest->s + rest->n, ",");
	*part = css_trim(rest->s, comma);
	continue_after(rest, comma);
	return true;
}

/* Whether two bytes that a comment has parted would become something else if they met. */
static bool must_stay_apart(char before, char after)
{
	return (css_is_name(before) && css_is_name(after)) || before == '<' || before == '/' ||
	       after == '*';
}

void css_without_comments(struct text sheet, struct buffer *out)
{
	const char *end = sheet.s + sheet.n;
	const char *from = sheet.s;
	const char *s = from;
	while (s < end) {
		if (end - s < 2 || s[0] != '/' || s[1] != '*') {
			s = after_unit(s, end);
			continue;
		}
		buffer_append(out, from, (size_t)(s - from));
		const char *close = memmem(s + 2, (size_t)(end - s - 2), "*/", 2);
		s = from = close ? close + 2 : end;
		if (out->size > 0 && s < end && must_stay_apart(out->bytes[out->size - 1], *s))
			buffer_append(out, " ", 1);
	}
	buffer_append(out, from, (size_t)(end - from));
}

/* Whether t begins with word, in any case, as a whole name. */
static bool begins_with(struct text t, const char *word)
{
	size_t n = strlen(word);
	return t.n >= n && strncasecmp(t.s, word, n) == 0 && (t.n == n || !css_is_name(t.s[n]));
}

/* Whether a rule begins in this part of a block; in --x:{…} and x:{{…}} a brace belongs to the value. */
static bool is_rule(const char *start, const char *stop)
{
	const char *brace = css_skip(start, stop, "{");
	const char *colon = css_skip(start, brace, ":");
	if (brace == stop || (stop - brace > 1 && brace[1] == '{'))
		return false;
	return colon == brace || css_trim(colon + 1, brace).n > 0;
}

/* Whether there are rules among the declarations of a block. */
static bool has_rules(struct text block)
{
	while (block.n > 0) {
		const char *stop = css_skip(block.s, block.s + block.n, ";");
		if (is_rule(block.s, stop))
			return true;
		continue_after(&block, stop);
	}
	return false;
}

static enum css_kind kind_of(const struct css_statement *s)
{
	static const char *const groups[] = { "@media", "@supports", "@container" };
	if (s->prelude.s[0] != '@')
		return has_rules(s->block) ? CSS_VERBATIM : CSS_RULE;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (begins_with(s->prelude, groups[i]) && s->whole.s[s->whole.n - 1] == '}')
			return CSS_GROUP;
	}
	return CSS_VERBATIM;
}

/* What may stand between statements: blanks, and the marks of an HTML comment. */
static const char *between_statements(const char *s, const char *end)
{
	while (s < end) {
		if (css_is_blank(*s) || *s == ';' || *s == '}')
			s++;
		else if (end - s >= 4 && memcmp(s, "<!--", 4) == 0)
			s += 4;
		else if (end - s >= 3 && memcmp(s, "-->", 3) == 0)
			s += 3;
		else
			break;
	}
	return s;
}

bool css_next_statement(struct text *rest, struct css_statement *out)
{
	const char *end = rest->s + rest->n;
	const char *start = between_statements(rest->s, end);
	if (start == end)
		return false;
	const char *open = css_skip(start, end, *start == '@' ? "{;" : "{");
	bool block = open < end && *open == '{';
	const char *close = block ? css_skip(open + 1, end, "}") : open;
	*out = (struct css_statement){
		.whole = css_trim(start, close < end ? close + 1 : end),
		.prelude = css_trim(start, open),
		.block = block ? css_trim(open + 1, close) : (struct text){ end, 0 },
	};
	continue_after(rest, close);
	/* A rule without a block is the end of a sheet that was cut off. */
	if (!block && *start != '@')
		return false;
	out->kind = out->prelude.n > 0 ? kind_of(out) : CSS_VERBATIM;
	return true;
}

/* Takes "!important" off the end of *value. */
static bool take_important(struct text *value)
{
	static const char word[] = "important";
	const char *s = value->s;
	size_t n = sizeof(word) - 1;
	if (value->n <= n || strncasecmp(s + value->n - n, word, n) != 0)
		return false;
	struct text before = css_trim(s, s + value->n - n);
	if (before.n == 0 || before.s[before.n - 1] != '!')
		return false;
	*value = css_trim(before.s, before.s + before.n - 1);
	return true;
}

static bool is_property(struct text name)
{
	/* An asterisk before a name is for one old browser, and drops out in the others. */
	size_t i = name.n > 1 && name.s[0] == '*';
	for (; i < name.n; i++) {
		if (!css_is_name(name.s[i]))
			return false;
	}
	return name.n > 0;
}

bool css_next_declaration(struct text *rest, struct css_declaration *out)
{
	while (rest->n > 0) {
		const char *start = rest->s;
		const char *stop = css_skip(start, start + rest->n, ";");
		const char *colon = css_skip(start, stop, ":");
		continue_after(rest, stop);
		if (colon == stop)
			continue;
		*out = (struct css_declaration){
			.name = css_trim(start, colon),
			.value = css_trim(colon + 1, stop),
		};
		out->important = take_important(&out->value);
		if (is_property(out->name) && out->value.n > 0)
			return true;
	}
	return false;
}
