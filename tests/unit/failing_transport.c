/* Ways to the log without memory, and with system calls that do a little each: "stored" is said of what was stored. */
#include "suite.h"

#include "failing.h"

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "http_peer.h"
#include "rabbit.h"
#include "transport/transport.h"

/* What rabbitmq-c 0.11 forgets when its own bookkeeping finds no memory. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:amqp_pool_alloc\nleak:amqp_tune_connection\n";
}

#define STORED "HTTP/1.1 202 Accepted\r\nX-Handler: log\r\nContent-Length: 2\r\n\r\n{}"

static struct http_peer peer;
static struct entry entry;
static struct error error;

static void new_entry(void)
{
	static char data[3000];
	memset(data, 'd', sizeof(data) - 1);
	entry = (struct entry){ .name = text_of("n"),
				.data = text_of(data),
				.accepted_ms = clock_wall_ms() };
	entry_id_new(entry.id);
}

static enum outcome send_by(const char *way)
{
	const struct transport *used = NULL;
	error = (struct error){ 0 };
	return transport_send(text_of(way), &entry, clock_now_ms() + ENOUGH_MS, &used, &error);
}

/* What the peer got is the whole entry. */
static void assert_peer_has_it(void)
{
	char id[64];
	snprintf(id, sizeof(id), "\"%s\"", entry.id);
	const char *request = http_peer_request(&peer);
	if (!strstr(request, id) || !strstr(request, "ddd\""))
		fail_msg("said to be stored: %s", request);
}

static bool post_an_entry(void)
{
	enum outcome outcome = send_by("http");
	bool failed = failing_end();
	if (outcome == OUTCOME_STORED)
		assert_peer_has_it();
	else
		assert_int_not_equal(outcome, OUTCOME_REFUSED); /* nothing is wrong with it */
	assert_true(failed || outcome == OUTCOME_STORED);
	new_entry();
	return failed;
}

static void an_entry_by_http_without_memory_is_stored_or_not_said_to_be(void **state)
{
	(void)state;
	failing_each_allocation(post_an_entry);
}

/*
 * libcurl does not get through a socket that takes a few bytes of each send,
 * which none does: it must find its deadline, and no success.
 */
static void an_entry_by_http_in_small_pieces_is_not_said_to_be_stored_by_mistake(void **state)
{
	(void)state;
	static const enum failing_io modes[] = { IO_SHORT, IO_INTERRUPTED };
	for (size_t i = 0; i < 2; i++) {
		const struct transport *used = NULL;
		int64_t began = clock_now_ms();
		new_entry();
		failing.io = modes[i];
		enum outcome outcome =
			transport_send(text_of("http"), &entry, began + 600, &used, &error);
		failing_end();
		assert_in_range(clock_now_ms() - began, 0, 2000);
		if (outcome == OUTCOME_STORED)
			assert_peer_has_it();
	}
}

/* The queue has every message that is said to be stored; it may have one more. */
static void assert_queue_has_it(void)
{
	for (;;) {
		amqp_message_t message;
		amqp_maybe_release_buffers(direct);
		amqp_rpc_reply_t reply =
			amqp_basic_get(direct, BROKER_CHANNEL, amqp_cstring_bytes(queue), 1);
		assert_int_equal(reply.reply_type, AMQP_RESPONSE_NORMAL);
		if (reply.reply.id != AMQP_BASIC_GET_OK_METHOD)
			fail_msg("%s was said to be stored", entry.id);
		reply = amqp_read_message(direct, BROKER_CHANNEL, &message, 0);
		assert_int_equal(reply.reply_type, AMQP_RESPONSE_NORMAL);
		struct text id = { message.properties.message_id.bytes,
				   message.properties.message_id.len };
		bool found = text_equal(id, text_of(entry.id));
		bool whole = message.body.len > strlen("ddd");
		amqp_destroy_message(&message);
		if (found) {
			assert_true(whole);
			return;
		}
	}
}

static bool publish_an_entry(void)
{
	new_entry();
	enum outcome outcome = send_by("amqp");
	bool failed = failing_end();
	if (outcome == OUTCOME_STORED)
		assert_queue_has_it();
	else
		assert_int_not_equal(outcome, OUTCOME_REFUSED);
	if (!failed && outcome != OUTCOME_STORED)
		fail_msg("%s", error.text);
	return failed;
}

static void an_entry_by_rabbitmq_without_memory_is_stored_or_not_said_to_be(void **state)
{
	NEEDS_RABBITMQ;
	failing_each_allocation(publish_an_entry);
}

static void an_entry_by_rabbitmq_in_small_pieces_is_stored_or_not_said_to_be(void **state)
{
	NEEDS_RABBITMQ;
	static const enum failing_io modes[] = { IO_SHORT, IO_INTERRUPTED };
	int stored = 0;
	for (size_t i = 0; i < 10; i++) {
		proxy_cut(&proxy); /* connecting is harmed as well */
		new_entry();
		failing.io = modes[i % 2];
		enum outcome outcome = send_by("amqp");
		failing_end();
		if (outcome == OUTCOME_STORED)
			assert_queue_has_it();
		stored += outcome == OUTCOME_STORED && modes[i % 2] == IO_SHORT;
	}
	assert_true(stored > 0); /* not each: a confirm in small pieces may come too late */
}

/* Our queue gets what amqp_send publishes. */
static void bind_queue(void)
{
	amqp_queue_bind(direct, BROKER_CHANNEL, amqp_cstring_bytes(queue),
			amqp_cstring_bytes(BROKER_EXCHANGE), amqp_cstring_bytes("log.INFO"),
			amqp_empty_table);
	assert_int_equal(amqp_get_rpc_reply(direct).reply_type, AMQP_RESPONSE_NORMAL);
}

static int start(void **state)
{
	char address[64];
	if (rabbit_start(state))
		return -1;
	http_peer_start(&peer, NULL);
	http_peer_answers(&peer, STORED);
	snprintf(address, sizeof(address), "http://127.0.0.1:%d", peer.port);
	setenv("INTERNAL_URL", address, 1);
	setenv("LOG_TRANSPORTS", "amqp,http", 1);
	if (url)
		bind_queue();
	new_entry();
	return (int)config_load(NULL);
}

static int stop(void **state)
{
	http_peer_stop(&peer);
	return rabbit_stop(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_by_http_without_memory_is_stored_or_not_said_to_be),
		cmocka_unit_test(
			an_entry_by_http_in_small_pieces_is_not_said_to_be_stored_by_mistake),
		cmocka_unit_test(an_entry_by_rabbitmq_without_memory_is_stored_or_not_said_to_be),
		cmocka_unit_test(an_entry_by_rabbitmq_in_small_pieces_is_stored_or_not_said_to_be),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
