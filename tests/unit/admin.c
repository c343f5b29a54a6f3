/*
 * The first user, and that nobody comes in by the development seed. What needs PostgreSQL is skipped
 * unless TEST_DSN is set; its role must be able to create databases.
 */
#include "suite.h"

#include "core/config.h"
#include "scratch_database.h"
#include "store/migrate.h"
#include "store/users.h"

static struct scratch_database scratch;
static char lines[1024]; /* what was reported since the last migration began */

static const char good_password[] = "a-Word-of-ones-own";

static void note(void *context, const char *line)
{
	(void)context;
	strncat(lines, line, sizeof(lines) - strlen(lines) - 1);
	strncat(lines, "\n", sizeof(lines) - strlen(lines) - 1);
}

static struct migration migration(const char *seed, const char *email, const char *password)
{
	return (struct migration){ .directory = ".",
				   .seed = seed,
				   .admin_email = email,
				   .admin_password = password,
				   .deadline_ms = clock_now_ms() + SCRATCH_TIMEOUT_MS,
				   .report = note };
}

/* As `flexi migrate` does it, without MongoDB and RabbitMQ. */
static enum error_code migrate(const char *seed, const char *email, const char *password,
			       struct error *e)
{
	const struct migration m = migration(seed, email, password);
	struct migration_lock *lock = NULL;
	enum error_code code = migrate_admin_check(&m, e);
	if (!code)
		code = migrate_begin(&m, &lock, e);
	if (!code)
		code = migrate_sql(&m, lock, e);
	lines[0] = '\0';
	if (!code)
		code = migrate_admin(&m, e);
	migrate_end(lock);
	return code;
}

static int start(void **state)
{
	(void)state;
	if (!getenv("TEST_DSN"))
		return 0;
	scratch_database_init(&scratch, "admin");
	setenv("DSN", scratch.dsn, 1);
	return config_load(NULL) ? -1 : 0;
}

static int stop(void **state)
{
	(void)state;
	postgres_close();
	return getenv("TEST_DSN") ? scratch_database_drop(&scratch) : 0;
}

static void skip_without_database(void)
{
	if (!getenv("TEST_DSN"))
		skip();
}

static void what_cannot_be_is_refused_before_anything_is_asked(void **state)
{
	(void)state;
	static const struct {
		const char *email, *password, *text;
	} wrong[] = {
		{ "", good_password, "ADMIN_PASSWORD: is set, and ADMIN_EMAIL is not" },
		{ "me", good_password, "ADMIN_EMAIL: not an address" },
		{ "@example.com", good_password, "ADMIN_EMAIL: not an address" },
		{ "me@", good_password, "ADMIN_EMAIL: not an address" },
		{ "me@you@example.com", good_password, "ADMIN_EMAIL: not an address" },
		{ "me@example.com\n", good_password, "ADMIN_EMAIL: not an address" },
		{ "me@example.com", "verysecret", "ADMIN_PASSWORD: under 12 bytes" },
		{ "me@example.com", "Password1234",
		  "ADMIN_PASSWORD: one of those that are tried first everywhere" },
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct error e = { 0 };
		const struct migration m = migration("", wrong[i].email, wrong[i].password);
		assert_int_equal(migrate_admin_check(&m, &e), ERROR_CONFIG);
		assert_string_equal(e.text, wrong[i].text);
	}
	const struct migration nobody = migration("", "", NULL);
	assert_int_equal(migrate_admin_check(&nobody, NULL), ERROR_NONE);
	const struct migration later = migration("", "me@example.com", NULL);
	assert_int_equal(migrate_admin_check(&later, NULL), ERROR_NONE);
}

static void the_first_user_is_made_once_and_may_log_in(void **state)
{
	(void)state;
	skip_without_database();
	assert_int_equal(migrate("", "Me@example.com", good_password, NULL), ERROR_NONE);
	assert_string_equal(lines, "created user Me@example.com\n");
	CLEANUP(user_finish) struct user user = { 0 };
	assert_int_equal(users_by_email(text_of("me@example.com"), &user, NULL), ERROR_NONE);
	assert_memory_equal(user.password, "$2b$12$", 7);
	assert_int_equal(users_password_matches(&user, text_of(good_password), NULL), ERROR_NONE);

	assert_int_equal(migrate("", "me@EXAMPLE.com", "Another-one-of-12", NULL), ERROR_NONE);
	assert_string_equal(lines, "");
	CLEANUP(user_finish) struct user again = { 0 };
	assert_int_equal(users_by_email(text_of("me@example.com"), &again, NULL), ERROR_NONE);
	assert_string_equal(again.password, user.password);
}

static void a_password_is_wanted_only_while_there_is_no_such_user(void **state)
{
	(void)state;
	skip_without_database();
	struct error e = { 0 };
	assert_int_equal(migrate("", "me@example.com", "", NULL), ERROR_NONE);
	assert_int_equal(migrate("", "you@example.com", "", &e), ERROR_CONFIG);
	assert_string_equal(e.text,
			    "ADMIN_PASSWORD: is not set, and there is no user you@example.com yet");
}

static void the_development_user_stops_a_migration_that_has_no_seed(void **state)
{
	(void)state;
	skip_without_database();
	struct error e = { 0 };
	assert_int_equal(migrate("dev", "", "", NULL), ERROR_NONE);
	assert_int_equal(migrate("", "", "", &e), ERROR_CONFIG);
	assert_non_null(strstr(e.text, "users: admin@example.com has the development password"));
	CLEANUP(user_finish) struct user user = { 0 };
	assert_int_equal(users_by_email(text_of("admin@example.com"), &user, NULL), ERROR_NONE);
	assert_int_equal(users_reset_password(user.id, text_of(good_password), NULL), ERROR_NONE);
	assert_int_equal(migrate("", "", "", NULL), ERROR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_is_refused_before_anything_is_asked),
		cmocka_unit_test(the_first_user_is_made_once_and_may_log_in),
		cmocka_unit_test(a_password_is_wanted_only_while_there_is_no_such_user),
		cmocka_unit_test(the_development_user_stops_a_migration_that_has_no_seed),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
