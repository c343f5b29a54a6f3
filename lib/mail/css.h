/*
 * css: reads as much of a style sheet as inlining needs (CSS Syntax Level 3).
 *
 * A sheet is cut into statements, the block of a rule into declarations; what
 * selectors and values mean is for others. Nothing is copied and no memory
 * taken: what comes out is a part of what went in, without a NUL after it, and
 * without blanks at its ends. Mistakes are stepped over the way that browsers do it.
 */
#ifndef FLEXI_MAIL_CSS_H
#define FLEXI_MAIL_CSS_H

#include "core/buffer.h"
#include "core/text.h"

/* Space, tab, newline, carriage return, form feed. */
bool css_is_blank(char c);

/* Whether c may stand in a name; bytes over 0x7F are parts of letters. */
bool css_is_name(char c);

/*
 * The first byte from s on that is one of `stops` and lies outside strings,
 * escapes and brackets of any kind that were opened after s; end if there is none.
 */
const char *css_skip(const char *s, const char *end, const char *stops);

/* Without blanks at its ends. */
struct text css_trim(const char *s, const char *end);

/* The next part of *rest, which is cut at commas; *rest becomes what follows. False at its end. */
bool css_next_part(struct text *rest, struct text *part);

/* Appends sheet to out without its comments. */
void css_without_comments(struct text sheet, struct buffer *out);

enum css_kind {
	CSS_RULE,     /* prelude: the selectors; block: the declarations */
	CSS_GROUP,    /* @media and its like: the block holds statements */
	CSS_VERBATIM, /* any other at-rule, and a rule with rules inside: taken as a whole */
};

struct css_statement {
	enum css_kind kind;
	struct text whole;
	struct text prelude; /* what stands before the block */
	struct text block;   /* what stands between the braces */
};

/* Takes one statement off the front of *rest, which is free of comments. False at its end. */
bool css_next_statement(struct text *rest, struct css_statement *out);

struct css_declaration {
	struct text name;  /* as it was written */
	struct text value; /* without !important */
	bool important;
};

/* The same for declarations, of a block or of a style attribute. What is none is stepped over. */
bool css_next_declaration(struct text *rest, struct css_declaration *out);

#endif
