/* buffer: bytes that grow by doubling. */
#include "core/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_ROOM_BYTES = 256 };

char *buffer_room(struct buffer *b, size_t n)
{
	if (b->failed || n > SIZE_MAX / 4 - b->size) {
		b->failed = true;
		return NULL;
	}
	size_t needed = b->size + n + 1;
	if (needed > b->room) {
		size_t room = b->room ? b->room : FIRST_ROOM_BYTES;
		while (room < needed)
			room *= 2;
		char *bytes = realloc(b->bytes, room);
		if (!bytes) {
			b->failed = true;
			return NULL;
		}
		b->bytes = bytes;
		b->room = room;
	}
	return b->bytes + b->size;
}

void buffer_grew(struct buffer *b, size_t n)
{
	b->size += n;
	b->bytes[b->size] = '\0';
}

void buffer_append(struct buffer *b, const void *bytes, size_t n)
{
	char *room = buffer_room(b, n);
	if (!room)
		return;
	if (n > 0)
		memcpy(room, bytes, n);
	buffer_grew(b, n);
}

void buffer_append_text(struct buffer *b, struct text t)
{
	buffer_append(b, t.s, t.n);
}

void buffer_append_string(struct buffer *b, const char *s)
{
	buffer_append(b, s, strlen(s));
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	va_list again;
	va_copy(again, arguments);
	int n = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	char *room = n < 0 ? NULL : buffer_room(b, (size_t)n);
	if (room) {
		vsnprintf(room, (size_t)n + 1, format, again);
		buffer_grew(b, (size_t)n);
	} else {
		b->failed = true;
	}
	va_end(again);
}

struct text buffer_text(const struct buffer *b)
{
	return (struct text){ b->bytes ? b->bytes : "", b->size };
}

void buffer_clear(struct buffer *b)
{
	b->size = 0;
	b->failed = false;
	if (b->bytes)
		b->bytes[0] = '\0';
}

char *buffer_take(struct buffer *b, size_t *size)
{
	if (!buffer_room(b, 0))
		return NULL;
	b->bytes[b->size] = '\0';
	char *bytes = b->bytes;
	if (size)
		*size = b->size;
	*b = (struct buffer){ 0 };
	return bytes;
}

void buffer_finish(struct buffer *b)
{
	free(b->bytes);
	*b = (struct buffer){ 0 };
}
