/* Connecting to RabbitMQ, and the queues that are declared there. */
#include "suite.h"

#include "rabbit.h"

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
	rabbit_declare(t->queue, amqp_empty_table);
	assert_int_equal(broker_connect("topology", soon(), &connection, &e), ERROR_NONE);
	assert_int_equal(broker_declare(connection, &triggers, &e), ERROR_CONFIG);
	assert_non_null(strstr(e.text, t->queue));
	broker_disconnect(&connection);
	rabbit_delete(t->queue);
	char dead[BROKER_QUEUE_NAME_BYTES];
	broker_dead_queue(t->queue, dead);
	rabbit_delete(dead);
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
	rabbit_take(queue, "again", &message);
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

#define TEST(name) cmocka_unit_test_setup(name, rabbit_reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_url_that_cannot_be_is_a_wrong_setting),
		TEST(a_refused_password_is_a_wrong_setting),
		TEST(a_queue_with_other_settings_is_named),
		TEST(a_message_in_a_retry_queue_comes_back_to_its_queue),
		TEST(a_dead_letter_that_is_looked_at_often_stays),
	};
	return cmocka_run_group_tests(tests, rabbit_start, rabbit_stop);
}
