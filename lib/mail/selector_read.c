/* selector_read: a selector, read from left to right. */
#include "mail/selector.h"

#include <glib.h>
#include <stdlib.h>
#include <strings.h>

#include "mail/css.h"

enum {
	MAX_NAME_BYTES = 255,
	MAX_HEX_DIGITS = 6, /* of an escape */
	/* Room in the specificity for each of its three counts. */
	SPECIFICITY_TAG = 1,
	SPECIFICITY_CLASS = 1 << 10,
	SPECIFICITY_ID = 1 << 20,
};

struct reader {
	const char *at, *end;
	struct arena *arena;
	struct selector *out;
};

static bool at_end(const struct reader *r)
{
	return r->at == r->end;
}

static bool take(struct reader *r, char c)
{
	if (at_end(r) || *r->at != c)
		return false;
	r->at++;
	return true;
}

static void skip_blanks(struct reader *r)
{
	while (!at_end(r) && css_is_blank(*r->at))
		r->at++;
}

/* Reads the escape after a backslash into room; returns its length, or 0. */
static size_t read_escape(struct reader *r, char room[6])
{
	gunichar c = 0;
	int digits = 0;
	if (at_end(r) || *r->at == '\n')
		return 0;
	for (; digits < MAX_HEX_DIGITS && !at_end(r) && g_ascii_isxdigit(*r->at); digits++)
		c = c * 16 + (gunichar)g_ascii_xdigit_value(*r->at++);
	if (digits == 0) {
		room[0] = *r->at++;
		return 1;
	}
	if (!at_end(r) && css_is_blank(*r->at))
		r->at++;
	if (c == 0 || !g_unichar_validate(c))
		c = 0xFFFD;
	return (size_t)g_unichar_to_utf8(c, room);
}

/* Reads a name into the arena; NULL if there is none. */
static char *read_name(struct reader *r)
{
	char name[MAX_NAME_BYTES + 1];
	size_t n = 0;
	const char *start = r->at;
	if (!at_end(r) && g_ascii_isdigit(*start))
		return NULL;
	if (r->end - start >= 2 && start[0] == '-' && g_ascii_isdigit(start[1]))
		return NULL;
	while (!at_end(r) && n + 6 < sizeof(name)) {
		if (css_is_name(*r->at)) {
			name[n++] = *r->at++;
			continue;
		}
		if (!take(r, '\\'))
			break;
		size_t more = read_escape(r, name + n);
		if (more == 0)
			return NULL;
		n += more;
	}
	if (n == 0 || (!at_end(r) && css_is_name(*r->at)))
		return NULL;
	return arena_copy(r->arena, (struct text){ name, n });
}

/* A name in small letters. */
static char *read_plain_name(struct reader *r)
{
	char *name = read_name(r);
	for (char *c = name; c && *c; c++)
		*c = g_ascii_tolower(*c);
	return name;
}

/* A value between quotation marks; one with an escape in it is left to the style sheet. */
static char *read_string(struct reader *r)
{
	char quote = *r->at++;
	const char *start = r->at;
	while (!at_end(r) && *r->at != quote) {
		if (*r->at == '\\' || *r->at == '\n')
			return NULL;
		r->at++;
	}
	struct text value = { start, (size_t)(r->at - start) };
	return take(r, quote) ? arena_copy(r->arena, value) : NULL;
}

static bool read_attribute(struct reader *r, struct selector_test *test)
{
	skip_blanks(r);
	test->kind = TEST_ATTRIBUTE;
	test->name = read_plain_name(r);
	skip_blanks(r);
	if (!test->name || at_end(r))
		return false;
	if (take(r, ']'))
		return true;
	test->operator= * r->at++;
	if (!test->operator|| !strchr("=~|^$*", test->operator))
		return false;
	if (test->operator!= '=' && !take(r, '='))
		return false;
	skip_blanks(r);
	bool quoted = !at_end(r) && (*r->at == '"' || *r->at == '\'');
	test->value = quoted ? read_string(r) : read_name(r);
	skip_blanks(r);
	return test->value && take(r, ']');
}

/* Reads a number with or without a sign; without digits it is 1 where that is allowed. */
static bool read_number(const char **s, bool bare, long *out)
{
	long sign = **s == '-' ? -1 : 1;
	if (**s == '-' || **s == '+')
		(*s)++;
	if (!g_ascii_isdigit(**s)) {
		*out = sign;
		return bare;
	}
	char *end;
	*out = sign * strtol(*s, &end, 10);
	*s = end;
	return *out > -100000 && *out < 100000;
}

/* Reads an+b, odd and even, without blanks and in small letters. */
static bool read_formula(const char *s, struct selector_test *test)
{
	if (strcmp(s, "odd") == 0 || strcmp(s, "even") == 0) {
		test->step = 2;
		test->offset = s[0] == 'o';
		return true;
	}
	test->step = 0;
	if (strchr(s, 'n')) {
		if (!read_number(&s, true, &test->step) || *s++ != 'n')
			return false;
		if (!*s)
			return true;
		if (*s != '+' && *s != '-')
			return false;
	}
	return read_number(&s, false, &test->offset) && !*s;
}

static bool read_nth_child(struct reader *r, struct selector_test *test)
{
	char formula[32];
	size_t n = 0;
	if (!take(r, '('))
		return false;
	for (; !at_end(r) && *r->at != ')'; r->at++) {
		if (css_is_blank(*r->at))
			continue;
		if (n + 1 == sizeof(formula))
			return false;
		formula[n++] = g_ascii_tolower(*r->at);
	}
	formula[n] = '\0';
	test->kind = TEST_NTH_CHILD;
	return take(r, ')') && read_formula(formula, test);
}

static struct selector_test *add_test(struct selector *s)
{
	if (s->test_count == MAX_SELECTOR_TESTS)
		return NULL;
	struct selector_test *test = &s->tests[s->test_count++];
	*test = (struct selector_test){ 0 };
	s->steps[s->step_count - 1].count++;
	return test;
}

static bool read_pseudo_class(struct reader *r, struct selector_test *test)
{
	char *name = read_plain_name(r);
	if (!name)
		return false;
	if (strcmp(name, "nth-child") == 0)
		return read_nth_child(r, test);
	test->kind = strcmp(name, "last-child") == 0 ? TEST_LAST_CHILD : TEST_FIRST_CHILD;
	if (strcmp(name, "only-child") == 0) {
		struct selector_test *second = add_test(r->out);
		if (!second)
			return false;
		second->kind = TEST_LAST_CHILD;
		return true;
	}
	return strcmp(name, "first-child") == 0 || strcmp(name, "last-child") == 0;
}

/* Reads one test of an element, whose mark is c. */
static bool read_test(struct reader *r, char c)
{
	struct selector_test *test = add_test(r->out);
	if (!test)
		return false;
	r->out->specificity += c == '#' ? SPECIFICITY_ID : SPECIFICITY_CLASS;
	if (c == ':')
		return read_pseudo_class(r, test);
	if (c == '[')
		return read_attribute(r, test);
	test->kind = c == '#' ? TEST_ID : TEST_CLASS;
	return (test->name = read_name(r));
}

/* Reads what is said about one element. */
static bool read_step(struct reader *r, char combinator)
{
	struct selector *s = r->out;
	if (s->step_count == MAX_SELECTOR_STEPS)
		return false;
	struct selector_step *step = &s->steps[s->step_count++];
	*step = (struct selector_step){ .combinator = combinator, .first = s->test_count };
	if (at_end(r))
		return false;
	if (!strchr("#.[:", *r->at)) {
		if (!(step->tag = read_plain_name(r)))
			return false;
		s->specificity += SPECIFICITY_TAG;
	}
	while (!at_end(r) && *r->at && strchr("#.[:", *r->at)) {
		char c = *r->at++;
		if (!read_test(r, c))
			return false;
	}
	return true;
}

/* Reads what stands between two steps: 0 for anything that is no combinator. */
static char read_combinator(struct reader *r)
{
	const char *start = r->at;
	skip_blanks(r);
	char combinator = r->at > start ? ' ' : '\0';
	if (!at_end(r) && *r->at && strchr(">+~", *r->at))
		combinator = *r->at++;
	skip_blanks(r);
	return combinator;
}

bool selector_read(struct text source, struct arena *arena, struct selector *out)
{
	struct text trimmed = css_trim(source.s, source.s + source.n);
	struct reader r = { trimmed.s, trimmed.s + trimmed.n, arena, out };
	out->step_count = out->test_count = 0;
	out->specificity = 0;
	if (!read_step(&r, '\0'))
		return false;
	while (!at_end(&r)) {
		char combinator = read_combinator(&r);
		if (!combinator || !read_step(&r, combinator))
			return false;
	}
	return true;
}
