/*
 * What a call says, and how soon, while PostgreSQL or MongoDB is away or silent, and that it serves
 * again when they are back. What needs a real server is skipped unless TEST_DSN or TEST_MONGO_URL is set.
 */
#include "suite.h"

#include "core/config.h"
#include "core/limits.h"
#include "forwarder.h"
#include "scratch_database.h"
#include "store/entries.h"
#include "store/migrate.h"
#include "store/mongo.h"
#include "store/users.h"

/* TIMEOUT_MS is STORE_TIMEOUT_MS here; SLACK_MS is for a busy machine. */
enum { TIMEOUT_MS = 600, SLACK_MS = 400, AT_ONCE_MS = 400 };

static struct scratch_database scratch;
static char mongo_name[64];
static struct forwarder to_postgres;
static struct forwarder to_mongo;

static void point_at(const char *dsn, const char *mongo_url)
{
	char timeout[16];
	snprintf(timeout, sizeof(timeout), "%d", TIMEOUT_MS);
	setenv("STORE_TIMEOUT_MS", timeout, 1);
	if (dsn)
		setenv("DSN", dsn, 1);
	if (mongo_url)
		setenv("MONGO_URL", mongo_url, 1);
	assert_int_equal(config_load(NULL), ERROR_NONE);
	postgres_close();
	mongo_close();
}

static void point_at_port(int port)
{
	char dsn[128];
	char url[128];
	snprintf(dsn, sizeof(dsn), "host=127.0.0.1 port=%d user=u dbname=d", port);
	snprintf(url, sizeof(url), "mongodb://127.0.0.1:%d/", port);
	point_at(dsn, url);
}

static void a_program_that_is_killed_leaves_no_counters_behind(void **state)
{
	(void)state;
	char path[64];
	snprintf(path, sizeof(path), "/dev/shm/mongoc-%u", (unsigned)getpid());
	assert_int_equal(access(path, F_OK), -1);
}

static enum error_code look_up(void)
{
	CLEANUP(user_finish) struct user user = { 0 };
	return users_by_email(text_of("admin@example.com"), &user, NULL);
}

static enum error_code insert(void)
{
	struct entry entry = { .name = text_of("outage"), .data = text_of("x"), .accepted_ms = 1 };
	struct error verdict;
	entry_id_new(entry.id);
	enum error_code code = entries_insert(&entry, 1, &verdict, NULL);
	assert_int_equal(verdict.code, code);
	return code;
}

static enum error_code read_all(void)
{
	CLEANUP(stored_list_finish) struct stored_list list = { 0 };
	return entries_all(1, &list, NULL);
}

/* Calls f, expects code, and that it took no longer than most_ms. */
static void expect_within(enum error_code (*f)(void), enum error_code code, int64_t most_ms)
{
	int64_t start = clock_now_ms();
	assert_int_equal(f(), code);
	assert_in_range(clock_now_ms() - start, 0, most_ms);
}

static void expect_again(enum error_code (*f)(void))
{
	int64_t deadline_ms = clock_now_ms() + PEER_PAUSE_MS + SCRATCH_TIMEOUT_MS;
	while (f() != ERROR_NONE) {
		assert_true(clock_now_ms() < deadline_ms);
		poll(NULL, 0, 20);
	}
}

static void nobody_listening_is_known_at_once(void **state)
{
	(void)state;
	int port = 0;
	close(listen_at(&port));
	point_at_port(port);
	expect_within(look_up, ERROR_PEER_DOWN, AT_ONCE_MS);
	expect_within(insert, ERROR_PEER_DOWN, AT_ONCE_MS);
}

static void after_a_failure_the_store_is_left_alone_for_a_while(void **state)
{
	(void)state;
	int port = 0;
	close(listen_at(&port));
	point_at_port(port);
	assert_int_equal(insert(), ERROR_PEER_DOWN);
	for (int i = 0; i < 10; i++) {
		expect_within(insert, ERROR_PEER_DOWN, AT_ONCE_MS / 4);
		expect_within(read_all, ERROR_PEER_DOWN, AT_ONCE_MS / 4);
	}
}

static void a_server_that_accepts_and_says_nothing_is_given_up_in_time(void **state)
{
	(void)state;
	int port = 0;
	int silent = listen_at(&port); /* the kernel accepts for it */
	point_at_port(port);
	expect_within(look_up, ERROR_PEER_TIMEOUT, TIMEOUT_MS + SLACK_MS);
	expect_within(insert, ERROR_PEER_DOWN, TIMEOUT_MS + SLACK_MS); /* nothing was sent */
	close(silent);
}

static void a_url_that_cannot_be_is_an_error_of_the_settings(void **state)
{
	(void)state;
	point_at("nonsense", "http://127.0.0.1/");
	assert_int_equal(look_up(), ERROR_CONFIG);
	assert_int_equal(insert(), ERROR_CONFIG);
	/* Writes that nobody confirms would make every "stored" a guess. */
	point_at(NULL, "mongodb://127.0.0.1/?w=0");
	assert_int_equal(insert(), ERROR_CONFIG);
}

static void start_postgres(void)
{
	if (!getenv("TEST_DSN"))
		skip();
	if (!to_postgres.pid) {
		PQconninfoOption *options = postgres_dsn_parse(getenv("TEST_DSN"), NULL);
		const char *host = postgres_dsn_value(options, "host");
		const char *port = postgres_dsn_value(options, "port");
		forwarder_server(&to_postgres, *host ? host : "127.0.0.1", *port ? port : "5432");
		postgres_dsn_free(&options);
		forwarder_start(&to_postgres);
	}
	char dsn[1024];
	char port[16];
	snprintf(port, sizeof(port), "%d", to_postgres.port);
	scratch_database_dsn(&scratch, "127.0.0.1", port, dsn, sizeof(dsn));
	point_at(dsn, NULL);
	expect_within(look_up, ERROR_NONE, TIMEOUT_MS + SLACK_MS);
}

static void start_mongo(void)
{
	const char *url = getenv("TEST_MONGO_URL");
	if (!url)
		skip();
	if (!to_mongo.pid) {
		mongoc_uri_t *uri = mongoc_uri_new(url);
		char port[16];
		const mongoc_host_list_t *server = mongoc_uri_get_hosts(uri);
		snprintf(port, sizeof(port), "%d", server->port);
		forwarder_server(&to_mongo, server->host, *server->host == '/' ? "" : port);
		mongoc_uri_destroy(uri);
		forwarder_start(&to_mongo);
	}
	char forwarded[128];
	snprintf(forwarded, sizeof(forwarded), "mongodb://127.0.0.1:%d/", to_mongo.port);
	point_at(NULL, forwarded);
	expect_within(insert, ERROR_NONE, TIMEOUT_MS + SLACK_MS);
}

static void a_database_that_freezes_is_a_timeout_and_then_serves_again(void **state)
{
	(void)state;
	start_postgres();
	forwarder_freeze(&to_postgres);
	expect_within(look_up, ERROR_PEER_TIMEOUT, TIMEOUT_MS + SLACK_MS);
	expect_within(look_up, ERROR_PEER_TIMEOUT, TIMEOUT_MS + SLACK_MS);
	forwarder_thaw(&to_postgres);
	expect_again(look_up);
}

static void a_database_that_restarts_is_not_noticed(void **state)
{
	(void)state;
	start_postgres();
	forwarder_kill(&to_postgres);
	expect_within(look_up, ERROR_PEER_DOWN, TIMEOUT_MS);
	forwarder_start(&to_postgres);
	assert_int_equal(look_up(), ERROR_NONE);
	forwarder_kill(&to_postgres);
	forwarder_start(&to_postgres);
	assert_int_equal(look_up(), ERROR_NONE);
}

static void a_store_that_freezes_is_a_timeout_and_then_serves_again(void **state)
{
	(void)state;
	start_mongo();
	forwarder_freeze(&to_mongo);
	expect_within(insert, ERROR_PEER_TIMEOUT, TIMEOUT_MS + SLACK_MS);
	expect_within(insert, ERROR_PEER_DOWN, AT_ONCE_MS);
	forwarder_thaw(&to_mongo);
	expect_again(insert);
	assert_int_equal(read_all(), ERROR_NONE);
}

static void a_store_that_freezes_while_the_connection_is_idle_is_given_up_in_time(void **state)
{
	(void)state;
	start_mongo();
	/* Before a connection that was idle is used, the library asks whether it still works. */
	char url[128];
	snprintf(url, sizeof(url), "%s?socketCheckIntervalMS=1", getenv("MONGO_URL"));
	point_at(NULL, url);
	assert_int_equal(insert(), ERROR_NONE);
	poll(NULL, 0, 2);
	forwarder_freeze(&to_mongo);
	expect_within(insert, ERROR_PEER_DOWN, TIMEOUT_MS + SLACK_MS);
	forwarder_thaw(&to_mongo);
	expect_again(insert);
}

static void a_store_that_restarts_is_not_noticed(void **state)
{
	(void)state;
	start_mongo();
	forwarder_kill(&to_mongo);
	forwarder_start(&to_mongo);
	assert_int_equal(insert(), ERROR_NONE);
	forwarder_kill(&to_mongo);
	forwarder_start(&to_mongo);
	assert_int_equal(read_all(), ERROR_NONE);
}

static void a_store_that_is_killed_serves_again_after_the_pause(void **state)
{
	(void)state;
	start_mongo();
	forwarder_kill(&to_mongo);
	/* The kept connection is found closed: what was sent into it may have arrived. */
	enum error_code code = insert();
	assert_true(code == ERROR_PEER_TIMEOUT || code == ERROR_PEER_DOWN);
	forwarder_start(&to_mongo);
	expect_again(insert);
}

static int start(void **state)
{
	(void)state;
	snprintf(mongo_name, sizeof(mongo_name), "flexi_outage_%d", (int)getpid());
	mongo_use_database(mongo_name);
	if (!getenv("TEST_DSN"))
		return 0;
	scratch_database_init(&scratch, "outage");
	setenv("DSN", scratch.dsn, 1);
	const struct migration m = { .directory = ".", .seed = "dev" };
	struct migration_lock *lock = NULL;
	struct error e = { 0 };
	int failed = config_load(&e) || migrate_begin(&m, &lock, &e) || migrate_sql(&m, lock, &e);
	migrate_end(lock);
	return failed;
}

static bool drop_database(mongoc_database_t *db, mongoc_collection_t *entries, void *context,
			  bson_error_t *error)
{
	(void)entries;
	(void)context;
	return mongoc_database_drop(db, error);
}

static int stop(void **state)
{
	(void)state;
	const char *url = getenv("TEST_MONGO_URL");
	if (url) {
		point_at(NULL, url);
		mongo_run(drop_database, NULL, NULL);
	}
	mongo_close();
	postgres_close();
	if (to_postgres.pid)
		forwarder_kill(&to_postgres);
	if (to_mongo.pid)
		forwarder_kill(&to_mongo);
	return getenv("TEST_DSN") ? scratch_database_drop(&scratch) : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_that_is_killed_leaves_no_counters_behind),
		cmocka_unit_test(nobody_listening_is_known_at_once),
		cmocka_unit_test(after_a_failure_the_store_is_left_alone_for_a_while),
		cmocka_unit_test(a_server_that_accepts_and_says_nothing_is_given_up_in_time),
		cmocka_unit_test(a_url_that_cannot_be_is_an_error_of_the_settings),
		cmocka_unit_test(a_database_that_freezes_is_a_timeout_and_then_serves_again),
		cmocka_unit_test(a_database_that_restarts_is_not_noticed),
		cmocka_unit_test(a_store_that_freezes_is_a_timeout_and_then_serves_again),
		cmocka_unit_test(
			a_store_that_freezes_while_the_connection_is_idle_is_given_up_in_time),
		cmocka_unit_test(a_store_that_restarts_is_not_noticed),
		cmocka_unit_test(a_store_that_is_killed_serves_again_after_the_pause),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
