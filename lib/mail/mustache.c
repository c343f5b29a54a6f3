/* mustache: finds the tags of a template, one after the other, and what lies between them. */
#include "mail/mustache.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct delimiter {
	char text[MAX_MUSTACHE_DELIMITER_BYTES + 2]; /* one more: }}} closes {{{ */
	size_t n;
};

struct parser {
	const char *name;
	const char *start, *end;
	const char *at; /* what comes before it has been read */
	const char *counted;
	size_t line; /* of `counted` */
	struct delimiter open, close;
	size_t sections[MAX_MUSTACHE_DEPTH]; /* tokens of those that are open */
	size_t depth;
	struct mustache *out;
	struct error *e;
};

struct tag {
	char sigil; /* 'v' if there is none */
	struct text inside;
	const char *start, *after;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct text trimmed(const char *s, const char *end)
{
	while (s < end && is_space(*s))
		s++;
	while (end > s && is_space(end[-1]))
		end--;
	return (struct text){ s, (size_t)(end - s) };
}

/* The line of `where`; asked for places in rising order, so that the source is walked once. */
static size_t line_of(struct parser *p, const char *where)
{
	for (; p->counted < where; p->counted++)
		p->line += *p->counted == '\n';
	return p->line;
}

static enum error_code fault(struct parser *p, const char *where, const char *sentence)
{
	return error_set(p->e, ERROR_CONFIG, "template %s, line %zu: %s", p->name,
			 line_of(p, where), sentence);
}

static enum error_code add(struct parser *p, enum mustache_kind kind, struct text text,
			   const char *where)
{
	struct mustache *m = p->out;
	if (m->count == m->room) {
		size_t room = m->room ? m->room * 2 : 16;
		struct mustache_token *grown = reallocarray(m->tokens, room, sizeof(*grown));
		if (!grown)
			return error_set(p->e, ERROR_INTERNAL, "out of memory");
		m->tokens = grown;
		m->room = room;
	}
	m->tokens[m->count++] = (struct mustache_token){
		.kind = kind,
		.text = text,
		.line = line_of(p, where),
	};
	return ERROR_NONE;
}

static enum error_code add_literal(struct parser *p, const char *end)
{
	if (end <= p->at)
		return ERROR_NONE;
	return add(p, MUSTACHE_LITERAL, (struct text){ p->at, (size_t)(end - p->at) }, p->at);
}

/* Reads the tag whose opening delimiter stands at start. */
static enum error_code read_tag(struct parser *p, const char *start, struct tag *tag)
{
	const char *inside = start + p->open.n;
	char sigil = 'v';
	if (inside < p->end && *inside && strchr("#^/!&{=>$<", *inside))
		sigil = *inside++;
	struct delimiter close = p->close;
	if (sigil == '{' || sigil == '=') {
		close.text[0] = sigil == '{' ? '}' : '=';
		memcpy(close.text + 1, p->close.text, p->close.n);
		close.n++;
	}
	const char *found = memmem(inside, (size_t)(p->end - inside), close.text, close.n);
	if (!found)
		return fault(p, start, "a tag is not closed");
	*tag = (struct tag){
		.sigil = sigil,
		.inside = trimmed(inside, found),
		.start = start,
		.after = found + close.n,
	};
	return ERROR_NONE;
}

/* Widens a tag that is alone on its line to the whole line. */
static void take_line(const struct parser *p, struct tag *tag)
{
	const char *start = tag->start;
	const char *after = tag->after;
	while (start > p->start && (start[-1] == ' ' || start[-1] == '\t'))
		start--;
	while (after < p->end && (*after == ' ' || *after == '\t'))
		after++;
	if (start > p->start && start[-1] != '\n')
		return;
	if (p->end - after >= 2 && after[0] == '\r' && after[1] == '\n')
		after += 2;
	else if (after < p->end && *after == '\n')
		after++;
	else if (after < p->end)
		return;
	tag->start = start;
	tag->after = after;
}

static enum error_code set_delimiters(struct parser *p, const struct tag *tag)
{
	const char *s = tag->inside.s;
	const char *end = s + tag->inside.n;
	const char *gap = s;
	while (gap < end && !is_space(*gap))
		gap++;
	struct text open = { s, (size_t)(gap - s) };
	struct text close = trimmed(gap, end);
	if (open.n == 0 || open.n > MAX_MUSTACHE_DELIMITER_BYTES || close.n == 0 ||
	    close.n > MAX_MUSTACHE_DELIMITER_BYTES || memchr(open.s, '=', open.n) ||
	    memchr(close.s, '=', close.n))
		return fault(p, s, "delimiters must be two words of at most 15 bytes without =");
	for (size_t i = 0; i < close.n; i++) {
		if (is_space(close.s[i]))
			return fault(p, s, "delimiters must be two words");
	}
	memcpy(p->open.text, open.s, p->open.n = open.n);
	memcpy(p->close.text, close.s, p->close.n = close.n);
	return ERROR_NONE;
}

static enum error_code check_name(struct parser *p, const struct tag *tag)
{
	struct text name = tag->inside;
	if (name.n == 0)
		return fault(p, tag->start, "a tag without a name");
	if (name.n > MAX_MUSTACHE_NAME_BYTES)
		return fault(p, tag->start, "a name of more than 255 bytes");
	for (size_t i = 0; i < name.n; i++) {
		if (is_space(name.s[i]))
			return fault(p, tag->start, "a space in a name");
	}
	return ERROR_NONE;
}

static enum error_code open_section(struct parser *p, const struct tag *tag)
{
	if (p->depth == MAX_MUSTACHE_DEPTH)
		return fault(p, tag->start, "sections nest deeper than 32");
	p->sections[p->depth++] = p->out->count;
	return add(p, tag->sigil == '#' ? MUSTACHE_SECTION : MUSTACHE_INVERTED, tag->inside,
		   tag->start);
}

static enum error_code close_section(struct parser *p, const struct tag *tag)
{
	if (p->depth == 0)
		return fault(p, tag->start, "a section is closed that is not open");
	struct mustache_token *opening = &p->out->tokens[p->sections[p->depth - 1]];
	if (!text_equal(opening->text, tag->inside))
		return fault(p, tag->start, "another section is open than the one closed here");
	p->depth--;
	opening->end = p->out->count;
	return add(p, MUSTACHE_END, tag->inside, tag->start);
}

static enum error_code take_tag(struct parser *p, const struct tag *tag)
{
	if (tag->sigil == '!')
		return ERROR_NONE;
	if (tag->sigil == '=')
		return set_delimiters(p, tag);
	enum error_code code = check_name(p, tag);
	if (code)
		return code;
	switch (tag->sigil) {
	case '#':
	case '^':
		return open_section(p, tag);
	case '/':
		return close_section(p, tag);
	case '{':
	case '&':
		return add(p, MUSTACHE_RAW, tag->inside, tag->start);
	case 'v':
		return add(p, MUSTACHE_ESCAPED, tag->inside, tag->start);
	default:
		return fault(p, tag->start, "partials, blocks and parents are not supported");
	}
}

/* Reads one tag and the text before it; past the last tag, the rest. */
static enum error_code step(struct parser *p)
{
	const char *found = memmem(p->at, (size_t)(p->end - p->at), p->open.text, p->open.n);
	enum error_code code;
	if (!found) {
		code = add_literal(p, p->end);
		p->at = p->end;
		return code;
	}
	struct tag tag = { .start = found, .after = found };
	if ((code = read_tag(p, found, &tag)))
		return code;
	if (tag.sigil && strchr("#^/!=", tag.sigil))
		take_line(p, &tag);
	if ((code = add_literal(p, tag.start)))
		return code;
	p->at = tag.after;
	return take_tag(p, &tag);
}

enum error_code mustache_parse(struct text source, const char *name, struct mustache *out,
			       struct error *e)
{
	struct parser p = {
		.name = name,
		.start = source.s,
		.end = source.s + source.n,
		.at = source.s,
		.counted = source.s,
		.line = 1,
		.open = { "{{", 2 },
		.close = { "}}", 2 },
		.out = out,
		.e = e,
	};
	*out = (struct mustache){ 0 };
	enum error_code code = ERROR_NONE;
	while (!code && p.at < p.end)
		code = step(&p);
	if (!code && p.depth > 0)
		code = error_set(e, ERROR_CONFIG, "template %s, line %zu: a section is not closed",
				 name, out->tokens[p.sections[p.depth - 1]].line);
	if (code)
		mustache_finish(out);
	return code;
}

void mustache_finish(struct mustache *m)
{
	free(m->tokens);
	*m = (struct mustache){ 0 };
}
