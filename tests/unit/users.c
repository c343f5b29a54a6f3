/* Users on PostgreSQL. Skipped unless TEST_DSN is set; its role must be able to create databases.
 */
#include "suite.h"

#include "core/config.h"
#include "scratch_database.h"
#include "store/migrate.h"
#include "store/password.h"
#include "store/users.h"

static struct scratch_database scratch;

static void skip_without_database(void)
{
	if (!getenv("TEST_DSN"))
		skip();
}

static int start(void **state)
{
	(void)state;
	if (!getenv("TEST_DSN"))
		return 0;
	scratch_database_init(&scratch, "users");
	setenv("DSN", scratch.dsn, 1);
	setenv("SEED", "dev", 1);
	struct error e = { 0 };
	const struct migration m = { .directory = ".",
				     .seed = "dev",
				     .deadline_ms = clock_now_ms() + 10000 };
	struct migration_lock *lock = NULL;
	int failed = config_load(&e) || migrate_begin(&m, &lock, &e) || migrate_sql(&m, lock, &e);
	if (failed)
		fprintf(stderr, "%s\n", e.text);
	migrate_end(lock);
	return failed;
}

static int stop(void **state)
{
	(void)state;
	postgres_close();
	return getenv("TEST_DSN") ? scratch_database_drop(&scratch) : 0;
}

static int64_t insert(const char *email, const char *first_name, const char *last_name)
{
	const struct user user = { .email = (char *)email,
				   .first_name = (char *)first_name,
				   .last_name = (char *)last_name,
				   .active = true };
	int64_t id = 0;
	assert_int_equal(users_insert(&user, text_of("secret"), &id, NULL), ERROR_NONE);
	assert_true(id > 0);
	return id;
}

static void the_seed_user_may_log_in(void **state)
{
	(void)state;
	skip_without_database();
	CLEANUP(user_finish) struct user user = { 0 };
	assert_int_equal(users_by_email(text_of("admin@example.com"), &user, NULL), ERROR_NONE);
	assert_string_equal(user.first_name, "Admin");
	assert_true(user.active);
	assert_int_equal(users_password_matches(&user, text_of("verysecret"), NULL), ERROR_NONE);
	assert_int_equal(users_password_matches(&user, text_of("verysecreT"), NULL),
			 ERROR_CREDENTIALS);
}

static void the_development_password_opens_nothing_without_a_seed(void **state)
{
	(void)state;
	skip_without_database();
	CLEANUP(user_finish) struct user user = { 0 };
	assert_int_equal(users_by_email(text_of("admin@example.com"), &user, NULL), ERROR_NONE);
	unsetenv("SEED");
	assert_int_equal(config_load(NULL), ERROR_NONE);
	assert_int_equal(users_password_matches(&user, text_of("verysecret"), NULL),
			 ERROR_CREDENTIALS);
	setenv("SEED", "dev", 1);
	assert_int_equal(config_load(NULL), ERROR_NONE);
	assert_int_equal(users_password_matches(&user, text_of("verysecret"), NULL), ERROR_NONE);
}

static void an_inserted_user_is_read_back_by_id_and_by_email(void **state)
{
	(void)state;
	skip_without_database();
	int64_t before = clock_wall_ms();
	int64_t id = insert("Jos\xc3\xa9@example.com", "Jos\xc3\xa9", "O'Neil");
	CLEANUP(user_finish) struct user user = { 0 };
	assert_int_equal(users_by_id(id, &user, NULL), ERROR_NONE);
	assert_string_equal(user.email, "Jos\xc3\xa9@example.com");
	assert_string_equal(user.last_name, "O'Neil");
	assert_true(user.created_ms >= before - 1000 && user.created_ms <= clock_wall_ms() + 1000);
	assert_int_equal(user.created_ms, user.updated_ms);
	CLEANUP(user_finish) struct user again = { 0 };
	assert_int_equal(users_by_email(text_of("jos\xc3\xa9@EXAMPLE.com"), &again, NULL),
			 ERROR_NONE);
	assert_int_equal(again.id, id);
}

static void an_email_is_in_use_whatever_its_case(void **state)
{
	(void)state;
	skip_without_database();
	int64_t id = insert("taken@example.com", "A", "B");
	struct user other = { .email = (char *)"TAKEN@example.com" };
	int64_t unused = 0;
	struct error e = { 0 };
	assert_int_equal(users_insert(&other, text_of("x"), &unused, &e), ERROR_CONFLICT);
	assert_string_equal(e.text, "email: in use");
	other.id = insert("free@example.com", "A", "B");
	assert_int_equal(users_update(&other, &e), ERROR_CONFLICT);
	assert_int_equal(users_delete_by_id(id, NULL), ERROR_NONE);
	assert_int_equal(users_update(&other, NULL), ERROR_NONE);
}

static void a_value_that_cannot_be_is_bad_input(void **state)
{
	(void)state;
	skip_without_database();
	struct user user = { .email = NULL };
	int64_t id = 0;
	assert_int_equal(users_insert(&user, text_of("x"), &id, NULL), ERROR_BAD_INPUT);
	user.email = (char *)"";
	assert_int_equal(users_insert(&user, text_of("x"), &id, NULL), ERROR_BAD_INPUT);
	char long_email[300] = { 0 };
	memset(long_email, 'a', sizeof(long_email) - 1);
	user.email = long_email;
	assert_int_equal(users_insert(&user, text_of("x"), &id, NULL), ERROR_BAD_INPUT);
	user.email = (char *)"empty-password@example.com";
	assert_int_equal(users_insert(&user, text_of(""), &id, NULL), ERROR_UNPROCESSABLE);
	struct user found = { 0 };
	struct error e = { 0 };
	assert_int_equal(users_by_email(TEXT_LITERAL("admin@example.com\0x"), &found, &e),
			 ERROR_BAD_INPUT);
	assert_string_equal(e.text, "email: must not contain a NUL");
}

static void an_email_is_never_part_of_the_statement(void **state)
{
	(void)state;
	skip_without_database();
	struct user user = { 0 };
	assert_int_equal(users_by_email(text_of("' or ''='"), &user, NULL), ERROR_NOT_FOUND);
	assert_int_equal(users_by_email(text_of("%"), &user, NULL), ERROR_NOT_FOUND);
}

static void an_update_changes_what_it_names_and_nothing_else(void **state)
{
	(void)state;
	skip_without_database();
	int64_t id = insert("before@example.com", "Before", "Before");
	struct user change = { .id = id,
			       .email = (char *)"after@example.com",
			       .first_name = (char *)"After",
			       .last_name = (char *)"After" };
	assert_int_equal(users_update(&change, NULL), ERROR_NONE);
	CLEANUP(user_finish) struct user user = { 0 };
	assert_int_equal(users_by_id(id, &user, NULL), ERROR_NONE);
	assert_string_equal(user.email, "after@example.com");
	assert_string_equal(user.last_name, "After");
	assert_false(user.active);
	assert_true(user.updated_ms >= user.created_ms);
	/* The password is still the same, but an inactive user may not log in with it. */
	assert_true(password_matches(text_of("secret"), user.password));
	struct error wrong = { 0 };
	struct error inactive = { 0 };
	assert_int_equal(users_password_matches(&user, text_of("secret"), &inactive),
			 ERROR_CREDENTIALS);
	assert_int_equal(users_password_matches(&user, text_of("x"), &wrong), ERROR_CREDENTIALS);
	assert_string_equal(inactive.text, wrong.text);
}

static void a_reset_password_replaces_the_old_one(void **state)
{
	(void)state;
	skip_without_database();
	int64_t id = insert("reset@example.com", "A", "B");
	assert_int_equal(users_reset_password(id, text_of("new"), NULL), ERROR_NONE);
	CLEANUP(user_finish) struct user user = { 0 };
	assert_int_equal(users_by_id(id, &user, NULL), ERROR_NONE);
	assert_int_equal(users_password_matches(&user, text_of("new"), NULL), ERROR_NONE);
	assert_int_equal(users_password_matches(&user, text_of("secret"), NULL), ERROR_CREDENTIALS);
}

static size_t position_of(const struct user_list *list, const char *last_name)
{
	size_t i = 0;
	while (i < list->count && strcmp(list->users[i].last_name, last_name) != 0)
		i++;
	return i;
}

static void all_come_by_last_name(void **state)
{
	(void)state;
	skip_without_database();
	insert("z@example.com", "Z", "Zulu");
	insert("a@example.com", "A", "Alpha");
	CLEANUP(user_list_finish) struct user_list list = { 0 };
	assert_int_equal(users_all(&list, NULL), ERROR_NONE);
	assert_true(position_of(&list, "Alpha") < position_of(&list, "Zulu"));
	assert_true(position_of(&list, "Zulu") < list.count);
}

static void whoever_is_not_there_is_not_found(void **state)
{
	(void)state;
	skip_without_database();
	struct user user = { .id = 1 << 30 };
	assert_int_equal(users_by_id(user.id, &user, NULL), ERROR_NOT_FOUND);
	user.email = (char *)"x@example.com";
	assert_int_equal(users_update(&user, NULL), ERROR_NOT_FOUND);
	assert_int_equal(users_reset_password(user.id, text_of("x"), NULL), ERROR_NOT_FOUND);
	assert_int_equal(users_delete(&user, NULL), ERROR_NOT_FOUND);
	struct error e = { 0 };
	assert_int_equal(users_password_matches(NULL, text_of("x"), &e), ERROR_CREDENTIALS);
	assert_string_equal(e.text, "invalid credentials");
}

static void a_deleted_user_is_gone(void **state)
{
	(void)state;
	skip_without_database();
	struct user user = { .id = insert("gone@example.com", "A", "B") };
	assert_int_equal(users_delete(&user, NULL), ERROR_NONE);
	assert_int_equal(users_by_id(user.id, &user, NULL), ERROR_NOT_FOUND);
}

static void json_shows_a_user_without_the_hash(void **state)
{
	(void)state;
	const struct user user = { .id = 7,
				   .email = (char *)"a@b.c",
				   .first_name = (char *)"A",
				   .last_name = (char *)"B",
				   .password = (char *)"$2b$12$hash",
				   .active = true,
				   .updated_ms = 1000 };
	struct json_object *json = user_to_json(&user);
	assert_text_equal(json_write(json),
			  "{\"id\":7,\"email\":\"a@b.c\",\"first_name\":\"A\",\"last_name\":\"B\","
			  "\"active\":1,\"created_at\":\"1970-01-01T00:00:00.000Z\","
			  "\"updated_at\":\"1970-01-01T00:00:01.000Z\"}");
	json_object_put(json);
}

static void a_connection_that_the_server_ended_is_remade(void **state)
{
	(void)state;
	skip_without_database();
	const char *kill = "select pg_terminate_backend(pid) from pg_stat_activity "
			   "where datname = current_database() and pid <> pg_backend_pid()";
	CLEANUP(user_finish) struct user user = { 0 };
	assert_int_equal(users_by_email(text_of("admin@example.com"), &user, NULL), ERROR_NONE);
	for (int i = 0; i < 5; i++) {
		assert_non_null(scratch_database_query(&scratch, NULL, kill));
		CLEANUP(user_finish) struct user again = { 0 };
		assert_int_equal(users_by_id(user.id, &again, NULL), ERROR_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_seed_user_may_log_in),
		cmocka_unit_test(the_development_password_opens_nothing_without_a_seed),
		cmocka_unit_test(an_inserted_user_is_read_back_by_id_and_by_email),
		cmocka_unit_test(an_email_is_in_use_whatever_its_case),
		cmocka_unit_test(a_value_that_cannot_be_is_bad_input),
		cmocka_unit_test(an_email_is_never_part_of_the_statement),
		cmocka_unit_test(an_update_changes_what_it_names_and_nothing_else),
		cmocka_unit_test(a_reset_password_replaces_the_old_one),
		cmocka_unit_test(all_come_by_last_name),
		cmocka_unit_test(whoever_is_not_there_is_not_found),
		cmocka_unit_test(a_deleted_user_is_gone),
		cmocka_unit_test(json_shows_a_user_without_the_hash),
		cmocka_unit_test(a_connection_that_the_server_ended_is_remade),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
