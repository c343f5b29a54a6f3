/*
 * users: the table of users on PostgreSQL.
 *
 * One connection a process, opened at first use and remade when it is gone;
 * reads are repeated once on a new connection. Errors: ERROR_PEER_DOWN if the
 * database cannot be reached, ERROR_PEER_TIMEOUT if it did not answer within
 * STORE_TIMEOUT_MS, ERROR_NOT_FOUND, ERROR_CONFLICT for an email that is in
 * use (without regard to case).
 */
#ifndef FLEXI_STORE_USERS_H
#define FLEXI_STORE_USERS_H

#include <stdint.h>

#include "core/error.h"
#include "core/text.h"
#include "wire/json.h"

struct user {
	int64_t id;
	char *email;
	char *first_name;
	char *last_name;
	char *password; /* the hash; never in JSON, never in a log line */
	bool active;
	int64_t created_ms;
	int64_t updated_ms;
};

struct user_list {
	struct user *users;
	size_t count;
};

/* On success the caller finishes *user. */
enum error_code users_by_email(struct text email, struct user *user, struct error *e);
enum error_code users_by_id(int64_t id, struct user *user, struct error *e);

/* All, by last name. On success the caller finishes *list. */
enum error_code users_all(struct user_list *list, struct error *e);

/* Inserts with password (hashed here with cost 12); id and times of *user are not read. */
enum error_code users_insert(const struct user *user, struct text password, int64_t *id,
			     struct error *e);

/* Changes email, names and active of user->id. */
enum error_code users_update(const struct user *user, struct error *e);
enum error_code users_delete(const struct user *user, struct error *e);
enum error_code users_delete_by_id(int64_t id, struct error *e);
enum error_code users_reset_password(int64_t id, struct text password, struct error *e);

/*
 * Whether the password is this user's and the user is active: ERROR_NONE or
 * ERROR_CREDENTIALS. user may be NULL for somebody who does not exist: the
 * same work is done, so that the time does not tell. The password of the
 * development seed is nobody's unless SEED is set.
 */
enum error_code users_password_matches(const struct user *user, struct text password,
				       struct error *e);

/* The user as JSON, without the hash. The caller owns it; NULL when memory is short. */
struct json_object *user_to_json(const struct user *user);

void user_finish(struct user *user);
void user_list_finish(struct user_list *list);

#endif
