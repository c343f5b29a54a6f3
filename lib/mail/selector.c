/* selector: tries a selector on an element, from right to left. */
#include "mail/selector.h"

#include <string.h>

const size_t *selector_candidates(const struct selector *s, const struct page *page, size_t *count)
{
	const struct selector_step *step = &s->steps[s->step_count - 1];
	const struct selector_test *best = NULL;
	for (size_t i = 0; i < step->count; i++) {
		const struct selector_test *test = &s->tests[step->first + i];
		if (test->kind == TEST_ID || (test->kind == TEST_CLASS && !best))
			best = test;
	}
	if (best)
		return page_lookup(page, best->kind == TEST_ID ? '#' : '.', best->name, count);
	if (step->tag)
		return page_lookup(page, 't', step->tag, count);
	*count = page->count;
	return NULL;
}

/* Whether one of the words of list is word. */
static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);
	while (n > 0 && *list) {
		size_t length = strcspn(list, " \t\n\r\f");
		if (length == n && memcmp(list, word, n) == 0)
			return true;
		list += length + (list[length] != '\0');
	}
	return false;
}

static bool attribute_matches(const struct selector_test *test, const char *is)
{
	if (!is || !test->operator)
		return is;
	size_t n = strlen(test->value);
	size_t length = strlen(is);
	switch (test->operator) {
	case '=':
		return strcmp(is, test->value) == 0;
	case '~':
		return has_word(is, test->value);
	case '|':
		return strncmp(is, test->value, n) == 0 && (is[n] == '\0' || is[n] == '-');
	case '^':
		return n > 0 && strncmp(is, test->value, n) == 0;
	case '$':
		return n > 0 && length >= n && strcmp(is + length - n, test->value) == 0;
	default:
		return n > 0 && strstr(is, test->value);
	}
}

static bool nth_matches(const struct selector_test *test, size_t position)
{
	long distance = (long)position - test->offset;
	if (test->step == 0)
		return distance == 0;
	return distance % test->step == 0 && distance / test->step >= 0;
}

static bool test_matches(const struct selector_test *test, const struct element *element)
{
	switch (test->kind) {
	case TEST_CLASS:
		return element->class_names && has_word(element->class_names, test->name);
	case TEST_ID:
		return element->id && strcmp(element->id, test->name) == 0;
	case TEST_ATTRIBUTE:
		return attribute_matches(test, page_attribute(element, test->name));
	case TEST_FIRST_CHILD:
		return element->previous == PAGE_NONE;
	case TEST_LAST_CHILD:
		return element->next == PAGE_NONE;
	case TEST_NTH_CHILD:
		return nth_matches(test, element->position);
	}
	return false;
}

static bool step_matches(const struct selector *s, size_t number, const struct element *element)
{
	const struct selector_step *step = &s->steps[number];
	if (step->tag && strcmp(step->tag, element->tag) != 0)
		return false;
	for (size_t i = 0; i < step->count; i++) {
		if (!test_matches(&s->tests[step->first + i], element))
			return false;
	}
	return true;
}

/* Whether the steps up to `number` match with that one at element. */
static bool matches(const struct selector *s, size_t number, const struct page *page,
		    size_t element, size_t *effort)
{
	const struct element *is = &page->elements[element];
	*effort -= *effort < is->weight ? *effort : is->weight;
	if (*effort == 0)
		return false;
	if (!step_matches(s, number, is))
		return false;
	if (number == 0)
		return true;
	char combinator = s->steps[number].combinator;
	bool siblings = combinator == '+' || combinator == '~';
	bool once = combinator == '>' || combinator == '+';
	size_t other = siblings ? is->previous : is->parent;
	while (other != PAGE_NONE) {
		if (matches(s, number - 1, page, other, effort))
			return true;
		if (once || *effort == 0)
			return false;
		is = &page->elements[other];
		other = siblings ? is->previous : is->parent;
	}
	return false;
}

bool selector_matches(const struct selector *s, const struct page *page, size_t element,
		      size_t *effort)
{
	return matches(s, s->step_count - 1, page, element, effort);
}
