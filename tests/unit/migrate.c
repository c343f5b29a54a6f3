/*
 * Migrations: what is applied, once, and what is refused. Those that need PostgreSQL are skipped
 * unless TEST_DSN is set, those that need MongoDB unless TEST_MONGO_URL is.
 */
#include "suite.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include "core/config.h"
#include "scratch_database.h"
#include "store/migrate.h"
#include "store/migration_files.h"
#include "store/mongo.h"

static struct scratch_database scratch;
static char directory[64];
static char lines[1024]; /* what was reported since the last migration began */

static void write_file(const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void make_directory(const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static int start(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/flexi-migrate.XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	make_directory("sql");
	make_directory("sql/seed");
	make_directory("sql/seed/dev");
	make_directory("mongo-init");
	if (getenv("TEST_DSN")) {
		scratch_database_init(&scratch, "migrate");
		setenv("DSN", scratch.dsn, 1);
	}
	const char *url = getenv("TEST_MONGO_URL");
	if (url)
		setenv("MONGO_URL", url, 1);
	return config_load(NULL) ? -1 : 0;
}

static int stop(void **state)
{
	(void)state;
	char command[96];
	snprintf(command, sizeof(command), "rm -r %s", directory);
	int failed = system(command); /* NOLINT(cert-env33-c): a name that mkdtemp made */
	if (getenv("TEST_DSN"))
		failed |= scratch_database_drop(&scratch);
	return failed;
}

static void note(void *context, const char *line)
{
	(void)context;
	strncat(lines, line, sizeof(lines) - strlen(lines) - 1);
	strncat(lines, "\n", sizeof(lines) - strlen(lines) - 1);
}

static enum error_code migrate(const char *seed, struct error *e)
{
	const struct migration m = {
		.directory = directory, .seed = seed, .deadline_ms = clock_now_ms(), .report = note
	};
	struct migration_lock *lock = NULL;
	lines[0] = '\0';
	enum error_code code = migrate_begin(&m, &lock, e);
	if (!code)
		code = migrate_sql(&m, lock, e);
	migrate_end(lock);
	return code;
}

static void skip_without(const char *variable)
{
	if (!getenv(variable))
		skip();
}

static void files_come_in_order_with_their_checksums(void **state)
{
	(void)state;
	write_file("mongo-init/010_b.txt", "b");
	write_file("mongo-init/002_a.txt", "abc");
	write_file("mongo-init/README", "not one of them");
	struct migration_files files = { 0 };
	assert_int_equal(migration_files_load(directory, "mongo-init", "txt", &files, NULL), 0);
	assert_int_equal(files.count, 2);
	assert_string_equal(files.list[0].name, "mongo-init/002_a.txt");
	assert_string_equal(files.list[0].text, "abc");
	assert_string_equal(files.list[0].checksum,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_string_equal(files.list[1].name, "mongo-init/010_b.txt");
	migration_files_finish(&files);
}

static void a_file_that_has_no_place_in_the_order_is_refused(void **state)
{
	(void)state;
	struct migration_files files = { 0 };
	struct error e = { 0 };
	write_file("mongo-init/001_one.x", "");
	write_file("mongo-init/001_two.x", "");
	assert_int_equal(migration_files_load(directory, "mongo-init", "x", &files, &e),
			 ERROR_CONFIG);
	assert_string_equal(e.text, "mongo-init/001_two.x: the number is used twice");
	write_file("mongo-init/1_one.y", "");
	assert_int_equal(migration_files_load(directory, "mongo-init", "y", &files, &e),
			 ERROR_CONFIG);
	assert_string_equal(e.text, "mongo-init/1_one.y: must be named NNN_name");
	assert_int_equal(migration_files_load(directory, "none", "y", &files, &e), ERROR_CONFIG);
}

static void a_file_is_applied_once_to_a_database_that_is_made_first(void **state)
{
	(void)state;
	skip_without("TEST_DSN");
	char expected[256];
	snprintf(expected, sizeof(expected),
		 "created database %s\napplied sql/001_one.sql\napplied sql/002_two.sql\n",
		 scratch.name);
	write_file("sql/001_one.sql", "create table one (n integer); insert into one values (1);");
	write_file("sql/002_two.sql", "update one set n = n + 1; -- and nothing after it");
	write_file("sql/seed/dev/001_seed.sql", "update one set n = n + 10;");
	assert_int_equal(migrate("", NULL), ERROR_NONE);
	assert_string_equal(lines, expected);
	assert_int_equal(migrate("", NULL), ERROR_NONE);
	assert_string_equal(lines, "");
	assert_string_equal(scratch_database_query(&scratch, NULL, "select n from one"), "2");
}

static void a_seed_is_applied_only_where_it_is_named(void **state)
{
	(void)state;
	skip_without("TEST_DSN");
	assert_int_equal(migrate("dev", NULL), ERROR_NONE);
	assert_string_equal(lines, "applied sql/seed/dev/001_seed.sql\n");
	assert_int_equal(migrate("dev", NULL), ERROR_NONE);
	assert_string_equal(lines, "");
	assert_string_equal(scratch_database_query(&scratch, NULL, "select n from one"), "12");
	assert_int_equal(migrate("../dev", NULL), ERROR_CONFIG);
	assert_int_equal(migrate("none", NULL), ERROR_CONFIG);
}

static void a_file_that_fails_leaves_nothing_and_says_where(void **state)
{
	(void)state;
	skip_without("TEST_DSN");
	struct error e = { 0 };
	write_file("sql/003_bad.sql",
		   "update one set n = 99;\n-- \xc3\xa9\nupdate two set n = 1;\n");
	assert_int_not_equal(migrate("", &e), ERROR_NONE);
	assert_string_equal(e.text, "sql/003_bad.sql: line 3: relation \"two\" does not exist");
	assert_string_equal(scratch_database_query(&scratch, NULL, "select n from one"), "12");
	write_file("sql/003_bad.sql", "update one set n = 99; commit;");
	assert_int_equal(migrate("", &e), ERROR_CONFIG);
	assert_non_null(strstr(e.text, "must not begin or end a transaction"));
	write_file("sql/003_bad.sql", "update one set n = 3;");
	assert_int_equal(migrate("", &e), ERROR_NONE);
	assert_string_equal(lines, "applied sql/003_bad.sql\n");
}

static void a_file_that_changed_after_it_was_applied_is_refused(void **state)
{
	(void)state;
	skip_without("TEST_DSN");
	struct error e = { 0 };
	write_file("sql/002_two.sql", "update one set n = n + 2;");
	assert_int_equal(migrate("", &e), ERROR_CONFIG);
	assert_string_equal(e.text, "sql/002_two.sql: was applied with other contents; put them "
				    "back, and add a file for the change");
	write_file("sql/002_two.sql", "update one set n = n + 1; -- and nothing after it");
	assert_int_equal(migrate("", &e), ERROR_NONE);
}

static void of_many_at_once_one_applies_and_the_others_find_nothing_to_do(void **state)
{
	(void)state;
	skip_without("TEST_DSN");
	enum { MANY = 4 };
	pid_t pids[MANY];
	write_file("sql/004_slow.sql", "select pg_sleep(0.2); update one set n = n + 100;");
	for (int i = 0; i < MANY; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			_exit(migrate("", NULL) ? 2 : lines[0] != '\0');
	}
	int applied = 0;
	for (int i = 0; i < MANY; i++) {
		int status = 0;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
		applied += WEXITSTATUS(status);
	}
	assert_int_equal(applied, 1);
	assert_string_equal(scratch_database_query(&scratch, NULL, "select n from one"), "103");
}

static void a_login_that_is_refused_is_not_waited_for(void **state)
{
	(void)state;
	skip_without("TEST_DSN");
	char dsn[sizeof(scratch.dsn) + 32];
	snprintf(dsn, sizeof(dsn), "%s user=nobody_at_all", scratch.dsn);
	setenv("DSN", dsn, 1);
	assert_int_equal(config_load(NULL), ERROR_NONE);
	const struct migration m = { .directory = directory,
				     .seed = "",
				     .deadline_ms = clock_now_ms() + SCRATCH_TIMEOUT_MS };
	struct migration_lock *lock = NULL;
	struct error e = { 0 };
	int64_t before = clock_now_ms();
	assert_int_equal(migrate_begin(&m, &lock, &e), ERROR_CONFIG);
	assert_true(clock_now_ms() - before < SCRATCH_TIMEOUT_MS / 2);
	assert_non_null(strstr(e.text, "refuses the login (SQLSTATE 28"));
	setenv("DSN", scratch.dsn, 1);
	assert_int_equal(config_load(NULL), ERROR_NONE);
}

static void a_table_of_the_original_system_is_brought_up_to_date(void **state)
{
	(void)state;
	skip_without("TEST_DSN");
	assert_non_null(scratch_database_query(
		&scratch, NULL,
		"drop table if exists migrations; create sequence user_id_seq; create table users ("
		"id integer default nextval('user_id_seq') not null, email character varying(255), "
		"first_name character varying(255), last_name character varying(255), "
		"password character varying(60), user_active integer default 0, "
		"created_at timestamp without time zone, updated_at timestamp without time zone, "
		"primary key (id)); insert into users (email, user_active, created_at) "
		"values ('old@example.com', 1, '2022-03-14 01:02:03')"));
	const struct migration m = { .directory = ".",
				     .seed = "dev",
				     .deadline_ms = clock_now_ms() };
	struct migration_lock *lock = NULL;
	struct error e = { 0 };
	assert_int_equal(migrate_begin(&m, &lock, &e), ERROR_NONE);
	/* A user without a password is for a person to decide about. */
	assert_int_not_equal(migrate_sql(&m, lock, &e), ERROR_NONE);
	assert_non_null(strstr(e.text, "password"));
	scratch_database_query(&scratch, NULL, "update users set password = 'x'");
	assert_int_equal(migrate_sql(&m, lock, &e), ERROR_NONE);
	migrate_end(lock);
	assert_string_equal(
		scratch_database_query(&scratch, NULL,
				       "select extract(epoch from created_at)::bigint from users "
				       "where lower(email) = 'old@example.com'"),
		"1647219723");
	assert_string_equal(scratch_database_query(&scratch, NULL, "select count(*) from users"),
			    "2");
}

static enum error_code migrate_documents(struct error *e)
{
	const struct migration m = { .directory = directory,
				     .deadline_ms = clock_now_ms(),
				     .report = note };
	lines[0] = '\0';
	return migrate_mongo(&m, e);
}

static bool drop_database(mongoc_database_t *db, mongoc_collection_t *entries, void *context,
			  bson_error_t *error)
{
	(void)entries;
	(void)context;
	return mongoc_database_drop(db, error);
}

static void commands_are_sent_each_time_and_reported_when_they_did_something(void **state)
{
	(void)state;
	skip_without("TEST_MONGO_URL");
	static char name[64];
	snprintf(name, sizeof(name), "flexi_migrate_%d", (int)getpid());
	mongo_use_database(name);
	write_file("mongo-init/001_x.json",
		   "{\"commands\": [{\"createIndexes\": \"x\", \"indexes\": "
		   "[{\"key\": {\"a\": 1}, \"name\": \"by_a\"}]}]}");
	assert_int_equal(migrate_documents(NULL), ERROR_NONE);
	assert_string_equal(lines, "applied mongo-init/001_x.json: createIndexes x\n");
	assert_int_equal(migrate_documents(NULL), ERROR_NONE);
	assert_string_equal(lines, "");
	assert_int_equal(mongo_run(drop_database, NULL, NULL), ERROR_NONE);
	assert_int_equal(migrate_documents(NULL), ERROR_NONE);
	assert_string_not_equal(lines, "");
	mongo_run(drop_database, NULL, NULL);
	mongo_close();
}

static void a_file_of_commands_that_cannot_be_read_is_named(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"", "{", "[]", "{\"commands\": {}}", "{\"commands\": [1]}", "{\"commands\": [{}]}"
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct error e = { 0 };
		write_file("mongo-init/001_x.json", wrong[i]);
		assert_int_equal(migrate_documents(&e), ERROR_CONFIG);
		assert_memory_equal(e.text, "mongo-init/001_x.json: ", 23);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_come_in_order_with_their_checksums),
		cmocka_unit_test(a_file_that_has_no_place_in_the_order_is_refused),
		cmocka_unit_test(a_file_is_applied_once_to_a_database_that_is_made_first),
		cmocka_unit_test(a_seed_is_applied_only_where_it_is_named),
		cmocka_unit_test(a_file_that_fails_leaves_nothing_and_says_where),
		cmocka_unit_test(a_file_that_changed_after_it_was_applied_is_refused),
		cmocka_unit_test(of_many_at_once_one_applies_and_the_others_find_nothing_to_do),
		cmocka_unit_test(a_login_that_is_refused_is_not_waited_for),
		cmocka_unit_test(a_table_of_the_original_system_is_brought_up_to_date),
		cmocka_unit_test(commands_are_sent_each_time_and_reported_when_they_did_something),
		cmocka_unit_test(a_file_of_commands_that_cannot_be_read_is_named),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
