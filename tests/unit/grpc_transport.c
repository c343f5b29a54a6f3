/* The transport grpc against our own server: each outcome, and what travels along. */
#include "suite.h"

#include "core/clock.h"
#include "core/log.h"
#include "grpc_logd.h"
#include "transport/grpc.h"

enum { ENOUGH_MS = 5000, A_LARGE_ONE = 5 * 1024 * 1024 };

static struct entry entry_of(const char *name)
{
	struct entry entry = { .level = ENTRY_WARNING,
			       .name = text_of(name),
			       .data = text_of("d"),
			       .accepted_ms = INT64_C(1700000000123) };
	entry_id_new(entry.id);
	return entry;
}

static enum outcome send_entry(const struct entry *entry, struct error *e)
{
	return grpc_send(entry, clock_now_ms() + ENOUGH_MS, e);
}

static void an_entry_arrives_with_its_id_level_and_time(void **state)
{
	(void)state;
	struct error e = { 0 };
	struct entry entry = entry_of("name");
	assert_int_equal(send_entry(&entry, &e), OUTCOME_STORED);
	struct entry stored = logd_last();
	assert_string_equal(stored.id, entry.id);
	assert_int_equal(stored.level, ENTRY_WARNING);
	assert_int_equal(stored.accepted_ms, entry.accepted_ms);
	assert_int_equal(stored.name.n, 4);
	assert_int_equal(stored.data.n, 1);
}

static void each_failure_of_the_store_has_its_outcome(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum outcome outcome;
		enum error_code code;
	} rows[] = {
		{ "conflict", OUTCOME_REFUSED, ERROR_CONFLICT },
		{ "down", OUTCOME_NOT_STORED, ERROR_PEER_DOWN },
		{ "late", OUTCOME_UNKNOWN, ERROR_PEER_DOWN },
		{ "full", OUTCOME_NOT_STORED, ERROR_PEER_FULL },
		{ "odd", OUTCOME_UNKNOWN, ERROR_PEER_ANSWER },
		{ "broken", OUTCOME_UNKNOWN, ERROR_PEER_ANSWER },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error e = { 0 };
		struct entry entry = entry_of(rows[i].name);
		assert_int_equal(send_entry(&entry, &e), rows[i].outcome);
		assert_int_equal(e.code, rows[i].code);
		assert_non_null(strstr(e.text, "100 % "));
		assert_non_null(strstr(e.text, rows[i].name));
	}
}

static void what_the_server_takes_no_entry_for_is_refused_or_left_to_others(void **state)
{
	(void)state;
	struct error e = { 0 };
	struct entry entry = entry_of("a\xFF");
	assert_int_equal(send_entry(&entry, &e), OUTCOME_REFUSED);
	assert_int_equal(e.code, ERROR_BAD_INPUT);
	assert_string_equal(e.text, "logEntry.name: must be UTF-8 without NUL");
	char *large = malloc(A_LARGE_ONE);
	memset(large, 'x', A_LARGE_ONE);
	entry = entry_of("name");
	entry.data = (struct text){ large, A_LARGE_ONE };
	/* libcurl may see the end of the stream before it has looked at the status. */
	assert_in_range(send_entry(&entry, &e), OUTCOME_NOT_STORED, OUTCOME_UNKNOWN);
	entry.data.n = 4 * 1024 * 1024 - 64;
	int count = logd_count();
	assert_int_equal(send_entry(&entry, &e), OUTCOME_STORED);
	assert_int_equal(logd_count(), count + 1);
	free(large);
}

static void a_hundred_entries_take_one_connection(void **state)
{
	(void)state;
	struct error e = { 0 };
	int count = logd_count();
	for (int i = 0; i < 100; i++) {
		struct entry entry = entry_of("name");
		assert_int_equal(send_entry(&entry, &e), OUTCOME_STORED);
	}
	assert_int_equal(logd_count(), count + 100);
}

static void nobody_listening_is_not_stored(void **state)
{
	(void)state;
	struct error e = { 0 };
	struct entry entry = entry_of("name");
	char address[64];
	grpc_close();
	snprintf(address, sizeof(address), "127.0.0.1:%d", logd_free_port());
	setenv("LOG_GRPC_ADDR", address, 1);
	config_load(NULL);
	assert_int_equal(send_entry(&entry, &e), OUTCOME_NOT_STORED);
	assert_int_equal(e.code, ERROR_PEER_DOWN);
	setenv("LOG_GRPC_ADDR", logd.address, 1);
	config_load(NULL);
	grpc_close();
	assert_int_equal(send_entry(&entry, &e), OUTCOME_STORED);
}

static void silence_ends_at_the_deadline_and_is_then_passed_over(void **state)
{
	(void)state;
	struct error e = { 0 };
	struct entry entry = entry_of("hold");
	int64_t began = clock_now_ms();
	assert_int_equal(grpc_send(&entry, began + 300, &e), OUTCOME_UNKNOWN);
	assert_int_equal(e.code, ERROR_PEER_TIMEOUT);
	assert_in_range(clock_now_ms() - began, 290, 2000);
	began = clock_now_ms();
	assert_int_equal(send_entry(&entry, &e), OUTCOME_NOT_STORED);
	assert_int_equal(e.code, ERROR_PEER_DOWN);
	assert_in_range(clock_now_ms() - began, 0, 200);
	logd_let_go();
}

static int start(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR);
	logd_start();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	grpc_close();
	logd_stop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_arrives_with_its_id_level_and_time),
		cmocka_unit_test(each_failure_of_the_store_has_its_outcome),
		cmocka_unit_test(what_the_server_takes_no_entry_for_is_refused_or_left_to_others),
		cmocka_unit_test(a_hundred_entries_take_one_connection),
		cmocka_unit_test(nobody_listening_is_not_stored),
		cmocka_unit_test(silence_ends_at_the_deadline_and_is_then_passed_over),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
