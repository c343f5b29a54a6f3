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
	MAX_PASSWORD_BYTES = 72,
	PASSWORD_HASH_BYTES = 61, /* the 60 of a hash and a NUL */
};

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

#endif
