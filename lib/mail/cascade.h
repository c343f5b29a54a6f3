/*
 * cascade: which declarations an element ends up with (CSS Cascading and
 * Inheritance Level 3, for one author and one page).
 *
 * Important declarations beat others, then the greater specificity wins, then
 * the later rule; a style attribute beats every rule of equal importance. Of
 * each property the winner stays, at its place in that order: so a shorthand
 * and what refines it stay in the order that counts. Names of properties are
 * written in small letters, but for --custom ones.
 */
#ifndef FLEXI_MAIL_CASCADE_H
#define FLEXI_MAIL_CASCADE_H

#include <glib.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/text.h"
#include "mail/arena.h"
#include "mail/css.h"

struct cascade_declaration {
	size_t property; /* a number for its name */
	const char *name;
	struct text value;
	bool important;
};

/* A run of declarations: those of one rule. */
struct cascade_rule {
	size_t first, count;
};

struct cascade_match; /* a rule that means an element, with what decides its rank */

struct cascade {
	struct arena *arena;
	GHashTable *properties;		/* names into numbers, from 1 */
	GArray *declarations;		/* struct cascade_declaration */
	struct cascade_match **matches; /* a list for each element */
	/* For cascade_style, kept from element to element. */
	GArray *list;				   /* the element's matches */
	const struct cascade_declaration **chosen; /* in their order; NULL: another won */
	size_t chosen_count, chosen_room;
	GArray *places; /* of each property in `chosen` */
	size_t element_count;
	uint32_t order; /* of the rule that was last applied */
	bool failed;	/* memory was short, or the arena is used up */
};

/* Values and names must stay valid; names that are made go into arena. Call cascade_finish. */
void cascade_begin(struct cascade *c, struct arena *arena, size_t element_count);
void cascade_finish(struct cascade *c);

/* Takes in the declarations of a block. */
struct cascade_rule cascade_declare(struct cascade *c, struct text block);

/* The selector of a rule, later than all before it. */
void cascade_next(struct cascade *c);

/* That selector means the element. */
void cascade_apply(struct cascade *c, size_t element, struct cascade_rule rule,
		   uint32_t specificity);

/*
 * Appends the style of an element, with `own` being its style attribute, as
 * "name:value;name:value". Nothing if no rule was applied to it.
 */
void cascade_style(struct cascade *c, size_t element, const char *own, struct buffer *out);

/* Appends the declarations of a rule as a style sheet has them; all important if that is asked. */
void cascade_write(const struct cascade *c, struct cascade_rule rule, bool important,
		   struct buffer *out);

#endif
