/*
 * password: bcrypt hashes in their modular form ($2b$12$…).
 *
 * bcrypt reads the first 72 bytes of a password. A longer one may be checked,
 * as other implementations have always done, but not set.
 */
#ifndef FLEXI_STORE_PASSWORD_H
#define FLEXI_STORE_PASSWORD_H

#include <stdbool.h>

#include "core/error.h"
#include "core/text.h"

enum {
	PASSWORD_COST = 12,
	LEAST_PASSWORD_BYTES = 12, /* of one that is not weak */
	MAX_PASSWORD_BYTES = 72,
	PASSWORD_HASH_BYTES = 61, /* the 60 of a hash and a NUL */
};

/* Of the user that sql/seed/dev makes. */
#define DEVELOPMENT_PASSWORD "verysecret"

/* ERROR_UNPROCESSABLE for a password that is empty, too long or contains a NUL. */
enum error_code password_hash(struct text password, char hash[PASSWORD_HASH_BYTES],
			      struct error *e);

/*
 * Whether hash is that of the password. A NULL or malformed hash, or one of a
 * cost outside 10 to 14, is never; the work of PASSWORD_COST is done all the same.
 */
bool password_matches(struct text password, const char *hash);

/* Whether text is a hash that password_matches can check. */
bool password_hash_is_valid(const char *hash);

/*
 * What makes the password too weak to guard a system that others can reach, as
 * the end of a sentence; NULL: nothing. Weak is one that is short, one without a
 * letter, one of few different bytes, and a known word, also with digits and
 * marks in it, in capitals, or twice.
 */
const char *password_weakness(struct text password);

/* Whether it is the password of the development seed, which everybody knows. */
bool password_is_development(struct text password);

#endif
