/*
 * mustache: reads a template into tokens.
 *
 * The language is that of mustache(5): {{name}} escaped, {{{name}}} and
 * {{&name}} as it is, {{#name}}…{{/name}} sections, {{^name}}…{{/name}}
 * inverted sections, {{!comments}}, {{=<% %>=}} other delimiters. A section's
 * tag, a comment or a change of delimiters that is alone on its line takes the
 * line with it. Partials, blocks and parents ({{>x}} {{$x}} {{<x}}) are errors:
 * a template is one file.
 */
#ifndef FLEXI_MAIL_MUSTACHE_H
#define FLEXI_MAIL_MUSTACHE_H

#include <stddef.h>

#include "core/error.h"
#include "core/text.h"

enum {
	/* How deep sections may nest. */
	MAX_MUSTACHE_DEPTH = 32,
	MAX_MUSTACHE_NAME_BYTES = 255,
	MAX_MUSTACHE_DELIMITER_BYTES = 15,
};

enum mustache_kind {
	MUSTACHE_LITERAL,
	MUSTACHE_ESCAPED,
	MUSTACHE_RAW,
	MUSTACHE_SECTION,
	MUSTACHE_INVERTED,
	MUSTACHE_END,
};

struct mustache_token {
	enum mustache_kind kind;
	struct text text; /* the literal or the name; no NUL follows it */
	size_t line;	  /* of the tag, counted from 1 */
	size_t end;	  /* of a section: the place of its MUSTACHE_END */
};

/* Zeroed it is empty. The tokens borrow from the source. */
struct mustache {
	struct mustache_token *tokens;
	size_t count;
	size_t room;
};

/*
 * On success the caller calls mustache_finish on *out; on error nothing is
 * owned. A fault in the template is ERROR_CONFIG with a sentence that gives
 * `name` and the line.
 */
enum error_code mustache_parse(struct text source, const char *name, struct mustache *out,
			       struct error *e);

void mustache_finish(struct mustache *m);

#endif
