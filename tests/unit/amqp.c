/* Publishing with confirm: against a real RabbitMQ, with a proxy on the way that breaks things. */
#include "suite.h"

#include "rabbit.h"
#include "transport/amqp.h"

static enum outcome post_body(const char *key, const char *id, struct text body, struct error *e)
{
	return amqp_post(
		&(struct amqp_post){
			.key = key, .id = id, .accepted_ms = clock_wall_ms(), .body = body },
		soon(), e);
}

static enum outcome post(const char *id, struct error *e)
{
	return post_body(queue, id, text_of("{}"), e);
}

static void stored(const char *id)
{
	struct error e = { 0 };
	if (post(id, &e) != OUTCOME_STORED)
		fail_msg("%s", e.text);
}

/* ---- each test starts with a working connection through the proxy ---- */

static int before(void **state)
{
	struct error e = { 0 };
	if (!url || rabbit_reset(state))
		return url ? -1 : 0;
	/* A pause after a timeout of the test before is waited out. */
	int64_t deadline = soon();
	while (post("warm-up", &e) != OUTCOME_STORED && clock_left_ms(deadline) > 0)
		poll(NULL, 0, 20);
	return rabbit_reset(state);
}

static int after(void **state)
{
	(void)state;
	amqp_close();
	return 0;
}

static void assert_header(const amqp_table_t *headers, const char *name, const char *value)
{
	for (int i = 0; i < headers->num_entries; i++) {
		const amqp_table_entry_t *h = &headers->entries[i];
		if (!text_equal((struct text){ h->key.bytes, h->key.len }, text_of(name)))
			continue;
		const amqp_bytes_t *is = &h->value.value.bytes;
		assert_text_equal(((struct text){ is->bytes, is->len }), value);
		return;
	}
	fail_msg("there is no header %s", name);
}

static void a_confirmed_message_is_in_the_queue_with_all_that_it_carries(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	amqp_message_t message;
	log_set_context("request-7", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
	assert_int_equal(post_body(queue, "id-1", text_of("{\"name\":\"n\"}"), &e), OUTCOME_STORED);
	rabbit_take(queue, "id-1", &message);
	assert_text_equal(((struct text){ message.body.bytes, message.body.len }),
			  "{\"name\":\"n\"}");
	const amqp_basic_properties_t *p = &message.properties;
	assert_int_equal(p->delivery_mode, 2);
	assert_text_equal(((struct text){ p->content_type.bytes, p->content_type.len }),
			  "application/json");
	assert_in_range(p->timestamp, clock_wall_ms() / 1000 - 5, clock_wall_ms() / 1000 + 1);
	assert_header(&p->headers, "x-request-id", "request-7");
	assert_header(&p->headers, "traceparent",
		      "00-4bf92f3577b34da6a3ce929d0e0e4736-"
		      "00f067aa0ba902b7-01");
	amqp_destroy_message(&message);
}

static void an_entry_goes_out_under_its_levels_key(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	amqp_message_t message;
	struct entry entry = { .level = ENTRY_WARNING,
			       .name = text_of("unit test"),
			       .data = text_of("d\xC3\xA4ta"),
			       .accepted_ms = clock_wall_ms() };
	entry_id_new(entry.id);
	amqp_queue_bind(direct, BROKER_CHANNEL, amqp_cstring_bytes(queue),
			amqp_cstring_bytes(BROKER_EXCHANGE), amqp_cstring_bytes("log.WARNING"),
			amqp_empty_table);
	assert_int_equal(transport_find(text_of("amqp"))->send(&entry, soon(), &e), OUTCOME_STORED);
	amqp_queue_unbind(direct, BROKER_CHANNEL, amqp_cstring_bytes(queue),
			  amqp_cstring_bytes(BROKER_EXCHANGE), amqp_cstring_bytes("log.WARNING"),
			  amqp_empty_table);
	rabbit_take(queue, entry.id, &message);
	struct json_object *body = NULL;
	struct entry back = { 0 };
	assert_int_equal(json_parse((struct text){ message.body.bytes, message.body.len }, "body",
				    &body, &e),
			 ERROR_NONE);
	assert_int_equal(entry_from_peer_json(body, "", &back, &e), ERROR_NONE);
	assert_true(entry_same_content(&entry, &back));
	assert_string_equal(back.id, entry.id);
	json_object_put(body);
	amqp_destroy_message(&message);
}

static void a_message_of_16_mib_is_stored_whole(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	amqp_message_t message;
	size_t n = MAX_BODY_BYTES - 1;
	char *body = malloc(n);
	assert_non_null(body);
	memset(body, 'x', n);
	assert_int_equal(post_body(queue, "big", (struct text){ body, n }, &e), OUTCOME_STORED);
	rabbit_take(queue, "big", &message);
	assert_int_equal(message.body.len, n);
	assert_memory_equal(message.body.bytes, body, n);
	amqp_destroy_message(&message);
	free(body);
}

static void an_empty_body_and_a_frame_to_the_brim_are_stored(void **state)
{
	NEEDS_RABBITMQ;
	static const size_t sizes[] = { 0,
					1,
					BROKER_BODY_FRAME_BYTES - 1,
					BROKER_BODY_FRAME_BYTES,
					BROKER_BODY_FRAME_BYTES + 1,
					(size_t)2 * BROKER_BODY_FRAME_BYTES };
	static char body[2 * BROKER_BODY_FRAME_BYTES];
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct error e = { 0 };
		amqp_message_t message;
		assert_int_equal(post_body(queue, "b", (struct text){ body, sizes[i] }, &e),
				 OUTCOME_STORED);
		rabbit_take(queue, "b", &message);
		assert_int_equal(message.body.len, sizes[i]);
		amqp_destroy_message(&message);
	}
}

static void a_message_that_no_queue_takes_is_not_stored(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	assert_int_equal(post_body("no.such.key", "id-2", text_of("{\"a\":1}"), &e),
			 OUTCOME_NOT_STORED);
	assert_int_equal(e.code, ERROR_CONFIG);
	stored("id-3");
	rabbit_taken("id-3");
}

static void a_queue_deleted_under_us_is_declared_again(void **state)
{
	NEEDS_RABBITMQ;
	rabbit_delete(queue);
	stored("id-4");
	rabbit_taken("id-4");
}

static void an_exchange_deleted_under_us_is_declared_again(void **state)
{
	NEEDS_RABBITMQ;
	/* Not the real one: others use it. A channel that RabbitMQ closes is what would come. */
	static const char close[] = "\x01\x00\x01\x00\x00\x00\x10\x00\x14\x00\x28\x01\x94\x05"
				    "gone!\x00\x3c\x00\x28\xce";
	proxy_inject(&proxy, close, sizeof(close) - 1);
	stored("id-5");
	rabbit_taken("id-5");
	rabbit_is_empty();
}

static void a_full_queue_is_a_peer_that_is_full(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	char full[MAX_QUEUE_NAME_BYTES + 8];
	snprintf(full, sizeof(full), "%s-full", queue);
	amqp_table_entry_t arguments[] = {
		{ .key = amqp_cstring_bytes("x-max-length"),
		  .value = { .kind = AMQP_FIELD_KIND_I32 } },
		{ .key = amqp_cstring_bytes("x-overflow"),
		  .value = { .kind = AMQP_FIELD_KIND_UTF8,
			     .value.bytes = amqp_cstring_bytes("reject-publish") } },
	};
	rabbit_declare(full, (amqp_table_t){ 2, arguments });
	amqp_queue_bind(direct, BROKER_CHANNEL, amqp_cstring_bytes(full),
			amqp_cstring_bytes(BROKER_EXCHANGE), amqp_cstring_bytes(full),
			amqp_empty_table);
	assert_int_equal(post_body(full, "id-6", text_of("{}"), &e), OUTCOME_NOT_STORED);
	assert_int_equal(e.code, ERROR_PEER_FULL);
	int before_it = proxy_accepted(&proxy);
	stored("id-7");
	assert_int_equal(proxy_accepted(&proxy), before_it);
	rabbit_taken("id-7");
	rabbit_delete(full);
}

static void a_blocked_connection_is_a_peer_that_is_full_until_it_is_unblocked(void **state)
{
	NEEDS_RABBITMQ;
	static const char blocked[] =
		"\x01\x00\x00\x00\x00\x00\x0f\x00\x0a\x00\x3c\x0alow memory\xce";
	static const char unblocked[] = "\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x3d\xce";
	struct error e = { 0 };
	int before_it = proxy_accepted(&proxy);
	proxy_inject(&proxy, blocked, sizeof(blocked) - 1);
	assert_int_equal(post("id-8", &e), OUTCOME_NOT_STORED);
	assert_int_equal(e.code, ERROR_PEER_FULL);
	assert_int_equal(error_status(e.code), 503);
	rabbit_is_empty();
	proxy_inject(&proxy, unblocked, sizeof(unblocked) - 1);
	stored("id-9");
	rabbit_taken("id-9");
	assert_int_equal(proxy_accepted(&proxy), before_it);
}

static void a_connection_that_died_between_two_messages_is_remade(void **state)
{
	NEEDS_RABBITMQ;
	int before_it = proxy_accepted(&proxy);
	proxy_cut(&proxy);
	stored("id-10");
	rabbit_taken("id-10");
	rabbit_is_empty();
	assert_int_equal(proxy_accepted(&proxy), before_it + 1);
}

static void a_connection_cut_before_its_confirm_has_the_message_sent_again_with_its_id(void **state)
{
	NEEDS_RABBITMQ;
	proxy_set(&proxy, PROXY_CUT_ANSWER);
	stored("id-11");
	rabbit_taken("id-11");
	rabbit_taken("id-11");
	rabbit_is_empty();
}

static void a_frozen_peer_costs_the_confirm_timeout_and_is_then_passed_over(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	proxy_set(&proxy, PROXY_FREEZE);
	int64_t began = clock_now_ms();
	assert_int_equal(post("id-12", &e), OUTCOME_UNKNOWN);
	assert_int_equal(e.code, ERROR_PEER_TIMEOUT);
	assert_in_range(clock_now_ms() - began, CONFIRM_TIMEOUT_MS, CONFIRM_TIMEOUT_MS + SLACK_MS);
	began = clock_now_ms();
	assert_int_equal(post("id-13", &e), OUTCOME_NOT_STORED);
	assert_true(error_is_pause(e.code));
	assert_in_range(clock_now_ms() - began, 0, CONFIRM_TIMEOUT_MS - 1);
}

static void a_large_message_to_a_frozen_peer_is_for_certain_not_stored(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	size_t n = MAX_BODY_BYTES;
	char *body = calloc(1, n);
	assert_non_null(body);
	proxy_set(&proxy, PROXY_FREEZE);
	int64_t began = clock_now_ms();
	assert_int_equal(post_body(queue, "id-14", (struct text){ body, n }, &e),
			 OUTCOME_NOT_STORED);
	assert_true(error_is_pause(e.code));
	assert_in_range(clock_now_ms() - began, CONFIRM_TIMEOUT_MS, CONFIRM_TIMEOUT_MS + SLACK_MS);
	proxy_set(&proxy, PROXY_PASS);
	free(body);
	rabbit_is_empty();
}

static void a_lost_confirm_is_unknown_though_the_message_is_there(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	proxy_set(&proxy, PROXY_MUTE);
	assert_int_equal(post("id-15", &e), OUTCOME_UNKNOWN);
	rabbit_taken("id-15");
}

static void a_peer_that_is_not_there_is_down_and_nothing_was_done(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	amqp_close();
	proxy_set(&proxy, PROXY_REFUSE);
	assert_int_equal(post("id-16", &e), OUTCOME_NOT_STORED);
	assert_int_equal(e.code, ERROR_PEER_DOWN);
	proxy_set(&proxy, PROXY_PASS);
	stored("id-17");
	rabbit_taken("id-17");
}

static void a_peer_that_accepts_and_says_nothing_is_bounded(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	amqp_close();
	proxy_set(&proxy, PROXY_FREEZE);
	int64_t began = clock_now_ms();
	assert_int_equal(post("id-18", &e), OUTCOME_NOT_STORED);
	assert_true(error_is_pause(e.code));
	assert_in_range(clock_now_ms() - began, 0, CONFIRM_TIMEOUT_MS + SLACK_MS);
}

static void a_wrong_file_of_triggers_is_told_and_nothing_is_published(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	char aside[sizeof(triggers_path) + 8];
	snprintf(aside, sizeof(aside), "%s.aside", triggers_path);
	amqp_close();
	assert_int_equal(rename(triggers_path, aside), 0);
	assert_int_equal(post("id-19", &e), OUTCOME_NOT_STORED);
	assert_int_equal(rename(aside, triggers_path), 0);
	assert_int_equal(e.code, ERROR_CONFIG);
	assert_non_null(strstr(e.text, triggers_path));
	stored("id-20");
	rabbit_taken("id-20");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_confirmed_message_is_in_the_queue_with_all_that_it_carries),
		TEST(an_entry_goes_out_under_its_levels_key),
		TEST(a_message_of_16_mib_is_stored_whole),
		TEST(an_empty_body_and_a_frame_to_the_brim_are_stored),
		TEST(a_message_that_no_queue_takes_is_not_stored),
		TEST(a_queue_deleted_under_us_is_declared_again),
		TEST(an_exchange_deleted_under_us_is_declared_again),
		TEST(a_full_queue_is_a_peer_that_is_full),
		TEST(a_blocked_connection_is_a_peer_that_is_full_until_it_is_unblocked),
		TEST(a_connection_that_died_between_two_messages_is_remade),
		TEST(a_connection_cut_before_its_confirm_has_the_message_sent_again_with_its_id),
		TEST(a_frozen_peer_costs_the_confirm_timeout_and_is_then_passed_over),
		TEST(a_large_message_to_a_frozen_peer_is_for_certain_not_stored),
		TEST(a_lost_confirm_is_unknown_though_the_message_is_there),
		TEST(a_peer_that_is_not_there_is_down_and_nothing_was_done),
		TEST(a_peer_that_accepts_and_says_nothing_is_bounded),
		TEST(a_wrong_file_of_triggers_is_told_and_nothing_is_published),
	};
	return cmocka_run_group_tests(tests, rabbit_start, rabbit_stop);
}
