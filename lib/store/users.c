/* users: the table of users, statement by statement. */
#include "store/users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "store/password.h"
#include "store/postgres.h"

enum { NUMBER_BYTES = sizeof("-9223372036854775808") };

/* The columns that read_user reads, in its order. */
#define COLUMNS                                                                                    \
	"id, email, first_name, last_name, password, user_active, "                                \
	"(extract(epoch from created_at) * 1000)::bigint, "                                        \
	"(extract(epoch from updated_at) * 1000)::bigint"

enum { ID, EMAIL, FIRST_NAME, LAST_NAME, PASSWORD, ACTIVE, CREATED, UPDATED };

static int64_t number_at(const PGresult *result, int row, int column)
{
	return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

static char *text_at(const PGresult *result, int row, int column)
{
	return strdup(PQgetvalue(result, row, column));
}

static enum error_code read_user(const PGresult *result, int row, struct user *user,
				 struct error *e)
{
	struct user u = {
		.id = number_at(result, row, ID),
		.email = text_at(result, row, EMAIL),
		.first_name = text_at(result, row, FIRST_NAME),
		.last_name = text_at(result, row, LAST_NAME),
		.password = text_at(result, row, PASSWORD),
		.active = number_at(result, row, ACTIVE) != 0,
		.created_ms = number_at(result, row, CREATED),
		.updated_ms = number_at(result, row, UPDATED),
	};
	if (!u.email || !u.first_name || !u.last_name || !u.password) {
		user_finish(&u);
		return error_set(e, ERROR_INTERNAL, "out of memory");
	}
	*user = u;
	return ERROR_NONE;
}

static enum error_code read_one(const struct postgres_statement *statement, struct user *user,
				struct error *e)
{
	CLEANUP(postgres_clear) PGresult *result = NULL;
	enum error_code code = postgres_query(statement, &result, e);
	if (code)
		return code;
	if (PQntuples(result) == 0)
		return error_set(e, ERROR_NOT_FOUND, "no such user");
	return read_user(result, 0, user, e);
}

/* libpq's parameters end at a NUL: one inside would silently be somebody else's email. */
static enum error_code must_be_whole(struct text value, const char *name, struct error *e)
{
	if (memchr(value.s, '\0', value.n))
		return error_set(e, ERROR_BAD_INPUT, "%s: must not contain a NUL", name);
	return ERROR_NONE;
}

enum error_code users_by_email(struct text email, struct user *user, struct error *e)
{
	enum error_code code = must_be_whole(email, "email", e);
	if (code)
		return code;
	const char *parameters[] = { email.s };
	return read_one(
		&(struct postgres_statement){ .sql = "select " COLUMNS
						     " from users where lower(email) = lower($1)",
					      .count = 1,
					      .parameters = parameters,
					      .repeatable = true },
		user, e);
}

enum error_code users_by_id(int64_t id, struct user *user, struct error *e)
{
	char number[NUMBER_BYTES];
	snprintf(number, sizeof(number), "%lld", (long long)id);
	const char *parameters[] = { number };
	return read_one(&(struct postgres_statement){ .sql = "select " COLUMNS
							     " from users where id = $1::bigint",
						      .count = 1,
						      .parameters = parameters,
						      .repeatable = true },
			user, e);
}

enum error_code users_all(struct user_list *list, struct error *e)
{
	CLEANUP(postgres_clear) PGresult *result = NULL;
	const struct postgres_statement statement = {
		.sql = "select " COLUMNS " from users order by last_name, first_name, id",
		.repeatable = true
	};
	*list = (struct user_list){ 0 };
	enum error_code code = postgres_query(&statement, &result, e);
	if (code)
		return code;
	int rows = PQntuples(result);
	list->users = calloc((size_t)rows + 1, sizeof(*list->users));
	if (!list->users)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	for (int row = 0; row < rows && !code; row++) {
		code = read_user(result, row, &list->users[row], e);
		list->count += !code;
	}
	if (code)
		user_list_finish(list);
	return code;
}

/* Says of which member a conflict is: email is the only one that can be in use. */
static enum error_code name_conflict(enum error_code code, struct error *e)
{
	return code == ERROR_CONFLICT ? error_set(e, code, "email: in use") : code;
}

enum error_code users_insert(const struct user *user, struct text password, int64_t *id,
			     struct error *e)
{
	CLEANUP(postgres_clear) PGresult *result = NULL;
	char hash[PASSWORD_HASH_BYTES];
	enum error_code code = password_hash(password, hash, e);
	if (code)
		return code;
	const char *parameters[] = { user->email, user->first_name, user->last_name, hash,
				     user->active ? "1" : "0" };
	code = postgres_query(
		&(struct postgres_statement){
			.sql = "insert into users (email, first_name, last_name, password, "
			       "user_active, created_at, updated_at) "
			       "values ($1, coalesce($2, ''), coalesce($3, ''), $4, $5::integer, "
			       "now(), now()) returning id",
			.count = 5,
			.parameters = parameters },
		&result, e);
	explicit_bzero(hash, sizeof(hash));
	if (!code)
		*id = number_at(result, 0, 0);
	return name_conflict(code, e);
}

/* Runs a statement that changes the one user whose id is parameters[0]. */
static enum error_code change(const char *sql, int count, const char **parameters, int64_t id,
			      bool repeatable, struct error *e)
{
	CLEANUP(postgres_clear) PGresult *result = NULL;
	char number[NUMBER_BYTES];
	snprintf(number, sizeof(number), "%lld", (long long)id);
	parameters[0] = number;
	enum error_code code =
		postgres_query(&(struct postgres_statement){ .sql = sql,
							     .count = count,
							     .parameters = parameters,
							     .repeatable = repeatable },
			       &result, e);
	if (code)
		return name_conflict(code, e);
	if (strcmp(PQcmdTuples(result), "0") == 0)
		return error_set(e, ERROR_NOT_FOUND, "no such user");
	return ERROR_NONE;
}

enum error_code users_update(const struct user *user, struct error *e)
{
	const char *parameters[] = { NULL, user->email, user->first_name, user->last_name,
				     user->active ? "1" : "0" };
	return change("update users set email = $2, first_name = coalesce($3, ''), "
		      "last_name = coalesce($4, ''), user_active = $5::integer, updated_at = now() "
		      "where id = $1::bigint",
		      5, parameters, user->id, true, e);
}

enum error_code users_delete(const struct user *user, struct error *e)
{
	return users_delete_by_id(user->id, e);
}

enum error_code users_delete_by_id(int64_t id, struct error *e)
{
	const char *parameters[] = { NULL };
	/* Not repeated: the second time it would not be there, and that is an error. */
	return change("delete from users where id = $1::bigint", 1, parameters, id, false, e);
}

enum error_code users_reset_password(int64_t id, struct text password, struct error *e)
{
	char hash[PASSWORD_HASH_BYTES];
	enum error_code code = password_hash(password, hash, e);
	if (code)
		return code;
	const char *parameters[] = { NULL, hash };
	code = change("update users set password = $2, updated_at = now() where id = $1::bigint", 2,
		      parameters, id, true, e);
	explicit_bzero(hash, sizeof(hash));
	return code;
}

/* The development password opens a door on a developer's machine only. */
static bool is_shut_out(const struct user *user, struct text password)
{
	if (*config()->seed || !password_is_development(password))
		return false;
	log_error("a user has the development password, which counts only where SEED is set",
		  LOG_INT("user", user->id));
	return true;
}

enum error_code users_password_matches(const struct user *user, struct text password,
				       struct error *e)
{
	if (user && !password_hash_is_valid(user->password))
		log_error("a user's password hash cannot be checked", LOG_INT("user", user->id));
	bool matches = password_matches(password, user ? user->password : NULL);
	if (user && matches && user->active && !is_shut_out(user, password))
		return ERROR_NONE;
	return error_set(e, ERROR_CREDENTIALS, "invalid credentials");
}

struct json_object *user_to_json(const struct user *user)
{
	char created[CLOCK_TEXT_BYTES];
	char updated[CLOCK_TEXT_BYTES];
	clock_text(user->created_ms, created);
	clock_text(user->updated_ms, updated);
	struct json_object *json = json_object_new_object();
	if (!json || json_add_number(json, "id", user->id) ||
	    json_add_text(json, "email", text_of(user->email)) ||
	    json_add_text(json, "first_name", text_of(user->first_name)) ||
	    json_add_text(json, "last_name", text_of(user->last_name)) ||
	    json_add_number(json, "active", user->active) ||
	    json_add_text(json, "created_at", text_of(created)) ||
	    json_add_text(json, "updated_at", text_of(updated))) {
		json_object_put(json);
		return NULL;
	}
	return json;
}

void user_finish(struct user *user)
{
	free(user->email);
	free(user->first_name);
	free(user->last_name);
	if (user->password)
		explicit_bzero(user->password, strlen(user->password));
	free(user->password);
	*user = (struct user){ 0 };
}

void user_list_finish(struct user_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		user_finish(&list->users[i]);
	free(list->users);
	*list = (struct user_list){ 0 };
}
