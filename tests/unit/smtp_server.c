/* Whether the mail server is there: against a server that misbehaves on demand. */
#include "suite.h"

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "mail/smtp_server.h"
#include "smtp_sink.h"

enum { ENOUGH_MS = 5000, SHORT_MS = 300 };

static struct sink *sink;
static struct error error;

static void use(const char *host, int port, const char *encryption)
{
	char number[16];
	snprintf(number, sizeof(number), "%d", port);
	setenv("MAIL_HOST", host, 1);
	setenv("MAIL_PORT", number, 1);
	setenv("MAIL_ENCRYPTION", encryption, 1);
	assert_int_equal(config_load(NULL), ERROR_NONE);
}

static enum error_code check(int ms)
{
	error = (struct error){ 0 };
	return smtp_server_check(clock_now_ms() + ms, &error);
}

static void a_server_that_greets_is_there_and_is_sent_no_mail(void **state)
{
	(void)state;
	setenv("MAIL_USERNAME", "somebody", 1);
	setenv("MAIL_PASSWORD", "secret", 1);
	use("127.0.0.1", sink->port, "none");
	sink_expect(sink, (struct sink_fault){ .offers = "250-AUTH PLAIN\r\n" });
	assert_int_equal(check(ENOUGH_MS), ERROR_NONE);
	sink_rest(sink);
	assert_true(sink_saw(sink, "EHLO "));
	assert_false(sink_saw(sink, "AUTH"));
	assert_int_equal(sink_count(sink, &sink->messages), 0);
	unsetenv("MAIL_USERNAME");
	unsetenv("MAIL_PASSWORD");
}

static void one_that_greets_with_a_refusal_is_not(void **state)
{
	(void)state;
	use("127.0.0.1", sink->port, "none");
	sink_expect(sink, (struct sink_fault){ .at = "connect", .reply = "554 go away\r\n" });
	assert_int_equal(check(ENOUGH_MS), ERROR_PEER_ANSWER);
	assert_string_equal(error.text, "the mail server does not answer as one");
}

static void one_that_says_nothing_is_told_in_time(void **state)
{
	(void)state;
	use("127.0.0.1", sink->port, "none");
	sink_expect(sink, (struct sink_fault){ .at = "connect", .reply = SINK_STALL });
	int64_t before_ms = clock_now_ms();
	assert_int_equal(check(SHORT_MS), ERROR_PEER_DOWN);
	assert_in_range(clock_now_ms() - before_ms, 0, SHORT_MS + 1500);
}

static void tls_that_is_required_must_be_offered(void **state)
{
	(void)state;
	use("127.0.0.1", sink->port, "tls");
	sink_expect(sink, (struct sink_fault){ 0 });
	assert_int_equal(check(ENOUGH_MS), ERROR_PEER_ANSWER);
	assert_string_equal(error.text, "the mail server offers no STARTTLS");
}

static void a_server_that_is_not_there_is_down(void **state)
{
	(void)state;
	use("127.0.0.1", 1, "none");
	assert_int_equal(check(ENOUGH_MS), ERROR_PEER_DOWN);
	use("::1", 1, "none");
	assert_int_equal(check(ENOUGH_MS), ERROR_PEER_DOWN);
}

static void a_host_that_cannot_be_is_a_wrong_setting(void **state)
{
	(void)state;
	static const char *const hosts[] = { "a/b", "a b", "user@host", "a?b", "a#b", "a\\b" };
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		use(hosts[i], 25, "none");
		assert_int_equal(check(SHORT_MS), ERROR_CONFIG);
	}
}

static void a_host_or_a_port_that_no_address_holds_is_a_wrong_setting(void **state)
{
	(void)state;
	char host[300];
	memset(host, 'a', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	struct smtp_server server = { .host = host, .port = 25, .greeting = "client.example" };
	CURLU *url = curl_url();
	assert_int_equal(smtp_server_url(&server, url, &error), ERROR_CONFIG);
	assert_memory_equal(error.text, "MAIL_HOST", 9);
	server.host = "127.0.0.1";
	server.port = 65536;
	assert_int_equal(smtp_server_url(&server, url, &error), ERROR_CONFIG);
	assert_memory_equal(error.text, "MAIL_PORT", 9);
	curl_url_cleanup(url);
}

static void without_time_nobody_is_asked(void **state)
{
	(void)state;
	use("127.0.0.1", sink->port, "none");
	int before = sink_count(sink, &sink->connections);
	assert_int_equal(check(0), ERROR_PEER_DOWN);
	assert_string_equal(error.text, "no time was left to ask the mail server");
	assert_int_equal(sink_count(sink, &sink->connections), before);
}

static int start(void **state)
{
	(void)state;
	sink = sink_start();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	sink_stop(sink);
	return 0;
}

int main(void)
{
	log_init("smtp_server", LOG_LEVEL_ERROR);
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_that_greets_is_there_and_is_sent_no_mail),
		cmocka_unit_test(one_that_greets_with_a_refusal_is_not),
		cmocka_unit_test(one_that_says_nothing_is_told_in_time),
		cmocka_unit_test(tls_that_is_required_must_be_offered),
		cmocka_unit_test(a_server_that_is_not_there_is_down),
		cmocka_unit_test(a_host_that_cannot_be_is_a_wrong_setting),
		cmocka_unit_test(a_host_or_a_port_that_no_address_holds_is_a_wrong_setting),
		cmocka_unit_test(without_time_nobody_is_asked),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
