/*
 * arena: memory that is taken piece by piece and given back all at once.
 *
 * Set `limit`, the bytes it may take in all, and leave the rest zero. Pieces
 * are aligned for any type and live until arena_finish, which leaves an arena
 * that may be used again.
 */
#ifndef FLEXI_MAIL_ARENA_H
#define FLEXI_MAIL_ARENA_H

#include <stddef.h>

#include "core/cleanup.h"
#include "core/text.h"

struct arena_block;

struct arena {
	size_t limit;
	size_t taken;
	struct arena_block *blocks;
	char *at; /* the free rest of the newest block */
	size_t left;
};

/* n bytes, not cleared; NULL past the limit, or when memory is short. */
void *arena_take(struct arena *a, size_t n);

/* A copy with a NUL after it, or NULL. */
char *arena_copy(struct arena *a, struct text t);

void arena_finish(struct arena *a);

#endif
