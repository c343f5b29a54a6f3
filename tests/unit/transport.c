/* Ways to the log: their order, their time, and what is told when none takes an entry. */
#include "suite.h"

#include <unistd.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/limits.h"
#include "core/log.h"
#include "http_peer.h"
#include "transport/transport.h"

enum { ENOUGH_MS = 5000 };

#define WORKER "X-Handler: log\r\n"
#define STORED "HTTP/1.1 202 Accepted\r\n" WORKER "Content-Length: 2\r\n\r\n{}"
#define CONFLICT                                                                                   \
	"HTTP/1.1 409 X\r\n" WORKER                                                                \
	"Content-Length: 51\r\n\r\n{\"error\":true,\"message\":\"the id is in use already\"}"
#define WORKER_DIED "HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n"
#define NOT_RUNNING "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"
#define STORE_DOWN                                                                                 \
	"HTTP/1.1 503 X\r\n" WORKER                                                                \
	"Content-Length: 46\r\n\r\n{\"error\":true,\"message\":\"the store is not up\"}"

static struct http_peer peer;
static struct entry entry;

static void use(const char *order)
{
	setenv("LOG_TRANSPORTS", order, 1);
	assert_int_equal(config_load(NULL), ERROR_NONE);
}

static enum outcome transport(const char *only, const struct transport **used, struct error *e)
{
	return transport_send(text_of(only), &entry, clock_now_ms() + ENOUGH_MS, used, e);
}

static void assert_says(const struct error *e, const char *sentence)
{
	if (!strstr(e->text, sentence))
		fail_msg("\"%s\" does not say \"%s\"", e->text, sentence);
}

static void when_the_first_way_is_down_the_next_takes_the_same_entry(void **state)
{
	(void)state;
	struct error e = { 0 };
	const struct transport *used = NULL;
	char id[64];
	use("amqp,http");
	http_peer_answers(&peer, STORED);
	assert_int_equal(transport("", &used, &e), OUTCOME_STORED);
	assert_string_equal(used->name, "http");
	assert_string_equal(used->answer, "logged");
	const char *request = http_peer_request(&peer);
	snprintf(id, sizeof(id), "\"%s\"", entry.id);
	assert_int_equal(strncmp(request, "POST /log ", 10), 0);
	assert_non_null(strstr(request, id));
	assert_non_null(strstr(request, "\"WARNING\""));
}

static void a_way_that_is_named_is_the_only_one_tried(void **state)
{
	(void)state;
	struct error e = { 0 };
	const struct transport *used = NULL;
	use("http");
	http_peer_answers(&peer, STORED);
	int requests = http_peer_requests(&peer);
	assert_int_equal(transport("amqp", &used, &e), OUTCOME_NOT_STORED);
	assert_null(used);
	assert_int_equal(error_status(e.code), 503);
	assert_says(&e, "the entry was not kept (amqp: RabbitMQ cannot be reached");
	assert_int_equal(http_peer_requests(&peer), requests);
	use("amqp");
	assert_int_equal(transport("http", &used, &e), OUTCOME_STORED);
	assert_string_equal(used->name, "http");
}

static void a_way_that_there_is_not_is_bad_input(void **state)
{
	(void)state;
	static const char *const names[] = { "pigeon", "AMQP", "amqp,http", "amq", "amqp " };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct error e = { 0 };
		const struct transport *used = &(struct transport){ 0 };
		assert_int_equal(transport(names[i], &used, &e), OUTCOME_REFUSED);
		assert_int_equal(e.code, ERROR_BAD_INPUT);
		assert_null(used);
		assert_says(&e, "transport: must be one of amqp, ");
	}
}

static void a_refusal_stops_and_is_told_as_it_is(void **state)
{
	(void)state;
	struct error e = { 0 };
	const struct transport *used = NULL;
	use("http,amqp");
	http_peer_answers(&peer, CONFLICT);
	assert_int_equal(transport("", &used, &e), OUTCOME_REFUSED);
	assert_string_equal(used->name, "http");
	assert_int_equal(e.code, ERROR_CONFLICT);
	assert_string_equal(e.text, "the id is in use already");
}

static void one_unknown_makes_the_whole_unknown_and_names_the_id(void **state)
{
	(void)state;
	struct error e = { 0 };
	const struct transport *used = NULL;
	use("http,amqp");
	http_peer_answers(&peer, WORKER_DIED);
	assert_int_equal(transport("", &used, &e), OUTCOME_UNKNOWN);
	assert_null(used);
	assert_int_equal(e.code, ERROR_PEER_ANSWER);
	assert_says(&e, "not known");
	assert_says(&e, entry.id);
	assert_says(&e, "http: no worker of /log answered");
	assert_says(&e, "; amqp: RabbitMQ cannot be reached");
	use("amqp,http");
	assert_int_equal(transport("", &used, &e), OUTCOME_UNKNOWN);
	assert_int_equal(e.code, ERROR_PEER_ANSWER);
}

static void ways_that_are_all_down_leave_the_entry_not_kept(void **state)
{
	(void)state;
	static const char *const answers[] = { NOT_RUNNING, STORE_DOWN };
	use("amqp,http");
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct error e = { 0 };
		const struct transport *used = NULL;
		http_peer_answers(&peer, answers[i]);
		assert_int_equal(transport("", &used, &e), OUTCOME_NOT_STORED);
		assert_true(error_is_pause(e.code));
		assert_says(&e, "the entry was not kept (amqp: ");
		assert_says(&e, i == 0 ? "; http: the handler /log is not running"
				       : "; http: the store is not up");
	}
}

static void a_silent_way_gets_half_of_the_time_and_is_then_passed_over(void **state)
{
	(void)state;
	struct error e = { 0 };
	const struct transport *used = NULL;
	use("http");
	http_peer_answers(&peer, "");
	int64_t began = clock_now_ms();
	assert_int_equal(transport_send(text_of(""), &entry, began + 600, &used, &e),
			 OUTCOME_UNKNOWN);
	assert_int_equal(e.code, ERROR_PEER_TIMEOUT);
	assert_in_range(clock_now_ms() - began, 290, 590);
	int requests = http_peer_requests(&peer);
	assert_int_equal(transport("", &used, &e), OUTCOME_NOT_STORED);
	assert_true(error_is_pause(e.code));
	assert_int_equal(http_peer_requests(&peer), requests);
}

static void the_list_of_ways_is_checked(void **state)
{
	(void)state;
	static const char *const good[] = { "amqp", "http", "amqp,http", " http , amqp " };
	static const char *const bad[] = { "pigeon", "amqp,pigeon", ",", "amqp;http" };
	struct error e = { 0 };
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		use(good[i]);
		assert_int_equal(transport_check(&e), ERROR_NONE);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		use(bad[i]);
		assert_int_equal(transport_check(&e), ERROR_CONFIG);
		assert_says(&e, "LOG_TRANSPORTS");
	}
}

static void a_way_is_found_by_its_whole_name(void **state)
{
	(void)state;
	assert_string_equal(transport_find(text_of("amqp"))->name, "amqp");
	assert_string_equal(transport_find(text_of("http"))->name, "http");
	assert_null(transport_find(text_of("htt")));
	assert_null(transport_find(text_of("")));
}

static int start(void **state)
{
	(void)state;
	char url[64];
	struct http_peer gone; /* its port, free again, is where RabbitMQ is not */
	log_init("test", LOG_LEVEL_ERROR);
	http_peer_start(&gone, NULL);
	snprintf(url, sizeof(url), "amqp://127.0.0.1:%d/", gone.port);
	http_peer_stop(&gone);
	setenv("RABBITMQ_URL", url, 1);
	http_peer_start(&peer, NULL);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", peer.port);
	setenv("INTERNAL_URL", url, 1);
	entry = (struct entry){ .level = ENTRY_WARNING,
				.name = text_of("n"),
				.data = text_of("d"),
				.accepted_ms = clock_wall_ms() };
	entry_id_new(entry.id);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	http_peer_stop(&peer);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(when_the_first_way_is_down_the_next_takes_the_same_entry),
		cmocka_unit_test(a_way_that_is_named_is_the_only_one_tried),
		cmocka_unit_test(a_way_that_there_is_not_is_bad_input),
		cmocka_unit_test(a_refusal_stops_and_is_told_as_it_is),
		cmocka_unit_test(one_unknown_makes_the_whole_unknown_and_names_the_id),
		cmocka_unit_test(ways_that_are_all_down_leave_the_entry_not_kept),
		cmocka_unit_test(the_list_of_ways_is_checked),
		cmocka_unit_test(a_way_is_found_by_its_whole_name),
		cmocka_unit_test(a_silent_way_gets_half_of_the_time_and_is_then_passed_over),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
