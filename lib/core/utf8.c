/* utf8: overlong forms, surrogates and codes past U+10FFFF show in the second byte already. */
#include "core/utf8.h"

static const struct {
	unsigned char first, last; /* of the lead byte */
	unsigned char least, most; /* of the second byte */
	size_t length;
} forms[] = {
	{ 0x00, 0x7F, 0x00, 0x00, 1 }, { 0xC2, 0xDF, 0x80, 0xBF, 2 }, { 0xE0, 0xE0, 0xA0, 0xBF, 3 },
	{ 0xE1, 0xEC, 0x80, 0xBF, 3 }, { 0xED, 0xED, 0x80, 0x9F, 3 }, { 0xEE, 0xEF, 0x80, 0xBF, 3 },
	{ 0xF0, 0xF0, 0x90, 0xBF, 4 }, { 0xF1, 0xF3, 0x80, 0xBF, 4 }, { 0xF4, 0xF4, 0x80, 0x8F, 4 },
};

size_t utf8_length(const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;
	for (size_t f = 0; n > 0 && f < sizeof(forms) / sizeof(forms[0]); f++) {
		if (u[0] < forms[f].first || u[0] > forms[f].last)
			continue;
		if (forms[f].length > n)
			return 0;
		for (size_t i = 1; i < forms[f].length; i++) {
			unsigned char least = i == 1 ? forms[f].least : 0x80;
			unsigned char most = i == 1 ? forms[f].most : 0xBF;
			if (u[i] < least || u[i] > most)
				return 0;
		}
		return forms[f].length;
	}
	return 0;
}

bool utf8_is_valid(struct text text)
{
	size_t at = 0;
	while (at < text.n) {
		size_t length = utf8_length(text.s + at, text.n - at);
		if (length == 0)
			return false;
		at += length;
	}
	return true;
}

void utf8_mend(char *string)
{
	size_t left = strlen(string);
	for (char *at = string; left > 0;) {
		size_t length = utf8_length(at, left);
		if (length == 0) {
			*at = '?';
			length = 1;
		}
		at += length;
		left -= length;
	}
}
