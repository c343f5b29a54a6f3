/* Confirms of several publications in flight, and what a broken connection leaves of them. */
#include "suite.h"

#include "rabbit.h"
#include "transport/confirm.h"

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
		rabbit_taken("same");
	rabbit_is_empty();
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

#define TEST(name) cmocka_unit_test_setup(name, rabbit_reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(of_several_in_flight_just_the_returned_one_is_not_stored),
		TEST(what_is_in_flight_when_the_connection_goes_is_unknown),
		TEST(a_confirm_that_comes_after_giving_up_is_ignored),
	};
	return cmocka_run_group_tests(tests, rabbit_start, rabbit_stop);
}
