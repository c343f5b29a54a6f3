/*
 * buffer: bytes that grow, always followed by a NUL that is not counted.
 *
 * A zeroed buffer is an empty one. When memory is short the buffer is marked
 * failed, keeps what it had, and takes nothing more: so a chain of appends is
 * checked once, at its end. buffer_finish frees it and leaves an empty one.
 */
#ifndef FLEXI_CORE_BUFFER_H
#define FLEXI_CORE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/cleanup.h"
#include "core/text.h"

struct buffer {
	char *bytes;
	size_t size;
	size_t room;
	bool failed;
};

void buffer_append(struct buffer *b, const void *bytes, size_t n);
void buffer_append_text(struct buffer *b, struct text t);
void buffer_append_string(struct buffer *b, const char *s);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes room for n more bytes and returns where they go, or NULL; buffer_grew counts them in. */
char *buffer_room(struct buffer *b, size_t n);
void buffer_grew(struct buffer *b, size_t n);

/* The bytes, as text that is valid until the next change. */
struct text buffer_text(const struct buffer *b);

/* Forgets the contents and keeps the room. */
void buffer_clear(struct buffer *b);

/* Hands the bytes to the caller, who frees them; NULL if the buffer failed. Leaves an empty one. */
char *buffer_take(struct buffer *b, size_t *size);

void buffer_finish(struct buffer *b);

#endif
