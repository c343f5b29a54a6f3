/* Publishing with confirm: against a real RabbitMQ, with a proxy on the way that breaks things. */
#include "suite.h"

#include <unistd.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/error.h"
#include "core/log.h"
#include "proxy.h"
#include "transport/amqp.h"
#include "transport/broker.h"
#include "transport/confirm.h"

enum { ENOUGH_MS = 10000, CONFIRM_TIMEOUT_MS = 500, SLACK_MS = 1500 };

static struct proxy proxy;
static const char *url; /* the real one; NULL: nothing to test against */
static char triggers_path[] = "/tmp/amqp-test-XXXXXX";
static char queue[MAX_QUEUE_NAME_BYTES + 1]; /* a queue of this test's own, and the key to it */

/* The test's own eyes: a connection that goes straight to RabbitMQ. */
static amqp_connection_state_t direct;

static int64_t soon(void)
{
	return clock_now_ms() + ENOUGH_MS;
}

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

/* Takes the next message of queue name; its id must be this. The caller destroys it. */
static void take(const char *name, const char *id, amqp_message_t *message)
{
	int64_t deadline = soon();
	amqp_rpc_reply_t reply;
	do {
		amqp_maybe_release_buffers(direct);
		reply = amqp_basic_get(direct, BROKER_CHANNEL, amqp_cstring_bytes(name), 1);
		assert_int_equal(reply.reply_type, AMQP_RESPONSE_NORMAL);
	} while (reply.reply.id != AMQP_BASIC_GET_OK_METHOD && clock_left_ms(deadline) > 0);
	assert_int_equal(reply.reply.id, AMQP_BASIC_GET_OK_METHOD);
	reply = amqp_read_message(direct, BROKER_CHANNEL, message, 0);
	assert_int_equal(reply.reply_type, AMQP_RESPONSE_NORMAL);
	struct text is = { message->properties.message_id.bytes,
			   message->properties.message_id.len };
	assert_text_equal(is, id);
}

static void taken(const char *id)
{
	amqp_message_t message;
	take(queue, id, &message);
	amqp_destroy_message(&message);
}

static void empty(void)
{
	amqp_maybe_release_buffers(direct);
	amqp_rpc_reply_t reply =
		amqp_basic_get(direct, BROKER_CHANNEL, amqp_cstring_bytes(queue), 1);
	assert_int_equal(reply.reply.id, AMQP_BASIC_GET_EMPTY_METHOD);
}

static void declare(const char *name, amqp_table_t arguments)
{
	amqp_queue_declare(direct, BROKER_CHANNEL, amqp_cstring_bytes(name), 0, 1, 0, 0, arguments);
	assert_int_equal(amqp_get_rpc_reply(direct).reply_type, AMQP_RESPONSE_NORMAL);
}

static void delete_queue(const char *name)
{
	amqp_queue_delete(direct, BROKER_CHANNEL, amqp_cstring_bytes(name), 0, 0);
	assert_int_equal(amqp_get_rpc_reply(direct).reply_type, AMQP_RESPONSE_NORMAL);
	amqp_maybe_release_buffers(direct);
}

static void delete_ours(void)
{
	char name[BROKER_QUEUE_NAME_BYTES];
	delete_queue(queue);
	broker_dead_queue(queue, name);
	delete_queue(name);
	broker_retry_queue(queue, 1000, name);
	delete_queue(name);
}

/* ---- each test starts with a working connection through the proxy ---- */

static int before(void **state)
{
	(void)state;
	struct error e = { 0 };
	if (!url)
		return 0;
	proxy_set(&proxy, PROXY_PASS);
	log_set_context("", "");
	/* A pause after a timeout of the test before is waited out. */
	int64_t deadline = soon();
	while (post("warm-up", &e) != OUTCOME_STORED && clock_left_ms(deadline) > 0)
		poll(NULL, 0, 20);
	amqp_queue_purge(direct, BROKER_CHANNEL, amqp_cstring_bytes(queue));
	return amqp_get_rpc_reply(direct).reply_type == AMQP_RESPONSE_NORMAL ? 0 : -1;
}

static int after(void **state)
{
	(void)state;
	amqp_close();
	return 0;
}

#define NEEDS_RABBITMQ                                                                             \
	do {                                                                                       \
		(void)state;                                                                       \
		if (!url) {                                                                        \
			print_message("TEST_RABBITMQ_URL is not set\n");                           \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

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
	take(queue, "id-1", &message);
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
	take(queue, entry.id, &message);
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
	take(queue, "big", &message);
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
					2 * BROKER_BODY_FRAME_BYTES };
	static char body[2 * BROKER_BODY_FRAME_BYTES];
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct error e = { 0 };
		amqp_message_t message;
		assert_int_equal(post_body(queue, "b", (struct text){ body, sizes[i] }, &e),
				 OUTCOME_STORED);
		take(queue, "b", &message);
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
	taken("id-3");
}

static void a_queue_deleted_under_us_is_declared_again(void **state)
{
	NEEDS_RABBITMQ;
	delete_queue(queue);
	stored("id-4");
	taken("id-4");
}

static void an_exchange_deleted_under_us_is_declared_again(void **state)
{
	NEEDS_RABBITMQ;
	/* Not the real one: others use it. A channel that RabbitMQ closes is what would come. */
	static const char close[] = "\x01\x00\x01\x00\x00\x00\x10\x00\x14\x00\x28\x01\x94\x05"
				    "gone!\x00\x3c\x00\x28\xce";
	proxy_inject(&proxy, close, sizeof(close) - 1);
	stored("id-5");
	taken("id-5");
	empty();
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
	declare(full, (amqp_table_t){ 2, arguments });
	amqp_queue_bind(direct, BROKER_CHANNEL, amqp_cstring_bytes(full),
			amqp_cstring_bytes(BROKER_EXCHANGE), amqp_cstring_bytes(full),
			amqp_empty_table);
	assert_int_equal(post_body(full, "id-6", text_of("{}"), &e), OUTCOME_NOT_STORED);
	assert_int_equal(e.code, ERROR_PEER_FULL);
	int before_it = proxy_accepted(&proxy);
	stored("id-7");
	assert_int_equal(proxy_accepted(&proxy), before_it);
	taken("id-7");
	delete_queue(full);
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
	empty();
	proxy_inject(&proxy, unblocked, sizeof(unblocked) - 1);
	stored("id-9");
	taken("id-9");
	assert_int_equal(proxy_accepted(&proxy), before_it);
}

static void a_connection_that_died_between_two_messages_is_remade(void **state)
{
	NEEDS_RABBITMQ;
	int before_it = proxy_accepted(&proxy);
	proxy_cut(&proxy);
	stored("id-10");
	taken("id-10");
	empty();
	assert_int_equal(proxy_accepted(&proxy), before_it + 1);
}

static void a_connection_cut_before_its_confirm_has_the_message_sent_again_with_its_id(void **state)
{
	NEEDS_RABBITMQ;
	proxy_set(&proxy, PROXY_CUT_ANSWER);
	stored("id-11");
	taken("id-11");
	taken("id-11");
	empty();
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
	empty();
}

static void a_lost_confirm_is_unknown_though_the_message_is_there(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	proxy_set(&proxy, PROXY_MUTE);
	assert_int_equal(post("id-15", &e), OUTCOME_UNKNOWN);
	taken("id-15");
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
	taken("id-17");
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
	taken("id-20");
}

/* ---- the confirms themselves, several in flight ---- */

enum { WINDOW = 8 };

struct counted {
	int stored, not_stored, unknown;
	enum error_code last;
};

static void count(void *context, void *what, enum outcome outcome, const struct error *e)
{
	struct counted *counted = context;
	assert_true(what == counted);
	counted->stored += outcome == OUTCOME_STORED;
	counted->not_stored += outcome == OUTCOME_NOT_STORED;
	counted->unknown += outcome == OUTCOME_UNKNOWN;
	counted->last = e ? e->code : ERROR_NONE;
}

static void publish_to(struct confirms *c, struct counted *counted, const char *name)
{
	struct error e = { 0 };
	amqp_basic_properties_t properties = { ._flags = AMQP_BASIC_MESSAGE_ID_FLAG,
					       .message_id = amqp_cstring_bytes("same") };
	struct publication p = {
		.exchange = "", .key = name, .properties = &properties, .body = text_of("{}")
	};
	if (confirms_publish(c, &p, counted, soon(), &e))
		fail_msg("%s", e.text);
}

static void of_several_in_flight_just_the_returned_one_is_not_stored(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	struct counted counted = { 0 };
	struct confirms c;
	amqp_connection_state_t connection;
	assert_int_equal(broker_connect("window", soon(), &connection, &e), ERROR_NONE);
	assert_int_equal(confirms_open(&c, connection, WINDOW, count, &counted, &e), ERROR_NONE);
	for (int i = 0; i < WINDOW; i++)
		publish_to(&c, &counted, i == 3 ? "no-such-queue" : queue);
	struct publication one_more = { .exchange = "", .key = queue };
	assert_int_equal(confirms_publish(&c, &one_more, &counted, soon(), &e), ERROR_PEER_FULL);
	assert_int_equal(confirms_wait(&c, soon(), &e), ERROR_NONE);
	assert_int_equal(counted.stored, WINDOW - 1);
	assert_int_equal(counted.not_stored, 1);
	assert_int_equal(counted.unknown, 0);
	for (int i = 0; i < WINDOW - 1; i++)
		taken("same");
	empty();
	confirms_finish(&c);
	broker_disconnect(&connection);
}

static void what_is_in_flight_when_the_connection_goes_is_unknown(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	struct counted counted = { 0 };
	struct confirms c;
	amqp_connection_state_t connection;
	assert_int_equal(broker_connect("window", soon(), &connection, &e), ERROR_NONE);
	assert_int_equal(confirms_open(&c, connection, WINDOW, count, &counted, &e), ERROR_NONE);
	proxy_set(&proxy, PROXY_MUTE);
	publish_to(&c, &counted, queue);
	publish_to(&c, &counted, queue);
	proxy_cut(&proxy);
	assert_int_equal(confirms_wait(&c, soon(), &e), ERROR_PEER_DOWN);
	assert_int_equal(counted.unknown, 2);
	assert_int_equal(counted.last, ERROR_PEER_DOWN);
	assert_int_equal(confirms_pump(&c, &e), ERROR_PEER_DOWN);
	confirms_finish(&c);
	broker_disconnect(&connection);
}

static void a_confirm_that_comes_after_giving_up_is_ignored(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	struct counted counted = { 0 };
	struct confirms c;
	amqp_connection_state_t connection;
	assert_int_equal(broker_connect("window", soon(), &connection, &e), ERROR_NONE);
	assert_int_equal(confirms_open(&c, connection, WINDOW, count, &counted, &e), ERROR_NONE);
	proxy_set(&proxy, PROXY_FREEZE);
	publish_to(&c, &counted, queue);
	assert_int_equal(confirms_wait(&c, clock_now_ms() + 50, &e), ERROR_PEER_TIMEOUT);
	confirms_give_up(&c, &e);
	assert_int_equal(counted.unknown, 1);
	proxy_set(&proxy, PROXY_PASS);
	publish_to(&c, &counted, queue);
	assert_int_equal(confirms_wait(&c, soon(), &e), ERROR_NONE);
	assert_int_equal(counted.stored, 1);
	assert_int_equal(counted.unknown, 1);
	confirms_finish(&c);
	broker_disconnect(&connection);
}

/* ---- the topology ---- */

static void a_queue_with_other_settings_is_named(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	struct trigger *t = calloc(1, sizeof(*t));
	struct triggers triggers = { .list = t, .count = 1 };
	amqp_connection_state_t connection;
	assert_non_null(t);
	snprintf(t->queue, sizeof(t->queue), "%.80s-classic", queue);
	declare(t->queue, amqp_empty_table);
	assert_int_equal(broker_connect("topology", soon(), &connection, &e), ERROR_NONE);
	assert_int_equal(broker_declare(connection, &triggers, &e), ERROR_CONFIG);
	assert_non_null(strstr(e.text, t->queue));
	broker_disconnect(&connection);
	delete_queue(t->queue);
	char dead[BROKER_QUEUE_NAME_BYTES];
	broker_dead_queue(t->queue, dead);
	delete_queue(dead);
	free(t);
}

static void a_message_in_a_retry_queue_comes_back_to_its_queue(void **state)
{
	NEEDS_RABBITMQ;
	char retry[BROKER_QUEUE_NAME_BYTES];
	amqp_message_t message;
	amqp_basic_properties_t p = { ._flags = AMQP_BASIC_MESSAGE_ID_FLAG,
				      .message_id = amqp_cstring_bytes("again") };
	broker_retry_queue(queue, 1000, retry);
	amqp_basic_publish(direct, BROKER_CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(retry), 1,
			   0, &p, amqp_cstring_bytes("{}"));
	int64_t began = clock_now_ms();
	take(queue, "again", &message);
	assert_in_range(clock_now_ms() - began, 800, ENOUGH_MS);
	amqp_destroy_message(&message);
}

static void a_dead_letter_that_is_looked_at_often_stays(void **state)
{
	NEEDS_RABBITMQ;
	char dead[BROKER_QUEUE_NAME_BYTES];
	broker_dead_queue(queue, dead);
	amqp_basic_publish(direct, BROKER_CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(dead), 1, 0,
			   NULL, amqp_cstring_bytes("{}"));
	for (int looks = 0; looks < 40;) {
		amqp_message_t message;
		amqp_rpc_reply_t reply =
			amqp_basic_get(direct, BROKER_CHANNEL, amqp_cstring_bytes(dead), 0);
		if (looks == 0 && reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD)
			continue; /* not there yet: it was not confirmed */
		assert_int_equal(reply.reply.id, AMQP_BASIC_GET_OK_METHOD);
		const amqp_basic_get_ok_t *got = reply.reply.decoded;
		uint64_t tag = got->delivery_tag;
		amqp_read_message(direct, BROKER_CHANNEL, &message, 0);
		amqp_destroy_message(&message);
		amqp_basic_nack(direct, BROKER_CHANNEL, tag, 0, 1);
		looks++;
	}
	amqp_queue_purge(direct, BROKER_CHANNEL, amqp_cstring_bytes(dead));
}

/* ---- the URL, which needs no RabbitMQ ---- */

static void a_url_that_cannot_be_is_a_wrong_setting(void **state)
{
	(void)state;
	static const char *const urls[] = { "http://x/",       "amqp:/x",	  "amqp://h:x/",
					    "amqp://u:%00@h/", "amqp://h:99999/", "amqps://" };
	const char *was = getenv("RABBITMQ_URL");
	char saved[512];
	snprintf(saved, sizeof(saved), "%s", was ? was : "");
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct error e = { 0 };
		amqp_connection_state_t connection;
		setenv("RABBITMQ_URL", urls[i], 1);
		assert_int_equal(config_load(&e), ERROR_NONE);
		assert_int_equal(broker_connect("url", soon(), &connection, &e), ERROR_CONFIG);
		assert_non_null(strstr(e.text, "RABBITMQ_URL"));
		assert_null(connection);
	}
	setenv("RABBITMQ_URL", saved, 1);
	assert_int_equal(config_load(NULL), ERROR_NONE);
}

static void a_refused_password_is_a_wrong_setting(void **state)
{
	NEEDS_RABBITMQ;
	struct error e = { 0 };
	char saved[512], wrong[512];
	amqp_connection_state_t connection;
	snprintf(saved, sizeof(saved), "%s", getenv("RABBITMQ_URL"));
	snprintf(wrong, sizeof(wrong), "amqp://no%%20body:p%%C3%%A4ss%%2F@127.0.0.1:%d/",
		 proxy.port);
	setenv("RABBITMQ_URL", wrong, 1);
	assert_int_equal(config_load(NULL), ERROR_NONE);
	assert_int_equal(broker_connect("url", soon(), &connection, &e), ERROR_CONFIG);
	setenv("RABBITMQ_URL", saved, 1);
	assert_int_equal(config_load(NULL), ERROR_NONE);
}

/* ---- set-up ---- */

static void write_triggers(void)
{
	FILE *f = fdopen(mkstemp(triggers_path), "w");
	snprintf(queue, sizeof(queue), "test-amqp-%d", (int)getpid());
	fprintf(f, "[%s]\nkeys = %s\nhandler = none\nbackoff = 1s\n", queue, queue);
	fclose(f);
}

/* amqp://USER:PASSWORD@HOST:PORT/VHOST, with the proxy in the place of HOST:PORT. */
static void point_at_proxy(void)
{
	char through[512], number[16];
	const char *host = strrchr(url, '@') ? strrchr(url, '@') + 1 : url + strlen("amqp://");
	const char *port = strchr(host, ':');
	const char *end = host + strcspn(host, "/");
	proxy_start(&proxy, port && port < end ? atoi(port + 1) : 5672);
	snprintf(through, sizeof(through), "%.*s127.0.0.1:%d%s", (int)(host - url), url, proxy.port,
		 end);
	snprintf(number, sizeof(number), "%d", CONFIRM_TIMEOUT_MS);
	setenv("RABBITMQ_URL", through, 1);
	setenv("CONFIRM_TIMEOUT_MS", number, 1);
	setenv("TRIGGERS_FILE", triggers_path, 1);
}

static int start(void **state)
{
	(void)state;
	struct error e = { 0 };
	url = getenv("TEST_RABBITMQ_URL");
	url = url && *url ? url : NULL;
	log_init("test", LOG_LEVEL_ERROR);
	if (!url)
		return 0;
	write_triggers();
	setenv("RABBITMQ_URL", url, 1);
	if (config_load(&e) || broker_connect("eyes", soon(), &direct, &e)) {
		print_error("%s\n", e.text);
		return -1;
	}
	struct timeval timeout = { .tv_sec = ENOUGH_MS / 1000 };
	amqp_set_rpc_timeout(direct, &timeout);
	point_at_proxy();
	return config_load(&e) ? -1 : 0;
}

static int stop(void **state)
{
	(void)state;
	if (!url)
		return 0;
	delete_ours();
	broker_disconnect(&direct);
	proxy_stop(&proxy);
	unlink(triggers_path);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_url_that_cannot_be_is_a_wrong_setting),
		TEST(a_refused_password_is_a_wrong_setting),
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
		TEST(of_several_in_flight_just_the_returned_one_is_not_stored),
		TEST(what_is_in_flight_when_the_connection_goes_is_unknown),
		TEST(a_confirm_that_comes_after_giving_up_is_ignored),
		TEST(a_queue_with_other_settings_is_named),
		TEST(a_message_in_a_retry_queue_comes_back_to_its_queue),
		TEST(a_dead_letter_that_is_looked_at_often_stays),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
