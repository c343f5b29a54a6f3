/* gob_write: values and definitions as messages. */
#include "wire/gob.h"

enum { MAX_NUMBER_BYTES = 9 };

/* Field numbers of the types that describe types, as encoding/gob has them. */
enum { WIRE_STRUCT = 2, STRUCT_COMMON = 0, STRUCT_FIELDS = 1, NAMED_NAME = 0, NAMED_NUMBER = 1 };

/* Returns how many bytes it takes. */
static size_t encode_uint(unsigned char bytes[MAX_NUMBER_BYTES], uint64_t value)
{
	if (value < 0x80) {
		bytes[0] = (unsigned char)value;
		return 1;
	}
	size_t n = (64 - (size_t)__builtin_clzll(value) + 7) / 8;
	bytes[0] = (unsigned char)(256 - n);
	for (size_t i = 0; i < n; i++)
		bytes[n - i] = (unsigned char)(value >> (8 * i));
	return n + 1;
}

static void write_uint(struct buffer *b, uint64_t value)
{
	unsigned char bytes[MAX_NUMBER_BYTES];
	buffer_append(b, bytes, encode_uint(bytes, value));
}

static void write_int(struct buffer *b, int64_t value)
{
	uint64_t bits = (uint64_t)value;
	write_uint(b, value < 0 ? ~bits << 1 | 1 : bits << 1);
}

static void write_text(struct buffer *b, struct text value)
{
	write_uint(b, value.n);
	buffer_append_text(b, value);
}

/* Makes a message of all that was appended since the buffer had `begin` bytes. */
static void end_message(struct buffer *b, size_t begin)
{
	unsigned char head[MAX_NUMBER_BYTES];
	size_t n = b->size - begin;
	size_t head_size = encode_uint(head, n);
	if (!buffer_room(b, head_size))
		return;
	memmove(b->bytes + begin + head_size, b->bytes + begin, n);
	memcpy(b->bytes + begin, head, head_size);
	buffer_grew(b, head_size);
}

/* The step from one field of a struct to the next that is sent. */
static void write_field(struct buffer *b, int *last, int number)
{
	write_uint(b, (uint64_t)(number - *last));
	*last = number;
}

/* A struct of a name and a number, as CommonType and fieldType are. */
static void write_named(struct buffer *b, const char *name, int64_t number)
{
	int last = -1;
	if (*name) {
		write_field(b, &last, NAMED_NAME);
		write_text(b, text_of(name));
	}
	write_field(b, &last, NAMED_NUMBER);
	write_int(b, number);
	write_uint(b, 0);
}

void gob_write_definition(struct buffer *out, int64_t id, const struct gob_struct *shape)
{
	size_t begin = out->size;
	int of_wire = -1;
	int of_struct = -1;
	write_int(out, -id);
	write_field(out, &of_wire, WIRE_STRUCT);
	write_field(out, &of_struct, STRUCT_COMMON);
	write_named(out, shape->name, id);
	if (shape->count > 0) {
		write_field(out, &of_struct, STRUCT_FIELDS);
		write_uint(out, shape->count);
		for (size_t i = 0; i < shape->count; i++)
			write_named(out, shape->members[i].name, shape->members[i].kind);
	}
	write_uint(out, 0);
	write_uint(out, 0);
	end_message(out, begin);
}

static void write_member(struct buffer *b, const struct gob_member *m, const void *value, int *last,
			 int number)
{
	const void *at = (const char *)value + m->offset;
	if (m->kind == GOB_STRING && ((const struct text *)at)->n > 0) {
		write_field(b, last, number);
		write_text(b, *(const struct text *)at);
	} else if (m->kind == GOB_UINT && *(const uint64_t *)at != 0) {
		write_field(b, last, number);
		write_uint(b, *(const uint64_t *)at);
	} else if (m->kind == GOB_INT && *(const int64_t *)at != 0) {
		write_field(b, last, number);
		write_int(b, *(const int64_t *)at);
	}
}

void gob_write_struct(struct buffer *out, int64_t id, const struct gob_struct *shape,
		      const void *value)
{
	size_t begin = out->size;
	int last = -1;
	write_int(out, id);
	for (size_t i = 0; i < shape->count; i++)
		write_member(out, &shape->members[i], value, &last, (int)i);
	write_uint(out, 0);
	end_message(out, begin);
}

void gob_write_string(struct buffer *out, struct text value)
{
	size_t begin = out->size;
	write_int(out, GOB_STRING);
	write_uint(out, 0); /* not a struct */
	write_text(out, value);
	end_message(out, begin);
}
