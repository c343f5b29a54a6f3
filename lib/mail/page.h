/*
 * page: the elements of an HTML page, and where in its source they stand.
 *
 * Parsed by gumbo, the way that browsers do it (HTML Living Standard, "Parsing"),
 * fragments and mistakes included. gumbo knows no bounds, and takes time that
 * grows with the square of what is open: it gets its memory from an arena, and
 * is stopped there when memory or time are used up.
 */
#ifndef FLEXI_MAIL_PAGE_H
#define FLEXI_MAIL_PAGE_H

#include <glib.h>
#include <setjmp.h>
#include <stdint.h>

#include "core/error.h"
#include "core/text.h"
#include "mail/arena.h"

enum {
	MAX_PAGE_BYTES = 4 * 1024 * 1024,
	MAX_PAGE_TAGS = 25000,
	MAX_PAGE_DEPTH = 512,
	/* What the parser may take; the time is the processor's. */
	MAX_PAGE_MEMORY_BYTES = 192 * 1024 * 1024,
	MAX_PAGE_PARSE_MS = 1000,
};

/* No other element: no parent, no sibling. */
#define PAGE_NONE SIZE_MAX

struct element {
	const char *tag;	 /* in small letters */
	const char *class_names; /* NULL without the attribute; so are the next two */
	const char *id;
	const char *style;
	size_t parent, previous, next; /* elements, or PAGE_NONE */
	size_t position;	       /* among its siblings, from 1 */
	size_t weight;		       /* what looking at its attributes costs, from 1 */
	const void *node;	       /* gumbo's */
};

/* A <style> that is to be taken out, as places in the source. */
struct page_sheet {
	struct text css;
	size_t at, size;
};

struct page {
	struct text source;
	struct arena arena;
	jmp_buf stop;
	size_t pieces; /* that the parser has asked for */
	int64_t latest_ms;
	struct element *elements; /* in the order of the source */
	size_t count;
	struct page_sheet *sheets;
	size_t sheet_count;
	size_t head; /* where in the source a new <style> goes */
	GHashTable *index;
};

/*
 * Parses source, which must stay valid and be UTF-8. On success the caller
 * calls page_finish; on error nothing is owned: ERROR_TOO_LARGE with a sentence
 * that begins with `what` and names the limit.
 *
 * A style sheet is a <style> of HTML that is closed, is CSS, is for all media
 * and does not say data-premailer="ignore". What is in a <template> is no part
 * of the page.
 */
enum error_code page_parse(struct text source, const char *what, struct page *page,
			   struct error *e);
void page_finish(struct page *page);

/* The value of an attribute, NULL if the element has none of this name. */
const char *page_attribute(const struct element *element, const char *name);

/* The elements with this tag ('t'), class ('.') or id ('#'), and how many they are. */
const size_t *page_lookup(const struct page *page, char kind, const char *name, size_t *count);

/*
 * Where the style attribute of an element is written: *at and *size are the
 * attribute that is there, or the place for a new one with *size 0. Returns
 * false for an element that has no tag of its own in the source.
 */
bool page_style_place(const struct page *page, const struct element *element, size_t *at,
		      size_t *size);

#endif
