/*
 * text: a run of bytes that somebody else owns.
 *
 * s points to n bytes and is followed by a NUL that is not counted, unless a
 * function says otherwise; whoever owns the bytes decides how long s is valid.
 * Text that has passed wire/json is well-formed UTF-8 without NUL.
 */
#ifndef FLEXI_CORE_TEXT_H
#define FLEXI_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text {
	const char *s;
	size_t n;
};

/* The text of a string that ends in NUL; NULL counts as empty. */
static inline struct text text_of(const char *s)
{
	return (struct text){ s ? s : "", s ? strlen(s) : 0 };
}

static inline bool text_equal(struct text a, struct text b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, a.n) == 0);
}

/* Whether given is the secret. How long that takes tells nothing of the secret but its length. */
static inline bool text_is_secret(struct text given, struct text secret)
{
	volatile unsigned char different = given.n != secret.n;
	for (size_t i = 0; i < given.n && secret.n > 0; i++)
		different = (unsigned char)(different | (given.s[i] ^ secret.s[i % secret.n]));
	return !different;
}

#endif
