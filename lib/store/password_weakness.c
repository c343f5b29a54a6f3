/* password_weakness: the words that are tried first everywhere, and what people make of them. */
#include <ctype.h>
#include <string.h>

#include "store/password.h"

_Static_assert(LEAST_PASSWORD_BYTES == 12 && MAX_PASSWORD_BYTES == 72, "as the sentences say");

enum { LEAST_DIFFERENT_BYTES = 5 };

/* In small letters and letters only: what is left of a password without its digits and marks. */
static const char known[] = DEVELOPMENT_PASSWORD
	" admin administrator changeit changeme correcthorse correcthorsebatterystaple default "
	"flexiconnect football guest iloveyou letmein login master mongodb monkey newpassword "
	"passphrase password passwort postgres princess qwerty qwertyuiop qwertz rabbitmq root "
	"secret sunshine superman supersecret superuser swordfish test trustnoone user welcome "
	"whatever youshallnotpass zaqxsw";

/* Writes the letters of the password, small; of another script, all bytes. */
static size_t letters_of(struct text password, char out[MAX_PASSWORD_BYTES])
{
	size_t n = 0;
	for (size_t i = 0; i < password.n && n < MAX_PASSWORD_BYTES; i++) {
		unsigned char c = (unsigned char)password.s[i];
		if (isalpha(c) || c >= 0x80)
			out[n++] = (char)tolower(c);
	}
	return n;
}

/* Whether letters are the word, once or several times, or none at all. */
static bool repeats(const char *letters, size_t n, const char *word, size_t word_n)
{
	for (size_t at = 0; at < n; at += word_n) {
		if (n - at < word_n || memcmp(letters + at, word, word_n) != 0)
			return false;
	}
	return true;
}

static bool is_known(const char *letters, size_t n)
{
	for (const char *word = known; *word; word += strspn(word, " ")) {
		size_t word_n = strcspn(word, " ");
		if (repeats(letters, n, word, word_n))
			return true;
		word += word_n;
	}
	return false;
}

static size_t different_bytes(struct text password)
{
	bool seen[256] = { false };
	size_t count = 0;
	for (size_t i = 0; i < password.n; i++) {
		count += !seen[(unsigned char)password.s[i]];
		seen[(unsigned char)password.s[i]] = true;
	}
	return count;
}

bool password_is_development(struct text password)
{
	return text_equal(password, text_of(DEVELOPMENT_PASSWORD));
}

const char *password_weakness(struct text password)
{
	char letters[MAX_PASSWORD_BYTES];
	if (password.n < LEAST_PASSWORD_BYTES)
		return "under 12 bytes";
	if (password.n > MAX_PASSWORD_BYTES)
		return "over 72 bytes";
	size_t n = letters_of(password, letters);
	bool guessed = is_known(letters, n) || different_bytes(password) < LEAST_DIFFERENT_BYTES;
	explicit_bzero(letters, sizeof(letters));
	return guessed ? "one of those that are tried first everywhere" : NULL;
}
