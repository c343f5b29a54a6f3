/*
 * selector: whether an element of a page is meant by a selector (Selectors Level 3).
 *
 * Understood are names of elements, .classes, #ids, [attributes] with all
 * operators, :first-child, :last-child, :only-child, :nth-child(an+b), joined
 * by blank, >, + and ~. Everything else either depends on more than the page
 * (:hover, ::before), or is * or rare: it cannot be moved into the elements and
 * stays in a style sheet.
 */
#ifndef FLEXI_MAIL_SELECTOR_H
#define FLEXI_MAIL_SELECTOR_H

#include <stdint.h>

#include "core/text.h"
#include "mail/arena.h"
#include "mail/page.h"

/* Selectors that are longer stay in the style sheet. */
enum { MAX_SELECTOR_STEPS = 16, MAX_SELECTOR_TESTS = 32 };

enum selector_test_kind {
	TEST_CLASS,
	TEST_ID,
	TEST_ATTRIBUTE,
	TEST_FIRST_CHILD,
	TEST_LAST_CHILD,
	TEST_NTH_CHILD,
};

struct selector_test {
	enum selector_test_kind kind;
	char operator; /* of an attribute: 0 (it is there), = ~ | ^ $ * */
	const char *name, *value;
	long step, offset; /* of :nth-child(an+b): a and b */
};

/* What is said about one element, and how that one relates to the next to its left. */
struct selector_step {
	char combinator;     /* 0 in the first, then ' ', '>', '+' or '~' */
	const char *tag;     /* in small letters, or NULL */
	size_t first, count; /* its tests */
};

struct selector {
	struct selector_step steps[MAX_SELECTOR_STEPS];
	struct selector_test tests[MAX_SELECTOR_TESTS];
	size_t step_count, test_count;
	uint32_t specificity; /* the greater one wins */
};

/* Fills *out, with names in arena. Returns whether the selector can be moved into elements. */
bool selector_read(struct text source, struct arena *arena, struct selector *out);

/*
 * The elements to try, among which are all that the selector means; *count is
 * how many. NULL with a *count over 0: the first *count of the page.
 */
const size_t *selector_candidates(const struct selector *s, const struct page *page, size_t *count);

/*
 * Whether the selector means the element. Each comparison takes the
 * weight of the element that is looked at off *effort; at 0 the answer is
 * false and worth nothing.
 */
bool selector_matches(const struct selector *s, const struct page *page, size_t element,
		      size_t *effort);

#endif
