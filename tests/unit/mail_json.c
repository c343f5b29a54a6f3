/* mail_json: what of a caller's JSON becomes of a mail, and what is told of the rest. */
#include "suite.h"

#include "core/config.h"
#include "mail/envelope.h"
#include "mail/mail.h"

static struct error error;
static struct mail mail;

static enum error_code read_json(const char *json, struct json_object **object)
{
	error = (struct error){ 0 };
	enum error_code code = json_parse(text_of(json), "body", object, &error);
	return code ? code : mail_from_json(*object, "mail", &mail, &error);
}

#define USUAL "\"subject\":\"s\",\"message\":\"m\""

static void every_member_is_read(void **state)
{
	(void)state;
	CLEANUP(json_put) struct json_object *object = NULL;
	assert_int_equal(
		read_json("{\"from\":\"a@b.org\",\"from_name\":\"A\",\"reply_to\":\"r@b.org\","
			  "\"to\":[\"c@d.org\",\"e@d.org\"],\"cc\":\"f@d.org\",\"bcc\":[\"g@d."
			  "org\"]," USUAL
			  ",\"html\":\"<p>\",\"data\":{\"x\":1},\"unknown\":null,\"attachments\":["
			  "{\"name\":\"n\",\"type\":\"t/t\",\"content\":\"Zg==\",\"more\":1},"
			  "{\"name\":\"o\",\"content\":\"\"}]}",
			  &object),
		ERROR_NONE);
	assert_text_equal(mail.from, "a@b.org");
	assert_text_equal(mail.from_name, "A");
	assert_text_equal(mail.reply_to, "r@b.org");
	assert_int_equal(mail.to.count, 2);
	assert_text_equal(mail.to.items[1], "e@d.org");
	assert_int_equal(mail.cc.count, 1);
	assert_text_equal(mail.cc.items[0], "f@d.org");
	assert_text_equal(mail.bcc.items[0], "g@d.org");
	assert_text_equal(mail.html, "<p>");
	assert_non_null(mail.data);
	assert_int_equal(mail.attachment_count, 2);
	assert_text_equal(mail.attachments[0].type, "t/t");
	assert_text_equal(mail.attachments[0].content, "Zg==");
	assert_text_equal(mail.attachments[1].name, "o");
	assert_int_equal(mail.attachments[1].type.n, 0);
}

static void an_empty_text_counts_as_not_given(void **state)
{
	(void)state;
	CLEANUP(json_put) struct json_object *object = NULL;
	assert_int_equal(
		read_json("{\"from\":\"\",\"from_name\":\"\",\"reply_to\":\"\",\"to\":\"c@d.org\","
			  "\"cc\":\"\",\"bcc\":[],\"html\":\"\",\"template\":\"\"," USUAL "}",
			  &object),
		ERROR_NONE);
	struct envelope envelope;
	assert_int_equal(envelope_read(&mail, &envelope, &error), ERROR_NONE);
	assert_int_equal(envelope.to_count, 1);
	assert_null(envelope.reply_box.address);
}

static void a_template_needs_no_message(void **state)
{
	(void)state;
	CLEANUP(json_put) struct json_object *object = NULL;
	assert_int_equal(
		read_json("{\"to\":\"c@d.org\",\"subject\":\"s\",\"template\":\"t\"}", &object),
		ERROR_NONE);
	assert_null(mail.message.s);
}

static void what_is_wrong_is_named(void **state)
{
	static const char *const rows[][2] = {
		{ "{" USUAL "}", "mail.to: is missing" },
		{ "{\"to\":null," USUAL "}", "mail.to: must be a string or a list of strings" },
		{ "{\"to\":[null]," USUAL "}", "mail.to: must be a string or a list of strings" },
		{ "{\"to\":{}," USUAL "}", "mail.to: must be a string or a list of strings" },
		{ "{\"to\":\"a\",\"cc\":1," USUAL "}",
		  "mail.cc: must be a string or a list of strings" },
		{ "{\"to\":\"a\",\"bcc\":[[]]," USUAL "}",
		  "mail.bcc: must be a string or a list of strings" },
		{ "{\"to\":\"a\",\"reply_to\":[]," USUAL "}", "mail.reply_to: must be a string" },
		{ "{\"to\":\"a\",\"from_name\":1," USUAL "}", "mail.from_name: must be a string" },
		{ "{\"to\":\"a\",\"html\":true," USUAL "}", "mail.html: must be a string" },
		{ "{\"to\":\"a\",\"template\":{}," USUAL "}", "mail.template: must be a string" },
		{ "{\"to\":\"a\",\"html\":\"x\",\"template\":\"t\"," USUAL "}",
		  "mail.html: not together with a template" },
		{ "{\"to\":\"a\",\"html\":\"x\",\"subject\":\"s\"}", "mail.message: is missing" },
		{ "{\"to\":\"a\",\"data\":[]," USUAL "}", "mail.data: must be an object" },
		{ "{\"to\":\"a\",\"data\":null," USUAL "}", "mail.data: must be an object" },
		{ "{\"to\":\"a\",\"attachments\":{}," USUAL "}",
		  "mail.attachments: must be a list" },
		{ "{\"to\":\"a\",\"attachments\":[1]," USUAL "}",
		  "mail.attachments[0]: must be an object" },
		{ "{\"to\":\"a\",\"attachments\":[{\"content\":\"\"}]," USUAL "}",
		  "mail.attachments[0].name: is missing" },
		{ "{\"to\":\"a\",\"attachments\":[{\"name\":\"a\"}]," USUAL "}",
		  "mail.attachments[0].content: is missing" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEANUP(json_put) struct json_object *object = NULL;
		assert_int_equal(read_json(rows[i][0], &object), ERROR_BAD_INPUT);
		assert_string_equal(error.text, rows[i][1]);
	}
}

/* A mail to `to` and `cc` addresses. */
static enum error_code read_many(int to, int cc, struct json_object **object)
{
	CLEANUP(buffer_finish) struct buffer json = { 0 };
	buffer_append_string(&json, "{\"to\":[");
	for (int i = 0; i < to; i++)
		buffer_printf(&json, "%s\"a%d@b.org\"", i > 0 ? "," : "", i);
	buffer_append_string(&json, "],\"cc\":[");
	for (int i = 0; i < cc; i++)
		buffer_printf(&json, "%s\"c%d@b.org\"", i > 0 ? "," : "", i);
	buffer_append_string(&json, "]," USUAL "}");
	return read_json(json.bytes, object);
}

static void recipients_are_bounded_all_together(void **state)
{
	static const int rows[][2] = { { 100, 0 }, { 60, 40 }, { 101, 0 }, { 60, 41 }, { 1, 101 } };
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		CLEANUP(json_put) struct json_object *object = NULL;
		assert_int_equal(read_many(rows[i][0], rows[i][1], &object),
				 i < 2 ? ERROR_NONE : ERROR_BAD_INPUT);
	}
}

static void a_recipient_that_is_named_twice_gets_one_mail(void **state)
{
	(void)state;
	CLEANUP(json_put) struct json_object *object = NULL;
	struct envelope envelope;
	assert_int_equal(
		read_json("{\"to\":[\"a@b.org\",\"a@B.org\",\"A@b.org\"],\"bcc\":\"a@b.org\"," USUAL
			  "}",
			  &object),
		ERROR_NONE);
	assert_int_equal(envelope_read(&mail, &envelope, &error), ERROR_NONE);
	assert_int_equal(envelope.to_count, 2);
	assert_string_equal(envelope.to[0]->text, "a@b.org");
	assert_string_equal(envelope.to[1]->text, "A@b.org");
}

static void the_address_that_is_wrong_is_named(void **state)
{
	(void)state;
	CLEANUP(json_put) struct json_object *object = NULL;
	struct envelope envelope;
	assert_int_equal(
		read_json("{\"to\":\"a@b.org\",\"cc\":[\"b@b.org\",\"c\"]," USUAL "}", &object),
		ERROR_NONE);
	assert_int_equal(envelope_read(&mail, &envelope, &error), ERROR_UNPROCESSABLE);
	assert_string_equal(error.text, "cc[1]: not an address: no @");
	mail.to.count = 0;
	assert_int_equal(envelope_read(&mail, &envelope, &error), ERROR_UNPROCESSABLE);
	assert_string_equal(error.text, "to: not an address: empty");
}

static void a_mail_over_the_setting_is_too_large(void **state)
{
	(void)state;
	size_t half = (size_t)config()->mail_max_bytes / 2;
	char *bytes = calloc(1, half + 1);
	assert_non_null(bytes);
	memset(bytes, 'A', half);
	CLEANUP(json_put) struct json_object *object = NULL;
	struct envelope envelope;
	assert_int_equal(read_json("{\"to\":\"a@b.org\"," USUAL "}", &object), ERROR_NONE);
	mail.html = (struct text){ bytes, half };
	mail.attachments[0] = (struct attachment){ text_of("a"), text_of(""), { bytes, half - 4 } };
	mail.attachment_count = 1;
	assert_int_equal(envelope_read(&mail, &envelope, &error), ERROR_NONE);
	mail.attachments[0].content.n = half;
	assert_int_equal(envelope_read(&mail, &envelope, &error), ERROR_TOO_LARGE);
	free(bytes);
}

static void an_answer_names_the_first_recipient(void **state)
{
	char to[MAIL_RECIPIENTS_BYTES];
	(void)state;
	CLEANUP(json_put) struct json_object *object = NULL;
	CLEANUP(json_put) struct json_object *several = NULL;
	assert_int_equal(read_json("{\"to\":\"a@b.org\",\"cc\":\"c@b.org\"," USUAL "}", &object),
			 ERROR_NONE);
	mail_recipients(&mail, to);
	assert_string_equal(to, "a@b.org");
	assert_int_equal(read_many(3, 1, &several), ERROR_NONE);
	mail_recipients(&mail, to);
	assert_string_equal(to, "a0@b.org and 2 more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_member_is_read),
		cmocka_unit_test(an_empty_text_counts_as_not_given),
		cmocka_unit_test(a_template_needs_no_message),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(recipients_are_bounded_all_together),
		cmocka_unit_test(a_recipient_that_is_named_twice_gets_one_mail),
		cmocka_unit_test(the_address_that_is_wrong_is_named),
		cmocka_unit_test(a_mail_over_the_setting_is_too_large),
		cmocka_unit_test(an_answer_names_the_first_recipient),
	};
	return RUN_SUITE(tests);
}
