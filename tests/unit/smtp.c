/* smtp: what each reply of a server, or its silence, comes out as. */
#include "mail/smtp.h"

#include "core/clock.h"
#include "core/log.h"
#include "smtp_sink.h"
#include "suite.h"

enum { PATIENCE_MS = 5000, SHORT_MS = 400, SLACK_MS = 2500 };

static struct sink *sink;
static const char greeting[] = "client.example";
static const struct address sender = { "sender@example.org" };
static const struct address first = { "first@example.org" };
static const struct address second = { "second@example.org" };

static const char message[] = "Subject: hello\r\n\r\n.a dot first\r\nthe end\r\n";

/* Sends the message to one recipient, or both if `both`; username and encryption as given. */
struct sending {
	const char *username;
	enum mail_encryption encryption;
	bool both;
	int64_t patience_ms;
	const char *message;
};

static struct error error;

static enum error_code try_sending(struct sending s)
{
	struct smtp_server server = {
		.host = "127.0.0.1",
		.port = sink->port,
		.encryption = s.encryption,
		.ca_file = "/nonexistent",
		.username = s.username ? s.username : "",
		.password = "secret",
		.greeting = greeting,
	};
	const struct address *to[] = { &first, &second };
	struct smtp_envelope envelope = { &sender, to, s.both ? 2 : 1, "id" };
	error = (struct error){ 0 };
	return smtp_send(&server, &envelope, text_of(s.message ? s.message : message),
			 clock_now_ms() + (s.patience_ms ? s.patience_ms : PATIENCE_MS), &error);
}

static enum error_code send_it(void)
{
	return try_sending((struct sending){ 0 });
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
	smtp_finish();
	sink_stop(sink);
	return 0;
}

static void a_message_arrives_whole_with_its_dots_stuffed(void **state)
{
	(void)state;
	assert_int_equal(send_it(), ERROR_NONE);
	assert_true(sink_saw(sink, "EHLO client.example\r\nMAIL FROM:<sender@example.org>"));
	assert_true(sink_saw(sink, "RCPT TO:<first@example.org>\r\nDATA\r\nSubject: hello\r\n\r\n"
				   "..a dot first\r\nthe end\r\n.\r\n"));
	assert_int_equal(sink_count(sink, &sink->messages), 1);
}

static void a_connection_is_kept_for_the_next_message(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(send_it(), ERROR_NONE);
	assert_int_equal(sink_count(sink, &sink->messages), 5);
	assert_int_equal(sink_count(sink, &sink->connections), 1);
}

static void a_connection_that_the_server_closed_is_replaced(void **state)
{
	(void)state;
	sink_expect(sink, (struct sink_fault){ .drop_after = true });
	for (int i = 0; i < 3; i++)
		assert_int_equal(send_it(), ERROR_NONE);
	assert_int_equal(sink_count(sink, &sink->messages), 3);
	assert_int_equal(sink_count(sink, &sink->connections), 3);
}

static void a_kept_connection_that_fails_before_the_message_is_tried_anew(void **state)
{
	static const char *const replies[] = { "421 4.4.2 idle too long\r\n", SINK_DROP };
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		smtp_finish();
		assert_int_equal(send_it(), ERROR_NONE);
		sink_expect(sink,
			    (struct sink_fault){ .at = "MAIL", .reply = replies[i], .once = true });
		assert_int_equal(send_it(), ERROR_NONE);
		assert_int_equal(sink_count(sink, &sink->messages), 1);
		assert_int_equal(sink_count(sink, &sink->connections), 1);
	}
}

static void two_recipients_get_one_message(void **state)
{
	(void)state;
	assert_int_equal(try_sending((struct sending){ .both = true }), ERROR_NONE);
	assert_true(sink_saw(sink, "RCPT TO:<first@example.org>\r\n"
				   "RCPT TO:<second@example.org>\r\nDATA\r\n"));
	assert_int_equal(sink_count(sink, &sink->messages), 1);
}

/* One row for each thing that a server may do wrong. */
static const struct {
	const char *at, *reply;
	enum error_code code;
	const char *sentence; /* or its beginning */
} faults[] = {
	{ "connect", "421 4.3.2 shutting down\r\n", ERROR_PEER_DOWN,
	  "the mail server refused the connection: 421 4.3.2 shutting down" },
	{ "connect", "554 5.7.1 go away\r\n", ERROR_PEER_ANSWER,
	  "the mail server refused the connection: 554 5.7.1 go away" },
	{ "connect", "999 what\r\n", ERROR_PEER_ANSWER,
	  "the mail server refused the connection: 999 what" },
	{ "connect", "199 what\r\n", ERROR_PEER_ANSWER, "the mail server does not answer as one" },
	{ "connect", SINK_DROP, ERROR_PEER_DOWN, "the mail server went away" },
	{ "connect", SINK_STALL, ERROR_PEER_DOWN, "the mail server did not answer in time" },
	{ "EHLO", SINK_DROP, ERROR_PEER_DOWN, "the mail server went away" },
	{ "EHLO", SINK_STALL, ERROR_PEER_DOWN, "the mail server did not answer in time" },
	{ "MAIL", "451 4.3.0 try later\r\n", ERROR_PEER_DOWN,
	  "from: the mail server refused it: 451 4.3.0 try later" },
	{ "MAIL", "550 5.7.1 not from you\r\n", ERROR_UNPROCESSABLE,
	  "from: the mail server refused it: 550 5.7.1 not from you" },
	{ "MAIL", "530 5.7.0 authenticate first\r\n", ERROR_PEER_ANSWER,
	  "the mail server refused the connection: 530 5.7.0 authenticate first" },
	{ "MAIL", SINK_DROP, ERROR_PEER_DOWN, "the mail server went away" },
	{ "MAIL", SINK_STALL, ERROR_PEER_DOWN, "the mail server did not answer in time" },
	{ "RCPT", "450 4.2.0 greylisted\r\n", ERROR_DEFERRED,
	  "to: the mail server refused first@example.org: 450 4.2.0 greylisted" },
	{ "RCPT", "550 5.1.1 no such user\r\n", ERROR_UNPROCESSABLE,
	  "to: the mail server refused first@example.org: 550 5.1.1 no such user" },
	{ "RCPT", "550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user\r\n", ERROR_UNPROCESSABLE,
	  "to: the mail server refused first@example.org: 550 5.1.1 no 5.1.1 such 5.1.1 user" },
	{ "RCPT", "550 a\033[31mb\tc\xc3\xa9\r\n", ERROR_UNPROCESSABLE,
	  "to: the mail server refused first@example.org: 550 a?[31mb?c??" },
	{ "RCPT", "550\r\n", ERROR_UNPROCESSABLE,
	  "to: the mail server refused first@example.org: 550" },
	{ "RCPT", SINK_DROP, ERROR_PEER_DOWN, "the mail server went away" },
	{ "RCPT", SINK_STALL, ERROR_PEER_DOWN, "the mail server did not answer in time" },
	{ "DATA", "452 4.3.1 full\r\n", ERROR_DEFERRED,
	  "the mail server refused the message: 452 4.3.1 full" },
	{ "DATA", "554 5.5.1 no valid recipients\r\n", ERROR_UNPROCESSABLE,
	  "the mail server refused the message: 554 5.5.1 no valid recipients" },
	{ "DATA", SINK_STALL, ERROR_PEER_DOWN, "the mail server did not answer in time" },
	{ ".", "451 4.3.0 try later\r\n", ERROR_DEFERRED,
	  "the mail server refused the message: 451 4.3.0 try later" },
	{ ".", "554 5.7.1 spam\r\n", ERROR_UNPROCESSABLE,
	  "the mail server refused the message: 554 5.7.1 spam" },
	{ ".", "299 what\r\n", ERROR_PEER_TIMEOUT, "the mail server did not say whether it took" },
	{ ".", SINK_DROP, ERROR_PEER_TIMEOUT, "the mail server did not say whether it took" },
	{ ".", SINK_STALL, ERROR_PEER_TIMEOUT, "the mail server did not say whether it took" },
};

static void each_fault_has_its_error_and_takes_bounded_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		bool stalls = strcmp(faults[i].reply, SINK_STALL) == 0;
		smtp_finish();
		sink_expect(sink,
			    (struct sink_fault){ .at = faults[i].at, .reply = faults[i].reply });
		int64_t began = clock_now_ms();
		enum error_code code =
			try_sending((struct sending){ .patience_ms = stalls ? SHORT_MS : 0 });
		if (code != faults[i].code || error.code != code ||
		    strncmp(error.text, faults[i].sentence, strlen(faults[i].sentence)) != 0)
			fail_msg("%s %s: %d %s", faults[i].at, faults[i].reply, code, error.text);
		assert_in_range(clock_now_ms() - began, 0, SHORT_MS + SLACK_MS);
	}
}

static void after_each_fault_the_next_message_goes_through(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		smtp_finish();
		sink_expect(sink,
			    (struct sink_fault){ .at = faults[i].at, .reply = faults[i].reply });
		assert_int_not_equal(try_sending((struct sending){ .patience_ms = SHORT_MS }),
				     ERROR_NONE);
		sink_expect(sink, (struct sink_fault){ 0 });
		assert_int_equal(send_it(), ERROR_NONE);
		assert_int_equal(sink_count(sink, &sink->messages), 1);
	}
}

static void a_refused_second_recipient_is_named_and_nobody_gets_the_message(void **state)
{
	(void)state;
	sink_expect(sink, (struct sink_fault){ .at = "RCPT TO:<second",
					       .reply = "550 5.1.1 unknown\r\n" });
	assert_int_equal(try_sending((struct sending){ .both = true }), ERROR_UNPROCESSABLE);
	assert_string_equal(error.text, "to: the mail server refused second@example.org: "
					"550 5.1.1 unknown");
	sink_rest(sink);
	assert_false(sink_saw(sink, "hello"));
	assert_int_equal(sink_count(sink, &sink->messages), 0);
}

static void a_refused_first_recipient_keeps_the_message_from_the_second(void **state)
{
	(void)state;
	/* On a kept connection too: that it fails there must not look like a stale one. */
	for (int kept = 0; kept < 2; kept++) {
		sink_expect(sink, (struct sink_fault){ .at = "RCPT TO:<first",
						       .reply = "451 4.2.0 later\r\n" });
		assert_int_equal(try_sending((struct sending){ .both = true }), ERROR_DEFERRED);
		assert_string_equal(error.text, "to: the mail server refused first@example.org: "
						"451 4.2.0 later");
		assert_int_equal(sink_count(sink, &sink->messages), 0);
		sink_expect(sink, (struct sink_fault){ 0 });
		if (kept == 0)
			assert_int_equal(send_it(), ERROR_NONE);
		smtp_finish();
		if (kept == 0)
			assert_int_equal(send_it(), ERROR_NONE);
	}
}

static void all_refused_recipients_are_named(void **state)
{
	(void)state;
	sink_expect(sink, (struct sink_fault){ .at = "RCPT", .reply = "550 5.1.1 unknown\r\n" });
	assert_int_equal(try_sending((struct sending){ .both = true }), ERROR_UNPROCESSABLE);
	assert_string_equal(error.text, "to: the mail server refused first@example.org, "
					"second@example.org: 550 5.1.1 unknown");
	assert_false(sink_saw(sink, "DATA"));
}

static void a_server_that_does_not_answer_quit_holds_nobody(void **state)
{
	(void)state;
	/* Refusing at RCPT makes libcurl say QUIT, and after success smtp_finish does. */
	sink_expect(sink,
		    (struct sink_fault){ .at = "RCPT", .reply = "550 no\r\n", .mute_quit = true });
	int64_t began = clock_now_ms();
	assert_int_equal(send_it(), ERROR_UNPROCESSABLE);
	assert_in_range(clock_now_ms() - began, 0, SLACK_MS);
	sink_expect(sink, (struct sink_fault){ .mute_quit = true });
	assert_int_equal(send_it(), ERROR_NONE);
	began = clock_now_ms();
	smtp_finish();
	assert_in_range(clock_now_ms() - began, 0, SLACK_MS);
}

static void with_a_user_name_the_login_comes_first(void **state)
{
	(void)state;
	sink_expect(sink, (struct sink_fault){ .offers = "250-AUTH PLAIN\r\n" });
	for (int i = 0; i < 2; i++)
		assert_int_equal(try_sending((struct sending){ .username = "me" }), ERROR_NONE);
	assert_true(sink_saw(sink, "AUTH PLAIN"));
	assert_int_equal(sink_count(sink, &sink->connections), 1);
	assert_int_equal(sink_count(sink, &sink->messages), 2);
}

static void with_a_user_name_nothing_is_sent_where_no_login_is_offered(void **state)
{
	(void)state;
	assert_int_equal(try_sending((struct sending){ .username = "me" }), ERROR_PEER_ANSWER);
	assert_string_equal(error.text, "the mail server offers no login, and one is required");
	assert_false(sink_saw(sink, "MAIL"));
}

static void a_login_refused_is_no_fault_of_the_mail(void **state)
{
	static const struct {
		const char *reply;
		enum error_code code;
	} logins[] = {
		{ "535 5.7.8 wrong\r\n", ERROR_PEER_ANSWER },
		{ "454 4.7.0 later\r\n", ERROR_PEER_DOWN },
	};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		sink_expect(sink, (struct sink_fault){ .at = "LOGIN",
						       .reply = logins[i].reply,
						       .offers = "250-AUTH PLAIN\r\n" });
		assert_int_equal(try_sending((struct sending){ .username = "me" }), logins[i].code);
		assert_non_null(strstr(error.text, "did not accept the login"));
		assert_null(strstr(error.text, "secret"));
		assert_false(sink_saw(sink, "MAIL"));
	}
}

static void where_tls_is_required_nothing_is_sent_without_it(void **state)
{
	(void)state;
	assert_int_equal(try_sending((struct sending){ .encryption = MAIL_ENCRYPTION_TLS,
						       .username = "me" }),
			 ERROR_PEER_ANSWER);
	assert_string_equal(error.text, "the mail server offers no STARTTLS");
	assert_false(sink_saw(sink, "MAIL"));
	assert_false(sink_saw(sink, "AUTH"));
	sink_expect(sink, (struct sink_fault){ .offers = "250-STARTTLS\r\n" });
	assert_int_not_equal(try_sending((struct sending){ .encryption = MAIL_ENCRYPTION_TLS }),
			     ERROR_NONE);
	assert_false(sink_saw(sink, "MAIL"));
	sink_expect(sink, (struct sink_fault){ 0 });
	assert_int_not_equal(try_sending((struct sending){ .encryption = MAIL_ENCRYPTION_SSL,
							   .patience_ms = SHORT_MS }),
			     ERROR_NONE);
	assert_false(sink_saw(sink, "MAIL"));
}

static void a_message_cut_short_is_not_in_doubt(void **state)
{
	static char large[8 * 1024 * 1024];
	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	for (size_t i = 70; i < sizeof(large) - 2; i += 72) {
		large[i] = '\r';
		large[i + 1] = '\n';
	}
	sink_expect(sink, (struct sink_fault){ .drop_in_message = true });
	assert_int_equal(try_sending((struct sending){ .message = large }), ERROR_PEER_DOWN);
	sink_expect(sink, (struct sink_fault){ 0 });
	assert_int_equal(try_sending((struct sending){ .message = large }), ERROR_NONE);
}

static void where_nobody_listens_the_server_is_down(void **state)
{
	(void)state;
	struct sink *listening = sink;
	struct sink nobody = { .port = 1 };
	sink = &nobody;
	enum error_code code = send_it();
	sink = listening;
	assert_int_equal(code, ERROR_PEER_DOWN);
	assert_string_equal(error.text, "the mail server cannot be reached");
}

static void past_the_deadline_nothing_is_tried(void **state)
{
	(void)state;
	assert_int_equal(try_sending((struct sending){ .patience_ms = -1 }), ERROR_PEER_DOWN);
	assert_int_equal(sink_count(sink, &sink->connections), 0);
}

static void a_host_that_is_none_is_a_wrong_setting(void **state)
{
	static const char *const hosts[] = { "a b", "a/b", "user@host", "host:25:x", "" };
	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct smtp_server server = { .host = hosts[i],
					      .port = 25,
					      .ca_file = "",
					      .username = "",
					      .greeting = greeting };
		const struct address *to = &first;
		struct smtp_envelope envelope = { &sender, &to, 1, "id" };
		assert_int_equal(smtp_send(&server, &envelope, text_of(message),
					   clock_now_ms() + PATIENCE_MS, &error),
				 ERROR_CONFIG);
		assert_memory_equal(error.text, "MAIL_HOST", 9);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	log_init("smtp", LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		TEST(a_message_arrives_whole_with_its_dots_stuffed),
		TEST(a_connection_is_kept_for_the_next_message),
		TEST(a_connection_that_the_server_closed_is_replaced),
		TEST(a_kept_connection_that_fails_before_the_message_is_tried_anew),
		TEST(two_recipients_get_one_message),
		TEST(each_fault_has_its_error_and_takes_bounded_time),
		TEST(after_each_fault_the_next_message_goes_through),
		TEST(a_refused_second_recipient_is_named_and_nobody_gets_the_message),
		TEST(a_refused_first_recipient_keeps_the_message_from_the_second),
		TEST(all_refused_recipients_are_named),
		TEST(a_server_that_does_not_answer_quit_holds_nobody),
		TEST(with_a_user_name_the_login_comes_first),
		TEST(with_a_user_name_nothing_is_sent_where_no_login_is_offered),
		TEST(a_login_refused_is_no_fault_of_the_mail),
		TEST(where_tls_is_required_nothing_is_sent_without_it),
		TEST(a_message_cut_short_is_not_in_doubt),
		TEST(where_nobody_listens_the_server_is_down),
		TEST(past_the_deadline_nothing_is_tried),
		TEST(a_host_that_is_none_is_a_wrong_setting),
	};
	return RUN_SUITE(tests);
}
