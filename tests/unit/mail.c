/* mail: from JSON to what a mail server sees, and what it never sees. */
#include "suite.h"

#include <unistd.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "mail/mail.h"
#include "mail/smtp.h"
#include "smtp_sink.h"

enum { PATIENCE_MS = 5000 };

static struct sink *sink;
static struct error error;
static char directory[] = "/tmp/flexi-mail.XXXXXX";

static void write_template(const char *name, const char *contents)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fputs(contents, f);
	fclose(f);
}

static void write_templates(void)
{
	write_template("mail.plain", "{{message}}\n");
	write_template("mail.html", "<b>{{subject}}</b><p>{{message}}</p>\n");
}

static enum error_code send_it(struct mail mail)
{
	error = (struct error){ 0 };
	return mail_send(&mail, clock_now_ms() + PATIENCE_MS, &error);
}

static struct mail usual(void)
{
	return (struct mail){
		.from = text_of("me@example.org"),
		.to = { { text_of("you@example.org") }, 1 },
		.subject = text_of("hello"),
		.message = text_of("a < b"),
		.id = text_of("mail-1"),
	};
}

static enum error_code read_json(const char *json, struct json_object **object, struct mail *mail)
{
	enum error_code code = json_parse(text_of(json), "body", object, &error);
	return code ? code : mail_from_json(*object, "mail", mail, &error);
}

static void a_mail_is_read_from_json(void **state)
{
	(void)state;
	CLEANUP(json_put) struct json_object *object = NULL;
	struct mail mail;
	assert_int_equal(read_json("{\"from\":\"a@b.org\",\"to\":\"c@d.org\",\"subject\":\"s\","
				   "\"message\":\"m\"}",
				   &object, &mail),
			 ERROR_NONE);
	assert_text_equal(mail.from, "a@b.org");
	assert_int_equal(mail.to.count, 1);
	assert_text_equal(mail.to.items[0], "c@d.org");
	assert_text_equal(mail.subject, "s");
	assert_text_equal(mail.message, "m");
	assert_int_equal(mail.id.n, 0);
}

static void only_the_sender_may_be_missing(void **state)
{
	static const struct {
		const char *json, *sentence; /* no sentence: it is taken */
	} rows[] = {
		{ "{\"to\":\"c@d.org\",\"subject\":\"s\",\"message\":\"m\"}", NULL },
		{ "{\"subject\":\"s\",\"message\":\"m\"}", "mail.to" },
		{ "{\"to\":\"c@d.org\",\"message\":\"m\"}", "mail.subject" },
		{ "{\"to\":\"c@d.org\",\"subject\":\"s\"}", "mail.message" },
		{ "{\"to\":[1],\"subject\":\"s\",\"message\":\"m\"}", "mail.to" },
		{ "{\"from\":null,\"to\":\"c@d.org\",\"subject\":\"s\",\"message\":\"m\"}",
		  "mail.from" },
		{ "[]", "mail" },
		{ "null", "mail" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEANUP(json_put) struct json_object *object = NULL;
		struct mail mail;
		enum error_code code = read_json(rows[i].json, &object, &mail);
		assert_int_equal(code, rows[i].sentence ? ERROR_BAD_INPUT : ERROR_NONE);
		if (rows[i].sentence)
			assert_memory_equal(error.text, rows[i].sentence, strlen(rows[i].sentence));
	}
}

static void a_mail_arrives_with_both_parts(void **state)
{
	static const char *const lines[] = {
		"EHLO client.example\r\n",
		"MAIL FROM:<me@example.org>",
		"RCPT TO:<you@example.org>\r\n",
		"From: Flexi Mailer <me@example.org>\r\n",
		"To: you@example.org\r\n",
		"Subject: hello\r\n",
		"Message-Id: <mail-1@client.example>\r\n",
		"\r\n\r\na < b\r\n",
		"\r\n\r\n<b>hello</b><p>a &lt; b</p>\r\n",
	};
	(void)state;
	assert_int_equal(send_it(usual()), ERROR_NONE);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (!sink_saw(sink, lines[i]))
			fail_msg("not seen: %s", lines[i]);
	}
}

static void a_mail_without_a_sender_comes_from_the_configured_one(void **state)
{
	(void)state;
	struct mail mail = usual();
	mail.from = text_of("");
	assert_int_equal(send_it(mail), ERROR_NONE);
	assert_true(sink_saw(sink, "MAIL FROM:<robot@example.org>"));
	assert_true(sink_saw(sink, "From: Flexi Mailer <robot@example.org>\r\n"));
}

static void a_name_of_its_own_goes_before_the_configured_one(void **state)
{
	(void)state;
	struct mail mail = usual();
	mail.from_name = text_of("Another");
	assert_int_equal(send_it(mail), ERROR_NONE);
	assert_true(sink_saw(sink, "From: Another <me@example.org>\r\n"));
}

static void a_domain_in_another_script_is_ascii_in_envelope_and_header(void **state)
{
	(void)state;
	struct mail mail = usual();
	mail.to.items[0] = text_of("you@b\xc3\xbc"
				   "cher.example");
	assert_int_equal(send_it(mail), ERROR_NONE);
	assert_true(sink_saw(sink, "RCPT TO:<you@xn--bcher-kva.example>\r\n"));
	assert_true(sink_saw(sink, "To: you@xn--bcher-kva.example\r\n"));
}

/* What somebody would put into a field to get at the server's ear, or at other recipients. */
static const struct text injections[] = {
	TEXT_LITERAL("x@example.org\r\nRCPT TO:<evil@example.org>"),
	TEXT_LITERAL("x@example.org>\r\nDATA\r\n"),
	TEXT_LITERAL("x@example.org\nBcc: evil@example.org"),
	TEXT_LITERAL("x@example.org\rBcc: evil@example.org"),
	TEXT_LITERAL("x\r\n.\r\nMAIL FROM:<evil@example.org>@example.org"),
	TEXT_LITERAL("x\0@example.org"),
	TEXT_LITERAL("x@example.org\0"),
	TEXT_LITERAL("x@example.org\x01"),
	TEXT_LITERAL("x@example.org\t"),
	TEXT_LITERAL("x@example.org\x7f"),
	TEXT_LITERAL("\x1bx@example.org"),
	TEXT_LITERAL("x@example.org\xc2\x85"),
	TEXT_LITERAL("x@example.org\xe2\x80\xa8"),
	TEXT_LITERAL("x@example.org\xff"),
};

static void an_injection_is_refused_before_a_byte_is_sent(void **state)
{
	static const char *const members[] = {
		"from",
		"to",
		"cc",
		"bcc",
		"reply_to",
		"from_name",
		"subject",
		"attachments[0].name",
		"attachments[0].type",
		"attachments[0].content",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(injections) / sizeof(injections[0]); i++) {
		for (size_t where = 0; where < sizeof(members) / sizeof(members[0]); where++) {
			struct mail mail = usual();
			struct attachment *file = &mail.attachments[0];
			*file = (struct attachment){ text_of("a.txt"), text_of(""), text_of("") };
			mail.attachment_count = 1;
			mail.cc = mail.bcc = mail.to;
			struct text *fields[] = {
				&mail.from,	    &mail.to.items[0], &mail.cc.items[0],
				&mail.bcc.items[0], &mail.reply_to,    &mail.from_name,
				&mail.subject,	    &file->name,       &file->type,
				&file->content,
			};
			*fields[where] = injections[i];
			if (send_it(mail) != ERROR_UNPROCESSABLE)
				fail_msg("%s: %s passed: %s", members[where], injections[i].s,
					 error.text);
			assert_memory_equal(error.text, members[where], strlen(members[where]));
		}
	}
	assert_int_equal(sink_count(sink, &sink->connections), 0);
	assert_false(sink_saw(sink, ""));
}

static void more_than_one_address_is_refused_before_a_byte_is_sent(void **state)
{
	static const char *const addresses[] = {
		"a@example.org, b@example.org",
		"a@example.org;b@example.org",
		"A <a@example.org>",
		"<a@example.org>",
		"a@example.org b@example.org",
		"a@b@example.org",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct mail mail = usual();
		mail.to.items[0] = text_of(addresses[i]);
		assert_int_equal(send_it(mail), ERROR_UNPROCESSABLE);
		mail = usual();
		mail.from = text_of(addresses[i]);
		assert_int_equal(send_it(mail), ERROR_UNPROCESSABLE);
	}
	assert_int_equal(sink_count(sink, &sink->connections), 0);
}

static void a_message_may_say_what_the_protocol_says(void **state)
{
	(void)state;
	struct mail mail = usual();
	mail.message = text_of("a\n.\nQUIT\n\r\n.\r\nMAIL FROM:<evil@example.org>\r\nb");
	assert_int_equal(send_it(mail), ERROR_NONE);
	assert_true(
		sink_saw(sink, "a\r\n..\r\nQUIT\r\n\r\n..\r\nMAIL FROM:<evil@example.org>\r\nb"));
	assert_int_equal(sink_count(sink, &sink->messages), 1);
}

static void a_control_in_the_message_is_refused(void **state)
{
	(void)state;
	struct mail mail = usual();
	mail.message = TEXT_LITERAL("a\0b");
	assert_int_equal(send_it(mail), ERROR_UNPROCESSABLE);
	assert_memory_equal(error.text, "message:", 8);
	assert_int_equal(sink_count(sink, &sink->connections), 0);
}

static void a_recipient_that_the_server_refuses_is_the_callers_fault(void **state)
{
	(void)state;
	sink_expect(sink, (struct sink_fault){ .at = "RCPT", .reply = "550 5.1.1 unknown\r\n" });
	assert_int_equal(send_it(usual()), ERROR_UNPROCESSABLE);
	assert_string_equal(error.text, "to: the mail server refused you@example.org: "
					"550 5.1.1 unknown");
}

static void the_server_has_no_longer_than_the_settings_say(void **state)
{
	(void)state;
	sink_expect(sink, (struct sink_fault){ .at = "connect", .reply = SINK_STALL });
	int64_t began = clock_now_ms();
	assert_int_equal(send_it(usual()), ERROR_PEER_DOWN);
	assert_in_range(clock_now_ms() - began, 0, PATIENCE_MS - 1000);
}

static void a_faulty_stock_template_is_not_the_callers_fault(void **state)
{
	static const char *const sources[] = { "{{nothing}}", "{{>part}}" };
	char path[256];
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		write_template("mail.html", sources[i]);
		assert_int_equal(send_it(usual()), ERROR_CONFIG);
		assert_int_equal(error.code, ERROR_CONFIG);
		assert_non_null(strstr(error.text, "template mail.html"));
	}
	snprintf(path, sizeof(path), "%s/mail.html", directory);
	unlink(path);
	assert_int_equal(send_it(usual()), ERROR_CONFIG);
	assert_int_equal(sink_count(sink, &sink->connections), 0);
	write_templates();
}

static int start(void **state)
{
	char port[16];
	(void)state;
	sink = sink_start();
	snprintf(port, sizeof(port), "%d", sink->port);
	return !mkdtemp(directory) || setenv("TEMPLATES_DIR", directory, 1) ||
	       setenv("MAIL_HOST", "127.0.0.1", 1) || setenv("MAIL_PORT", port, 1) ||
	       setenv("MAIL_DOMAIN", "client.example", 1) || setenv("MAIL_ENCRYPTION", "none", 1) ||
	       setenv("MAIL_TIMEOUT_MS", "800", 1) || setenv("MAIL_USERNAME", "", 1) ||
	       setenv("FROM_NAME", "Flexi Mailer", 1) ||
	       setenv("FROM_ADDRESS", "robot@example.org", 1) || config_load(NULL);
}

static int stop(void **state)
{
	char command[64];
	(void)state;
	smtp_finish();
	sink_stop(sink);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

/* Each test begins with a server that is well, and with nothing seen. */
static int renew(void **state)
{
	(void)state;
	smtp_finish();
	sink_rest(sink);
	sink_expect(sink, (struct sink_fault){ 0 });
	write_templates();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, renew)

int main(void)
{
	log_init("mail", LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		TEST(a_mail_is_read_from_json),
		TEST(only_the_sender_may_be_missing),
		TEST(a_mail_arrives_with_both_parts),
		TEST(a_mail_without_a_sender_comes_from_the_configured_one),
		TEST(a_name_of_its_own_goes_before_the_configured_one),
		TEST(a_domain_in_another_script_is_ascii_in_envelope_and_header),
		TEST(an_injection_is_refused_before_a_byte_is_sent),
		TEST(more_than_one_address_is_refused_before_a_byte_is_sent),
		TEST(a_message_may_say_what_the_protocol_says),
		TEST(a_control_in_the_message_is_refused),
		TEST(a_recipient_that_the_server_refuses_is_the_callers_fault),
		TEST(the_server_has_no_longer_than_the_settings_say),
		TEST(a_faulty_stock_template_is_not_the_callers_fault),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
