/*
 * inline: moves the style sheets of an HTML page into style attributes, for
 * the many mail programs that ignore style sheets.
 *
 * Only styles change: every byte of the page that is neither in a style
 * attribute nor in a <style> is in the result as it was, conditional comments,
 * VML, entities and mistakes included.
 *
 * Taken are the <style> of CSS for all media, wherever they are; one with
 * data-premailer="ignore" stays as it is. What cannot be said in an attribute
 * is gathered in one <style> at the end of the head: rules with selectors like
 * a:hover or ::before or *, @media and all other @-rules. To have an effect
 * beside style attributes the declarations of these rules become important;
 * except under a bare *, which every other rule beats as before.
 *
 * How the rules are weighed against each other: mail/cascade.h. Which
 * selectors are understood: mail/selector.h. Classes and ids stay, and nothing
 * is made of a style but style: no width or bgcolor.
 */
#ifndef FLEXI_MAIL_INLINE_H
#define FLEXI_MAIL_INLINE_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/text.h"

/* For pages that have style sheets; see also mail/page.h. */
enum {
	MAX_INLINE_CSS_BYTES = 512 * 1024,
	MAX_INLINE_SELECTORS = 10000,
	/* Comparisons of an element with a part of a selector. */
	MAX_INLINE_EFFORT = 10 * 1000 * 1000,
	/* Declarations, counted for each element that they apply to. */
	MAX_INLINE_DECLARATIONS = 2 * 1000 * 1000,
	/* What style attributes may add to the page. */
	MAX_INLINE_ADDED_BYTES = 8 * 1024 * 1024,
};

/*
 * Appends html with its styles inlined to *out. A page without a style sheet
 * passes as it is, whatever its size. ERROR_TOO_LARGE names the limit, in a
 * sentence that begins with `what`; on error *out is of no use.
 */
enum error_code inline_styles(struct text html, const char *what, struct buffer *out,
			      struct error *e);

#endif
