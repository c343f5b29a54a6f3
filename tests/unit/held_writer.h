/*
 * held_writer: in the place of lib/store/writer, a writer that holds what it
 * is given until it is told what became of it. For programs that put, and
 * neither open nor close.
 */
#ifndef FLEXI_TESTS_HELD_WRITER_H
#define FLEXI_TESTS_HELD_WRITER_H

#include <string.h>

#include "store/writer.h"

enum { HELD_MOST = 64 };

static struct {
	struct entry entry; /* without its texts */
	writer_done *done;
	void *context;
} held[HELD_MOST];
static size_t held_count;

enum error_code writer_put(struct writer *w, const struct entry *entry, writer_done *done,
			   void *context, struct error *e)
{
	(void)w;
	if (held_count == HELD_MOST)
		return error_set(e, ERROR_PEER_FULL, "too many entries wait to be stored");
	held[held_count].entry = *entry;
	held[held_count].done = done;
	held[held_count++].context = context;
	return ERROR_NONE;
}

/* Tells of all that are held. */
static inline void held_settle(enum error_code code)
{
	struct error e = { .code = code };
	strcpy(e.text, "settled");
	size_t count = held_count;
	held_count = 0;
	for (size_t i = 0; i < count; i++)
		held[i].done(held[i].context, &e);
}

#endif
