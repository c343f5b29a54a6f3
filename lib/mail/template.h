/*
 * template: text from a template and values.
 *
 * The language is mustache without partials (see mail/mustache.h), the values
 * are a JSON object: {{a.b}} is the member b of a, a name is looked for in the
 * innermost section first, a section over a list is repeated for each item,
 * {{.}} is the item itself. false, null, "" and an empty list close a section.
 *
 * A value that a template names must be there: a mail with a hole in it is
 * worse than none. What is optional stands in a section of its own name,
 * {{#name}}Dear {{name}}{{/name}}; null is a value, and writes nothing.
 */
#ifndef FLEXI_MAIL_TEMPLATE_H
#define FLEXI_MAIL_TEMPLATE_H

#include <json-c/json_object.h>

#include "core/buffer.h"
#include "core/error.h"
#include "core/text.h"

/* What lies in TEMPLATES_DIR, and what comes out. */
enum {
	MAX_TEMPLATE_BYTES = 512 * 1024,
	MAX_TEMPLATE_NAME_BYTES = 64,
	MAX_RENDERED_BYTES = 32 * 1024 * 1024,
	/* Tokens that one rendering may pass: lists in lists multiply. */
	MAX_TEMPLATE_STEPS = 10 * 1000 * 1000,
};

struct template_options {
	const char *name; /* of the template, for the sentence of an error */
	bool html;	  /* {{x}} escapes & < > " ' */
	bool lenient;	  /* a value that is missing is empty, as mustache has it */
};

/*
 * Appends to *out what source makes of values. A value that is missing, or is
 * an object or a list where text belongs, is ERROR_BAD_INPUT and names it; a
 * fault in the template is ERROR_CONFIG; too much is ERROR_TOO_LARGE. On error
 * what *out holds is of no use.
 */
enum error_code template_render(struct text source, struct json_object *values,
				const struct template_options *options, struct buffer *out,
				struct error *e);

/*
 * The same for the file `name` in TEMPLATES_DIR, which is read each time, so
 * that a change counts from the next mail on; escaped if it ends in ".html".
 * The name is letters, digits, "-", "_" and dots, not at its beginning: so it
 * stays in the directory. No such file: ERROR_BAD_INPUT, which names it.
 */
enum error_code template_render_file(const char *name, struct json_object *values,
				     struct buffer *out, struct error *e);

#endif
