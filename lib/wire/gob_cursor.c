/* gob_cursor: numbers, texts and field numbers; and how long a message is. */
#include "wire/gob_cursor.h"

#include "wire/gob.h"

/* A number below this is its own byte; another is led by the count of its bytes, negated. */
enum { ONE_BYTE_NUMBERS = 0x80, MAX_NUMBER_BYTES = 8 };

struct gob_cursor gob_cursor_of(struct text bytes)
{
	const unsigned char *at = (const unsigned char *)bytes.s;
	return (struct gob_cursor){ .at = at, .end = at + bytes.n };
}

uint64_t gob_break(struct gob_cursor *c)
{
	c->broken = true;
	c->at = c->end;
	return 0;
}

bool gob_cursor_is_done(const struct gob_cursor *c)
{
	return !c->broken && c->at == c->end;
}

uint64_t gob_get_uint(struct gob_cursor *c)
{
	if (c->at == c->end)
		return gob_break(c);
	unsigned lead = *c->at++;
	if (lead < ONE_BYTE_NUMBERS)
		return lead;
	size_t n = 256 - lead;
	if (n > MAX_NUMBER_BYTES || n > (size_t)(c->end - c->at))
		return gob_break(c);
	uint64_t value = 0;
	for (size_t i = 0; i < n; i++)
		value = value << 8 | *c->at++;
	return value;
}

int64_t gob_get_int(struct gob_cursor *c)
{
	uint64_t bits = gob_get_uint(c);
	return (int64_t)(bits & 1 ? ~(bits >> 1) : bits >> 1);
}

struct text gob_get_text(struct gob_cursor *c)
{
	uint64_t n = gob_get_uint(c);
	if (n > (uint64_t)(c->end - c->at)) {
		gob_break(c);
		return text_of("");
	}
	struct text text = { (const char *)c->at, (size_t)n };
	c->at += n;
	return text;
}

int64_t gob_get_field(struct gob_cursor *c, int64_t *last)
{
	uint64_t step = gob_get_uint(c);
	if (step == 0)
		return -1;
	if (step > INT32_MAX || *last > INT32_MAX) {
		gob_break(c);
		return -1;
	}
	*last += (int64_t)step;
	return *last;
}

enum error_code gob_frame(struct text stream, size_t max_bytes, struct text *message, size_t *used,
			  struct error *e)
{
	struct gob_cursor c = gob_cursor_of(stream);
	*used = 0;
	if (stream.n == 0)
		return ERROR_NONE;
	unsigned lead = *c.at;
	size_t head = lead < ONE_BYTE_NUMBERS ? 1 : 1 + (256 - lead);
	if (head > 1 + MAX_NUMBER_BYTES)
		return error_set(e, ERROR_BAD_INPUT, "what came is no gob");
	if (stream.n < head)
		return ERROR_NONE;
	uint64_t n = gob_get_uint(&c);
	if (n == 0)
		return error_set(e, ERROR_BAD_INPUT, "a message is empty");
	if (n > max_bytes)
		return error_set(e, ERROR_TOO_LARGE, "a message is over %zu bytes", max_bytes);
	if (stream.n - head < n)
		return ERROR_NONE;
	*message = (struct text){ stream.s + head, (size_t)n };
	*used = head + (size_t)n;
	return ERROR_NONE;
}
