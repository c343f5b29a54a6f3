/* password: bcrypt by libxcrypt. */
#include "store/password.h"

#include <crypt.h>
#include <stdlib.h>

enum { HASH_BYTES = PASSWORD_HASH_BYTES - 1, SETTING_BYTES = sizeof("$2b$12$") - 1 };

/* Of no password that anybody knows; only its cost matters. */
static const char nobody[] = "$2b$12$fPQ1YdQ0m7Cq9sVtZb2Xie5Y0pJ3oAqLr8mWkGdU6hNcTfEvRyS2O";

static const char base64_digits[] =
	"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

bool password_hash_is_valid(const char *hash)
{
	return strlen(hash) == HASH_BYTES && memcmp(hash, "$2", 2) == 0 && strchr("aby", hash[2]) &&
	       hash[3] == '$' && hash[4] == '1' && hash[5] >= '0' && hash[5] <= '4' &&
	       hash[6] == '$' &&
	       strspn(hash + SETTING_BYTES, base64_digits) == HASH_BYTES - SETTING_BYTES;
}

/* Hashes at most MAX_PASSWORD_BYTES of the password with setting, which may be a hash. */
static bool hash_with(struct text password, const char *setting, char hash[PASSWORD_HASH_BYTES])
{
	char phrase[MAX_PASSWORD_BYTES + 1] = { 0 };
	size_t n = password.n < MAX_PASSWORD_BYTES ? password.n : MAX_PASSWORD_BYTES;
	/* 32 KiB: too much for the stack of a small worker. */
	struct crypt_data *data = calloc(1, sizeof(*data));
	bool done = false;
	if (data) {
		memcpy(phrase, password.s, n);
		const char *result = crypt_rn(phrase, setting, data, (int)sizeof(*data));
		done = result && strlen(result) == HASH_BYTES;
		if (done)
			memcpy(hash, result, PASSWORD_HASH_BYTES);
		explicit_bzero(data, sizeof(*data));
	}
	explicit_bzero(phrase, sizeof(phrase));
	free(data);
	return done;
}

enum error_code password_hash(struct text password, char hash[PASSWORD_HASH_BYTES], struct error *e)
{
	if (password.n == 0)
		return error_set(e, ERROR_UNPROCESSABLE, "password: must not be empty");
	if (password.n > MAX_PASSWORD_BYTES)
		return error_set(e, ERROR_UNPROCESSABLE, "password: over %d bytes",
				 MAX_PASSWORD_BYTES);
	if (memchr(password.s, '\0', password.n))
		return error_set(e, ERROR_UNPROCESSABLE, "password: must not contain a NUL");
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	if (!crypt_gensalt_rn("$2b$", PASSWORD_COST, NULL, 0, setting, (int)sizeof(setting)) ||
	    !hash_with(password, setting, hash))
		return error_set(e, ERROR_INTERNAL, "the password cannot be hashed");
	return ERROR_NONE;
}

/* Takes as long wherever the difference is. */
static bool equal_in_constant_time(const char *a, const char *b, size_t n)
{
	volatile unsigned char difference = 0;
	for (size_t i = 0; i < n; i++)
		difference = (unsigned char)(difference | (a[i] ^ b[i]));
	return difference == 0;
}

bool password_matches(struct text password, const char *hash)
{
	bool possible =
		hash && password_hash_is_valid(hash) && !memchr(password.s, '\0', password.n);
	const char *expected = possible ? hash : nobody;
	char computed[PASSWORD_HASH_BYTES] = { 0 };
	bool done = hash_with(password, expected, computed);
	bool equal = equal_in_constant_time(computed, expected, HASH_BYTES);
	explicit_bzero(computed, sizeof(computed));
	return possible && done && equal;
}
