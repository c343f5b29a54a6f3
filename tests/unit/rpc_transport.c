/* The transport rpc against a server that does as an entry's name says: outcomes, deadlines, order. */
#include "suite.h"

#include "core/clock.h"
#include "core/config.h"
#include "core/limits.h"
#include "core/log.h"
#include "rpc_peer.h"
#include "transport/rpc.h"

enum { ENOUGH_MS = 5000, LARGE = 1024 * 1024 };

static struct error error;

static struct entry entry_of(const char *name)
{
	struct entry entry = { .level = ENTRY_WARNING,
			       .name = text_of(name),
			       .data = text_of("d"),
			       .accepted_ms = INT64_C(1700000000123) };
	entry_id_new(entry.id);
	return entry;
}

static enum outcome send_named(const char *name)
{
	struct entry entry = entry_of(name);
	error = (struct error){ 0 };
	return rpc_send(&entry, clock_now_ms() + ENOUGH_MS, &error);
}

static void use_port(int port)
{
	char address[64];
	snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	setenv("LOG_RPC_ADDR", address, 1);
	assert_int_equal(config_load(NULL), ERROR_NONE);
	rpc_close();
}

static void an_entry_arrives_with_its_id_level_and_time(void **state)
{
	(void)state;
	struct entry entry = entry_of("name");
	assert_int_equal(rpc_send(&entry, clock_now_ms() + ENOUGH_MS, &error), OUTCOME_STORED);
	assert_string_equal(rpc_peer.last_id, entry.id);
	assert_string_equal(rpc_peer.last_level, "WARNING");
	assert_int_equal(rpc_peer.last.created_ms, entry.accepted_ms);
	assert_int_equal(rpc_peer.last_name, 4);
	assert_int_equal(rpc_peer.last_data, 1);
}

static const struct {
	const char *name;
	enum outcome outcome;
	enum error_code code;
	const char *sentence;
} errors[] = {
	{ "error conflict: id x: in use", OUTCOME_REFUSED, ERROR_CONFLICT, "id x: in use" },
	{ "error invalid: name: must be UTF-8", OUTCOME_REFUSED, ERROR_BAD_INPUT,
	  "name: must be UTF-8" },
	{ "error too large: it", OUTCOME_REFUSED, ERROR_TOO_LARGE, "it" },
	{ "error full: it", OUTCOME_NOT_STORED, ERROR_PEER_FULL,
	  "the RPC log server answered: it" },
	{ "error down: it", OUTCOME_NOT_STORED, ERROR_PEER_DOWN,
	  "the RPC log server answered: it" },
	{ "error timeout: it", OUTCOME_UNKNOWN, ERROR_PEER_TIMEOUT,
	  "the RPC log server answered: it" },
	{ "error failed: it", OUTCOME_UNKNOWN, ERROR_INTERNAL, "the RPC log server answered: it" },
	{ "error boom", OUTCOME_UNKNOWN, ERROR_PEER_ANSWER, "the RPC log server answered: boom" },
	{ "error rpc: can't find service RPCServer.LogInfo", OUTCOME_NOT_STORED, ERROR_CONFIG,
	  "the RPC log server answered: rpc: can't find service RPCServer.LogInfo" },
	{ "error gob: type mismatch", OUTCOME_NOT_STORED, ERROR_CONFIG,
	  "the RPC log server answered: gob: type mismatch" },
};

static void each_error_of_the_server_has_its_outcome(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		int connections = rpc_peer_count(&rpc_peer.connections);
		assert_int_equal(send_named(errors[i].name), errors[i].outcome);
		assert_int_equal(error.code, errors[i].code);
		assert_string_equal(error.text, errors[i].sentence);
		assert_int_equal(rpc_peer_count(&rpc_peer.connections), connections);
	}
}

static void a_hundred_entries_take_one_connection(void **state)
{
	(void)state;
	int connections = rpc_peer_count(&rpc_peer.connections);
	for (int i = 0; i < 100; i++)
		assert_int_equal(send_named("name"), OUTCOME_STORED);
	assert_int_equal(rpc_peer_count(&rpc_peer.connections), connections);
}

static void large_and_empty_entries_arrive(void **state)
{
	(void)state;
	char *large = malloc(LARGE);
	memset(large, 'x', LARGE);
	struct entry entry = entry_of("");
	entry.data = text_of("");
	assert_int_equal(rpc_send(&entry, clock_now_ms() + ENOUGH_MS, &error), OUTCOME_STORED);
	entry.name = (struct text){ large, LARGE };
	entry.data = (struct text){ large, LARGE / 2 };
	assert_int_equal(rpc_send(&entry, clock_now_ms() + ENOUGH_MS, &error), OUTCOME_STORED);
	assert_int_equal(rpc_peer.last_name, LARGE);
	assert_int_equal(rpc_peer.last_data, LARGE / 2);
	free(large);
}

static void a_kept_connection_that_is_gone_is_remade(void **state)
{
	(void)state;
	int calls = rpc_peer_count(&rpc_peer.calls);
	assert_int_equal(send_named("bye"), OUTCOME_STORED);
	assert_int_equal(send_named("name"), OUTCOME_STORED);
	assert_int_equal(rpc_peer_count(&rpc_peer.calls), calls + 2);
}

static void a_connection_that_breaks_leaves_it_unknown_after_one_more_try(void **state)
{
	(void)state;
	int calls = rpc_peer_count(&rpc_peer.calls);
	assert_int_equal(send_named("name"), OUTCOME_STORED);
	assert_int_equal(send_named("close"), OUTCOME_UNKNOWN); /* the kept one, and a new one */
	assert_int_equal(error.code, ERROR_PEER_ANSWER);
	assert_int_equal(rpc_peer_count(&rpc_peer.calls), calls + 3);
	assert_int_equal(send_named("close"), OUTCOME_UNKNOWN); /* a new one only */
	assert_int_equal(rpc_peer_count(&rpc_peer.calls), calls + 4);
}

static void what_is_no_answer_to_the_call_leaves_it_unknown(void **state)
{
	static const char *const names[] = { "stray", "broken" };
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		rpc_close();
		assert_int_equal(send_named(names[i]), OUTCOME_UNKNOWN);
		assert_int_equal(error.code, ERROR_PEER_ANSWER);
		int connections = rpc_peer_count(&rpc_peer.connections);
		assert_int_equal(send_named("name"), OUTCOME_STORED);
		assert_int_equal(rpc_peer_count(&rpc_peer.connections), connections + 1);
	}
}

static void nobody_listening_is_not_stored(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	(void)state;
	int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, so that nobody else listens there */
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	getsockname(fd, (struct sockaddr *)&at, &size);
	use_port(ntohs(at.sin_port));
	assert_int_equal(send_named("name"), OUTCOME_NOT_STORED);
	assert_int_equal(error.code, ERROR_PEER_DOWN);
	close(fd);
	use_port(rpc_peer.port);
	assert_int_equal(send_named("name"), OUTCOME_STORED);
}

static void an_address_that_is_none_is_named(void **state)
{
	static const char *const bad[] = { "localhost", "a b:1", "127.0.0.1:99999" };
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setenv("LOG_RPC_ADDR", bad[i], 1);
		config_load(NULL);
		rpc_close();
		assert_int_equal(send_named("name"), OUTCOME_NOT_STORED);
		assert_int_equal(error.code, ERROR_CONFIG);
		assert_non_null(strstr(error.text, "LOG_RPC_ADDR"));
	}
	use_port(rpc_peer.port);
}

static void silence_ends_at_the_deadline_and_is_then_passed_over(void **state)
{
	(void)state;
	struct entry entry = entry_of("silent");
	int64_t began = clock_now_ms();
	assert_int_equal(rpc_send(&entry, began + 300, &error), OUTCOME_UNKNOWN);
	assert_int_equal(error.code, ERROR_PEER_TIMEOUT);
	assert_in_range(clock_now_ms() - began, 290, 2000);
	int connections = rpc_peer_count(&rpc_peer.connections);
	began = clock_now_ms();
	assert_int_equal(send_named("name"), OUTCOME_NOT_STORED);
	assert_int_equal(error.code, ERROR_PEER_DOWN);
	assert_in_range(clock_now_ms() - began, 0, 200);
	while (send_named("name") == OUTCOME_NOT_STORED)
		assert_in_range(clock_now_ms() - began, 0, PEER_PAUSE_MS + 1000);
	assert_int_equal(rpc_peer_count(&rpc_peer.connections), connections + 1);
}

static int start(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR);
	rpc_peer_start();
	use_port(rpc_peer.port);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	rpc_close();
	rpc_peer_stop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_arrives_with_its_id_level_and_time),
		cmocka_unit_test(each_error_of_the_server_has_its_outcome),
		cmocka_unit_test(a_hundred_entries_take_one_connection),
		cmocka_unit_test(large_and_empty_entries_arrive),
		cmocka_unit_test(a_kept_connection_that_is_gone_is_remade),
		cmocka_unit_test(a_connection_that_breaks_leaves_it_unknown_after_one_more_try),
		cmocka_unit_test(what_is_no_answer_to_the_call_leaves_it_unknown),
		cmocka_unit_test(nobody_listening_is_not_stored),
		cmocka_unit_test(an_address_that_is_none_is_named),
		cmocka_unit_test(silence_ends_at_the_deadline_and_is_then_passed_over),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
