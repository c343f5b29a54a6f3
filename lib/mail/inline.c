/* inline: takes the sheets out, applies their rules, and writes what is left and what has won. */
#include "mail/inline.h"

#include <strings.h>

#include "core/utf8.h"
#include "mail/cascade.h"
#include "mail/css.h"
#include "mail/page.h"
#include "mail/patch.h"
#include "mail/selector.h"

/* How deep groups of rules may nest before the inner ones are taken as they are. */
enum { MAX_GROUP_DEPTH = 8 };

struct inlining {
	struct page page;
	struct cascade cascade;
	struct patches patches;
	struct buffer css;     /* the sheets, without comments; as long as there are declarations */
	struct buffer imports; /* @import rules that stay: they must come first */
	struct buffer kept;    /* the other rules that stay */
	struct selector selector;
	size_t selectors, effort, declarations;
	const char *what;
	struct error *e;
};

static enum error_code too_much(const struct inlining *in, const char *sentence, int limit)
{
	return error_set(in->e, ERROR_TOO_LARGE, "%s: more than %d %s", in->what, limit, sentence);
}

static bool has_style_sheet(struct text html)
{
	const char *end = html.s + html.n;
	for (const char *s = html.s; s < end && (s = memchr(s, '<', (size_t)(end - s))); s++) {
		if (end - s >= 6 && strncasecmp(s, "<style", 6) == 0)
			return true;
	}
	return false;
}

/* Applies a rule to the elements that its selector means. */
static enum error_code apply(struct inlining *in, struct cascade_rule rule)
{
	size_t count;
	const size_t *list = selector_candidates(&in->selector, &in->page, &count);
	cascade_next(&in->cascade);
	for (size_t i = 0; i < count; i++) {
		size_t element = list ? list[i] : i;
		if (!selector_matches(&in->selector, &in->page, element, &in->effort)) {
			if (in->effort == 0)
				return too_much(in, "comparisons of elements and selectors",
						MAX_INLINE_EFFORT);
			continue;
		}
		in->declarations += rule.count;
		if (in->declarations > MAX_INLINE_DECLARATIONS)
			return too_much(in, "declarations for all elements together",
					MAX_INLINE_DECLARATIONS);
		cascade_apply(&in->cascade, element, rule, in->selector.specificity);
	}
	return ERROR_NONE;
}

static void keep_rule(struct inlining *in, struct text selector, struct cascade_rule rule)
{
	bool everything = selector.n == 1 && selector.s[0] == '*';
	buffer_append_text(&in->kept, selector);
	buffer_append_string(&in->kept, " {\n");
	cascade_write(&in->cascade, rule, !everything, &in->kept);
	buffer_append_string(&in->kept, "}\n");
}

static void keep_verbatim(struct inlining *in, const struct css_statement *s)
{
	bool import = s->prelude.n >= 7 && strncasecmp(s->prelude.s, "@import", 7) == 0;
	struct buffer *to = import ? &in->imports : &in->kept;
	buffer_append_text(to, s->whole);
	if (s->block.n == 0 && s->whole.s[s->whole.n - 1] != ';' &&
	    s->whole.s[s->whole.n - 1] != '}')
		buffer_append_string(to, ";");
	buffer_append_string(to, "\n");
}

static enum error_code take_rule(struct inlining *in, const struct css_statement *s)
{
	struct cascade_rule rule = cascade_declare(&in->cascade, s->block);
	struct text rest = s->prelude;
	struct text selector;
	enum error_code code = ERROR_NONE;
	while (!code && rule.count > 0 && css_next_part(&rest, &selector)) {
		if (++in->selectors > MAX_INLINE_SELECTORS)
			return too_much(in, "selectors", MAX_INLINE_SELECTORS);
		if (selector.n == 0)
			continue;
		if (selector_read(selector, &in->page.arena, &in->selector))
			code = apply(in, rule);
		else
			keep_rule(in, selector, rule);
	}
	return code;
}

/* Writes the rules within @media and its like, each with all its declarations important. */
static void keep_group(struct inlining *in, const struct css_statement *group, int depth)
{
	struct text rest = group->block;
	struct css_statement s;
	buffer_append_text(&in->kept, group->prelude);
	buffer_append_string(&in->kept, " {\n");
	while (css_next_statement(&rest, &s)) {
		if (s.kind == CSS_GROUP && depth < MAX_GROUP_DEPTH)
			keep_group(in, &s, depth + 1);
		else if (s.kind == CSS_RULE)
			keep_rule(in, s.prelude, cascade_declare(&in->cascade, s.block));
		else
			keep_verbatim(in, &s);
	}
	buffer_append_string(&in->kept, "}\n");
}

static enum error_code take_sheet(struct inlining *in, struct text css)
{
	struct css_statement s;
	enum error_code code = ERROR_NONE;
	while (!code && css_next_statement(&css, &s)) {
		if (s.kind == CSS_RULE)
			code = take_rule(in, &s);
		else if (s.kind == CSS_GROUP)
			keep_group(in, &s, 1);
		else
			keep_verbatim(in, &s);
	}
	return code;
}

/* Removes the sheets from the page and takes their rules in. */
static enum error_code take_sheets(struct inlining *in)
{
	size_t total = 0;
	enum error_code code = ERROR_NONE;
	for (size_t i = 0; i < in->page.sheet_count; i++)
		total += in->page.sheets[i].css.n;
	if (total > MAX_INLINE_CSS_BYTES)
		return too_much(in, "bytes of style sheets", MAX_INLINE_CSS_BYTES);
	/* Comments only become less: nothing that points into the buffer may be moved. */
	if (!buffer_room(&in->css, total + 1))
		return error_set(in->e, ERROR_INTERNAL, "out of memory");
	for (size_t i = 0; !code && i < in->page.sheet_count; i++) {
		const struct page_sheet *sheet = &in->page.sheets[i];
		size_t from = in->css.size;
		patch_add(&in->patches, sheet->at, sheet->size, text_of(""));
		css_without_comments(sheet->css, &in->css);
		code = take_sheet(in, (struct text){ in->css.bytes + from, in->css.size - from });
	}
	return code;
}

static void append_escaped(struct buffer *out, struct text value)
{
	size_t written = 0;
	for (size_t i = 0; i < value.n; i++) {
		char c = value.s[i];
		if (c != '"' && c != '&')
			continue;
		buffer_append(out, value.s + written, i - written);
		buffer_append_string(out, c == '"' ? "&quot;" : "&amp;");
		written = i + 1;
	}
	buffer_append(out, value.s + written, value.n - written);
}

/* Writes the style attribute of one element, if rules apply to it. */
static void style_element(struct inlining *in, size_t number, struct buffer *style,
			  struct buffer *attribute)
{
	const struct element *element = &in->page.elements[number];
	size_t at, size;
	buffer_clear(style);
	cascade_style(&in->cascade, number, element->style, style);
	if (style->size == 0 || !page_style_place(&in->page, element, &at, &size))
		return;
	buffer_clear(attribute);
	buffer_append_string(attribute, size == 0 ? " style=\"" : "style=\"");
	append_escaped(attribute, buffer_text(style));
	buffer_append_string(attribute, "\"");
	patch_add(&in->patches, at, size, buffer_text(attribute));
}

static enum error_code style_elements(struct inlining *in)
{
	CLEANUP(buffer_finish) struct buffer style = { 0 };
	CLEANUP(buffer_finish) struct buffer attribute = { 0 };
	for (size_t i = 0; i < in->page.count; i++) {
		style_element(in, i, &style, &attribute);
		if (in->patches.added.size > MAX_INLINE_ADDED_BYTES)
			return too_much(in, "bytes of styles for all elements together",
					MAX_INLINE_ADDED_BYTES);
	}
	if (style.failed || attribute.failed || in->cascade.failed)
		return error_set(in->e, ERROR_TOO_LARGE, "%s: its styles are too much to inline",
				 in->what);
	return ERROR_NONE;
}

static void put_kept(struct inlining *in)
{
	CLEANUP(buffer_finish) struct buffer style = { 0 };
	if (in->imports.size + in->kept.size == 0)
		return;
	buffer_append_string(&style, "<style type=\"text/css\">\n");
	buffer_append_text(&style, buffer_text(&in->imports));
	buffer_append_text(&style, buffer_text(&in->kept));
	buffer_append_string(&style, "</style>");
	patch_add(&in->patches, in->page.head, 0, buffer_text(&style));
	in->patches.failed |= style.failed || in->imports.failed || in->kept.failed;
}

static enum error_code run(struct inlining *in, struct buffer *out)
{
	enum error_code code;
	if ((code = take_sheets(in)) || (code = style_elements(in)))
		return code;
	put_kept(in);
	if (!patch_apply(&in->patches, in->page.source, out))
		return error_set(in->e, ERROR_INTERNAL, "out of memory");
	return ERROR_NONE;
}

enum error_code inline_styles(struct text html, const char *what, struct buffer *out,
			      struct error *e)
{
	if (!has_style_sheet(html)) {
		buffer_append_text(out, html);
		return out->failed ? error_set(e, ERROR_INTERNAL, "out of memory") : ERROR_NONE;
	}
	if (!utf8_is_valid(html))
		return error_set(e, ERROR_UNPROCESSABLE, "%s: not UTF-8", what);
	struct inlining in = { .effort = MAX_INLINE_EFFORT, .what = what, .e = e };
	enum error_code code = page_parse(html, what, &in.page, e);
	if (code)
		return code;
	cascade_begin(&in.cascade, &in.page.arena, in.page.count);
	code = run(&in, out);
	buffer_finish(&in.css);
	buffer_finish(&in.imports);
	buffer_finish(&in.kept);
	patch_finish(&in.patches);
	cascade_finish(&in.cascade);
	page_finish(&in.page);
	return code;
}
