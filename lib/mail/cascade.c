/* cascade: sorts what was applied to an element, and lets the later one win. */
#include "mail/cascade.h"

#include <stdlib.h>

struct cascade_match {
	struct cascade_match *next;
	struct cascade_rule rule;
	uint32_t specificity, order;
};

void cascade_begin(struct cascade *c, struct arena *arena, size_t element_count)
{
	*c = (struct cascade){
		.arena = arena,
		.properties = g_hash_table_new(g_str_hash, g_str_equal),
		.declarations = g_array_new(FALSE, FALSE, sizeof(struct cascade_declaration)),
		.matches = calloc(element_count, sizeof(struct cascade_match *)),
		.list = g_array_new(FALSE, FALSE, sizeof(struct cascade_match *)),
		.places = g_array_new(FALSE, TRUE, sizeof(size_t)),
		.element_count = element_count,
	};
	c->failed = !c->matches;
}

void cascade_finish(struct cascade *c)
{
	g_hash_table_unref(c->properties);
	g_array_free(c->declarations, TRUE);
	free(c->chosen);
	g_array_free(c->list, TRUE);
	g_array_free(c->places, TRUE);
	free(c->matches);
}

static bool is_custom(struct text name)
{
	return name.n >= 2 && name.s[0] == '-' && name.s[1] == '-';
}

static bool add_declaration(struct cascade *c, const struct css_declaration *d)
{
	char *name = arena_copy(c->arena, d->name);
	if (!name)
		return false;
	for (char *letter = name; !is_custom(d->name) && *letter; letter++)
		*letter = g_ascii_tolower(*letter);
	gpointer known = NULL;
	gpointer number = NULL;
	if (!g_hash_table_lookup_extended(c->properties, name, &known, &number)) {
		number = GSIZE_TO_POINTER(g_hash_table_size(c->properties) + 1);
		g_hash_table_insert(c->properties, name, number);
	}
	struct cascade_declaration added = {
		.property = GPOINTER_TO_SIZE(number),
		.name = name,
		.value = d->value,
		.important = d->important,
	};
	g_array_append_val(c->declarations, added);
	return true;
}

struct cascade_rule cascade_declare(struct cascade *c, struct text block)
{
	struct cascade_rule rule = { .first = c->declarations->len };
	struct css_declaration d;
	while (css_next_declaration(&block, &d))
		c->failed |= !add_declaration(c, &d);
	rule.count = c->declarations->len - rule.first;
	return rule;
}

void cascade_next(struct cascade *c)
{
	c->order++;
}

void cascade_apply(struct cascade *c, size_t element, struct cascade_rule rule,
		   uint32_t specificity)
{
	struct cascade_match *match = c->failed ? NULL : arena_take(c->arena, sizeof(*match));
	if (!match) {
		c->failed = true;
		return;
	}
	*match = (struct cascade_match){ c->matches[element], rule, specificity, c->order };
	c->matches[element] = match;
}

static int compare(const void *a, const void *b)
{
	const struct cascade_match *x = *(struct cascade_match *const *)a;
	const struct cascade_match *y = *(struct cascade_match *const *)b;
	if (x->specificity != y->specificity)
		return x->specificity < y->specificity ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static const struct cascade_declaration *declaration(const struct cascade *c, size_t i)
{
	return &g_array_index(c->declarations, struct cascade_declaration, i);
}

/* The declarations of a rule that are important, or those that are not, go after all chosen so far. */
static void choose(struct cascade *c, struct cascade_rule rule, bool important)
{
	size_t *places = (size_t *)(void *)c->places->data;
	for (size_t i = rule.first; i < rule.first + rule.count; i++) {
		const struct cascade_declaration *d = declaration(c, i);
		if (d->important != important)
			continue;
		/* The place counts from 1, and may be left over from another element. */
		size_t *place = &places[d->property];
		const struct cascade_declaration *loser = NULL;
		if (*place > 0 && *place <= c->chosen_count)
			loser = c->chosen[*place - 1];
		if (loser && loser->property == d->property)
			c->chosen[*place - 1] = NULL;
		c->chosen[c->chosen_count++] = d;
		*place = c->chosen_count;
	}
}

static void write_declaration(const struct cascade_declaration *d, bool important,
			      struct buffer *out)
{
	buffer_append_string(out, d->name);
	buffer_append_string(out, ":");
	buffer_append_text(out, d->value);
	if (important)
		buffer_append_string(out, " !important");
}

static void write_chosen(const struct cascade *c, struct buffer *out)
{
	const char *separator = "";
	for (size_t i = 0; i < c->chosen_count; i++) {
		const struct cascade_declaration *d = c->chosen[i];
		if (!d)
			continue;
		buffer_append_string(out, separator);
		write_declaration(d, d->important, out);
		separator = ";";
	}
}

/* Makes room in `chosen` for all declarations that apply to an element. */
static bool make_room(struct cascade *c, size_t count)
{
	if (count <= c->chosen_room)
		return true;
	const struct cascade_declaration **grown =
		reallocarray(c->chosen, count, sizeof(struct cascade_declaration *));
	if (!grown)
		return false;
	c->chosen = grown;
	c->chosen_room = count;
	return true;
}

/* Lists the matches of an element in rising rank, and counts the declarations. */
static void list_matches(struct cascade *c, size_t element, size_t *count)
{
	g_array_set_size(c->list, 0);
	for (struct cascade_match *m = c->matches[element]; m; m = m->next) {
		g_array_append_val(c->list, m);
		*count += m->rule.count;
	}
	qsort(c->list->data, c->list->len, sizeof(struct cascade_match *), compare);
}

void cascade_style(struct cascade *c, size_t element, const char *own, struct buffer *out)
{
	if (c->failed || !c->matches[element])
		return;
	struct cascade_rule attribute = cascade_declare(c, text_of(own));
	size_t count = attribute.count;
	list_matches(c, element, &count);
	c->chosen_count = 0;
	g_array_set_size(c->places, g_hash_table_size(c->properties) + 1);
	c->failed |= !make_room(c, count);
	for (int important = 0; !c->failed && important <= 1; important++) {
		for (size_t i = 0; i < c->list->len; i++)
			choose(c, g_array_index(c->list, struct cascade_match *, i)->rule,
			       important);
		choose(c, attribute, important);
	}
	write_chosen(c, out);
	/* Nobody else needs what the attribute said. */
	g_array_set_size(c->declarations, (guint)attribute.first);
}

void cascade_write(const struct cascade *c, struct cascade_rule rule, bool important,
		   struct buffer *out)
{
	for (size_t i = rule.first; i < rule.first + rule.count; i++) {
		const struct cascade_declaration *d = declaration(c, i);
		write_declaration(d, important || d->important, out);
		buffer_append_string(out, ";\n");
	}
}
