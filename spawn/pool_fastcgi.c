/* fastcgi: records in, records out. */
#include "pool_fastcgi.h"

#include <string.h>

enum {
	VERSION = 1,
	BEGIN_REQUEST = 1,
	END_REQUEST = 3,
	PARAMS = 4,
	STDIN = 5,
	STDOUT = 6,
	MOST_CONTENT_BYTES = 65535,
	END_BODY_BYTES = 8,
};

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static bool begin_record(struct fastcgi *f)
{
	const unsigned char *h = f->header;
	uint16_t id = (uint16_t)(h[2] << 8 | h[3]);
	f->content_left = (size_t)h[4] << 8 | h[5];
	f->padding_left = h[6];
	if (h[0] != VERSION)
		return false;
	if (h[1] == BEGIN_REQUEST)
		f->id = id;
	if (h[1] == STDIN && f->content_left == 0)
		f->complete = true;
	return true;
}

static void take_content(struct fastcgi *f, const unsigned char *bytes, size_t n)
{
	if (f->header[1] == PARAMS && f->parameters.size + n <= FASTCGI_MOST_PARAMETER_BYTES)
		buffer_append(&f->parameters, bytes, n);
}

bool fastcgi_feed(struct fastcgi *f, const void *bytes, size_t n)
{
	const unsigned char *at = bytes;
	while (n > 0) {
		size_t taken;
		if (f->header_size < FASTCGI_HEADER_BYTES) {
			taken = least(n, FASTCGI_HEADER_BYTES - f->header_size);
			memcpy(f->header + f->header_size, at, taken);
			f->header_size += taken;
			if (f->header_size == FASTCGI_HEADER_BYTES && !begin_record(f))
				return false;
		} else if (f->content_left > 0) {
			taken = least(n, f->content_left);
			take_content(f, at, taken);
			f->content_left -= taken;
		} else {
			taken = least(n, f->padding_left);
			f->padding_left -= taken;
		}
		if (f->header_size == FASTCGI_HEADER_BYTES && f->content_left == 0 &&
		    f->padding_left == 0)
			f->header_size = 0;
		at += taken;
		n -= taken;
	}
	return true;
}

/* A length is one byte, or four with the first bit set; false at the end of what came. */
static bool take_length(struct text *from, size_t *length)
{
	const unsigned char *s = (const unsigned char *)from->s;
	size_t size = from->n > 0 && (s[0] & 0x80) ? 4 : 1;
	if (from->n < size)
		return false;
	*length = s[0];
	if (size == 4)
		*length =
			(size_t)(s[0] & 0x7F) << 24 | (size_t)s[1] << 16 | (size_t)s[2] << 8 | s[3];
	from->s += size;
	from->n -= size;
	return true;
}

static bool take_bytes(struct text *from, size_t n, struct text *out)
{
	if (from->n < n)
		return false;
	*out = (struct text){ from->s, n };
	from->s += n;
	from->n -= n;
	return true;
}

bool fastcgi_parameter(const struct fastcgi *f, const char *name, struct text *value)
{
	struct text rest = buffer_text(&f->parameters);
	struct text found;
	size_t name_size;
	size_t value_size;
	while (take_length(&rest, &name_size) && take_length(&rest, &value_size) &&
	       take_bytes(&rest, name_size, &found) && take_bytes(&rest, value_size, value)) {
		if (text_equal(found, text_of(name)))
			return true;
	}
	return false;
}

static void append_header(const struct fastcgi *f, int type, size_t size, struct buffer *out)
{
	const unsigned char header[FASTCGI_HEADER_BYTES] = {
		VERSION,
		(unsigned char)type,
		(unsigned char)(f->id >> 8),
		(unsigned char)f->id,
		(unsigned char)(size >> 8),
		(unsigned char)size,
	};
	buffer_append(out, header, sizeof(header));
}

void fastcgi_answer(const struct fastcgi *f, struct text output, struct buffer *out)
{
	static const char end[END_BODY_BYTES]; /* status 0, request complete */
	while (output.n > 0) {
		size_t n = least(output.n, MOST_CONTENT_BYTES);
		append_header(f, STDOUT, n, out);
		buffer_append(out, output.s, n);
		output.s += n;
		output.n -= n;
	}
	append_header(f, STDOUT, 0, out);
	append_header(f, END_REQUEST, sizeof(end), out);
	buffer_append(out, end, sizeof(end));
}

void fastcgi_finish(struct fastcgi *f)
{
	buffer_finish(&f->parameters);
}
