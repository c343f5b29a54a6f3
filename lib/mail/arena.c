/* arena: a list of blocks, each larger than the one before, up to a size. */
#include "mail/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum {
	ALIGNMENT = alignof(max_align_t),
	LEAST_BLOCK_BYTES = 32 * 1024,
	MOST_BLOCK_BYTES = 1024 * 1024, /* unless one piece is larger */
};

struct arena_block {
	struct arena_block *previous;
	size_t size;
	alignas(max_align_t) char bytes[];
};

static bool add_block(struct arena *a, size_t least)
{
	size_t size = a->blocks ? a->blocks->size * 2 : LEAST_BLOCK_BYTES;
	if (size > MOST_BLOCK_BYTES)
		size = MOST_BLOCK_BYTES;
	if (size < least)
		size = least;
	if (size > a->limit - a->taken)
		size = least;
	if (size > a->limit - a->taken)
		return false;
	struct arena_block *block = malloc(sizeof(*block) + size);
	if (!block)
		return false;
	*block = (struct arena_block){ .previous = a->blocks, .size = size };
	a->blocks = block;
	a->taken += size;
	a->at = block->bytes;
	a->left = size;
	return true;
}

void *arena_take(struct arena *a, size_t n)
{
	if (n > a->limit)
		return NULL;
	n = (n + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
	if (n > a->left && !add_block(a, n))
		return NULL;
	void *piece = a->at;
	a->at += n;
	a->left -= n;
	return piece;
}

char *arena_copy(struct arena *a, struct text t)
{
	char *copy = arena_take(a, t.n + 1);
	if (!copy)
		return NULL;
	memcpy(copy, t.s, t.n);
	copy[t.n] = '\0';
	return copy;
}

void arena_finish(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *previous = a->blocks->previous;
		free(a->blocks);
		a->blocks = previous;
	}
	*a = (struct arena){ .limit = a->limit };
}
