/*
 * gob_cursor: reads the scalars of gob off a run of bytes. For the files of gob.
 *
 * What cannot be read breaks the cursor and gives 0 or "": so a chain of reads
 * is checked once, at its end. Every value takes a byte at least, so what can
 * be asked of us is bounded by what was sent.
 */
#ifndef FLEXI_WIRE_GOB_CURSOR_H
#define FLEXI_WIRE_GOB_CURSOR_H

#include <stdint.h>

#include "core/text.h"

struct gob_cursor {
	const unsigned char *at, *end;
	bool broken;
	int depth; /* of values within values */
};

struct gob_cursor gob_cursor_of(struct text bytes);

/* Breaks it. Returns 0. */
uint64_t gob_break(struct gob_cursor *c);

/* Whether it was read to its end and not broken. */
bool gob_cursor_is_done(const struct gob_cursor *c);

uint64_t gob_get_uint(struct gob_cursor *c);
int64_t gob_get_int(struct gob_cursor *c);

/* A length, and so many bytes. */
struct text gob_get_text(struct gob_cursor *c);

/* The number of a struct's next field, -1 at its end. *last is the one before, -1 at first. */
int64_t gob_get_field(struct gob_cursor *c, int64_t *last);

#endif
