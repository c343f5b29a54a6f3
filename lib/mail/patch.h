/*
 * patch: changes to a text, gathered in any order and made at once.
 *
 * A byte that no change removes is in the result as it was. Of two changes
 * that overlap, the one that begins later is dropped; at one place insertions
 * come before a removal. Zeroed, a struct patches has no changes.
 */
#ifndef FLEXI_MAIL_PATCH_H
#define FLEXI_MAIL_PATCH_H

#include "core/buffer.h"
#include "core/text.h"

struct patch {
	size_t at, removed; /* bytes of the source */
	size_t from, added; /* bytes of patches.added, which stand in their place */
	size_t number;	    /* in the order of patch_add */
};

struct patches {
	struct patch *list;
	size_t count, room;
	struct buffer added;
	bool failed; /* memory was short; patch_apply says so again */
};

/* Replaces the `removed` bytes at `at` by `text`, which is copied. Either may be nothing. */
void patch_add(struct patches *p, size_t at, size_t removed, struct text text);

/* Appends the changed source to out; returns false when memory was short. */
bool patch_apply(struct patches *p, struct text source, struct buffer *out);

void patch_finish(struct patches *p);

#endif
