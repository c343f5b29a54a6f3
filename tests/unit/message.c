/* message: what is written is read back the same, and what must not pass does not. */
#include "suite.h"

#include <gmime/gmime.h>

#include "core/buffer.h"
#include "mail/header.h"
#include "mail/message.h"

static const struct address sender = { "sender@example.org" };
static const struct address recipient = { "recipient@example.org" };

static struct error error;

/* A mail of which a test says only what is particular to it. */
struct sketch {
	const char *name, *to_name, *subject, *plain, *html;
};

static enum error_code write_sketch(struct sketch s, struct buffer *out)
{
	struct mailbox to = { &recipient, text_of(s.to_name) };
	struct message m = {
		.from = { &sender, text_of(s.name) },
		.to = &to,
		.to_count = 1,
		.subject = text_of(s.subject),
		.plain = text_of(s.plain),
		.html = text_of(s.html),
		.id = "the-id@example.org",
		.date_ms = 1767225599999,
	};
	error = (struct error){ 0 };
	return message_write(&m, out, &error);
}

static GMimeMessage *read_back(const struct buffer *b)
{
	GMimeStream *stream = g_mime_stream_mem_new_with_buffer(b->bytes, b->size);
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
	g_object_unref(parser);
	g_object_unref(stream);
	assert_non_null(message);
	return message;
}

/* The content of part number i of the alternative, freed with g_free. */
static char *part(GMimeMessage *message, int i)
{
	GMimeObject *root = g_mime_message_get_mime_part(message);
	GMimeObject *object = g_mime_multipart_get_part(GMIME_MULTIPART(root), i);
	GMimeDataWrapper *wrapper = g_mime_part_get_content(GMIME_PART(object));
	GByteArray *bytes = g_byte_array_new();
	GMimeStream *stream = g_mime_stream_mem_new_with_byte_array(bytes);
	g_mime_data_wrapper_write_to_stream(wrapper, stream);
	char *text = g_strndup(bytes->data ? (const char *)bytes->data : "", bytes->len);
	g_object_unref(stream);
	return text;
}

static void assert_name(InternetAddressList *list, const char *name, const char *address)
{
	assert_int_equal(internet_address_list_length(list), 1);
	InternetAddress *one = internet_address_list_get_address(list, 0);
	const char *shown = internet_address_get_name(one);
	assert_string_equal(shown ? shown : "", name ? name : "");
	assert_string_equal(internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(one)),
			    address);
}

/* Only ASCII, only CRLF, no line over 998 bytes. */
static void assert_may_travel(const struct buffer *b)
{
	size_t line = 0;
	for (size_t i = 0; i < b->size; i++) {
		unsigned char c = (unsigned char)b->bytes[i];
		bool ends = c == '\r' && b->bytes[i + 1] == '\n';
		line = c == '\n' ? 0 : line + 1;
		assert_in_range(c, 1, 0x7E);
		assert_true(c != '\r' || ends);
		assert_true(c != '\n' || (i > 0 && b->bytes[i - 1] == '\r'));
		assert_in_range(line, 0, 998 + 1);
	}
	assert_memory_equal(b->bytes + b->size - 2, "\r\n", 2);
}

#define X10(x) x x x x x x x x x x

static const struct {
	struct sketch in;
	const char *plain; /* as it comes out, if lines end otherwise */
} mails[] = {
	{ { .subject = "plain", .plain = "hello\n", .html = "<p>hello</p>\n" }, "hello\r\n" },
	{ { 0 }, NULL },
	{ { .subject = "H\xc3\xa4llo W\xc3\xb6rld", .name = "J\xc3\xb6rg M\xc3\xbcller" }, NULL },
	{ { .subject = "\xe4\xbd\xa0\xe5\xa5\xbd", .name = "\xe5\xb1\xb1\xe7\x94\xb0" }, NULL },
	{ { .subject = "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d \xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7",
	    .plain = "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d" },
	  NULL },
	{ { .subject = "\xf0\x9f\x98\x80 \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb",
	    .plain = "\xf0\x9f\x98\x80" },
	  NULL },
	{ { .subject = X10("\xe6\x96\x87\xe5\xad\x97"), .name = X10("\xc3\xa9 \xc3\xa8") }, NULL },
	/* Text that looks like encoded words, or like a part of one. */
	{ { .subject = "=?utf-8?q?x?=", .name = "=?utf-8?b?eA==?=" }, NULL },
	{ { .subject = "a =?utf-8?q?x?= \xc3\xa9", .name = "?= a =? \xc3\xa9 =3D" }, NULL },
	{ { .subject = "= ? =3D _ =20", .name = "=3D_=20 a" }, NULL },
	/* Blanks at the ends and side by side, words that do not fold. */
	{ { .subject = "  two  blanks  ", .name = "a  b" }, NULL },
	{ { .subject = X10("0123456789") X10("abcdefghij"), .name = X10("0123456789") }, NULL },
	{ { .subject = X10("0123456789 abcdefghij "), .name = X10("ten words ") "x" }, NULL },
	/* What has a meaning in an address list. */
	{ { .name = "Last, First", .to_name = "a <b@c.org>, d" }, NULL },
	{ { .name = "\"quoted\" \\ back", .to_name = "(comment) ; : @ [x]" }, NULL },
	{ { .name = "dots. and. such", .to_name = "'single'" }, NULL },
	/* Line ends, dots, long lines, what looks like the end of something. */
	{ { .plain = "a\rb\nc\r\nd\n\re" }, "a\r\nb\r\nc\r\nd\r\n\r\ne" },
	{ { .plain = ".\n..\n.a\n" }, ".\r\n..\r\n.a\r\n" },
	{ { .plain = "From me\n>From you\n" }, "From me\r\n>From you\r\n" },
	{ { .plain = "--\n--=-\n-- \n" }, "--\r\n--=-\r\n-- \r\n" },
	{ { .plain = "trailing \t\n \n" }, "trailing \t\r\n \r\n" },
	{ { .plain = X10(X10(X10("x"))) "tail\n.\n" }, X10(X10(X10("x"))) "tail\r\n.\r\n" },
	{ { .plain = X10(X10(X10("\xc3\xa9"))) }, NULL },
	{ { .plain = "=3D =\n=" }, "=3D =\r\n=" },
};

static void what_is_written_is_read_back_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
		const struct sketch *in = &mails[i].in;
		CLEANUP(buffer_finish) struct buffer b = { 0 };
		if (write_sketch(*in, &b))
			fail_msg("mail %zu: %s", i, error.text);
		assert_may_travel(&b);
		GMimeMessage *m = read_back(&b);
		g_autofree char *plain = part(m, 0);
		g_autofree char *html = part(m, 1);
		const char *subject = g_mime_message_get_subject(m);
		assert_string_equal(subject ? subject : "", in->subject ? in->subject : "");
		assert_name(g_mime_message_get_from(m), in->name, sender.text);
		assert_name(g_mime_message_get_to(m), in->to_name, recipient.text);
		const char *expected = mails[i].plain ? mails[i].plain : in->plain;
		assert_string_equal(plain, expected ? expected : "");
		assert_memory_equal(html, in->html ? in->html : "", in->html ? 12 : 1);
		g_object_unref(m);
	}
}

static void the_headers_are_those_of_a_mail(void **state)
{
	static const char *const lines[] = {
		"From: \"A. B\" <sender@example.org>\r\n",
		"To: recipient@example.org\r\n",
		"Subject: hello\r\n",
		"Date: Wed, 31 Dec 2025 23:59:59 +0000\r\n",
		"Message-Id: <the-id@example.org>\r\n",
		"MIME-Version: 1.0\r\n",
		"Content-Type: multipart/alternative; boundary=",
		"Content-Type: text/plain; charset=utf-8\r\n",
		"Content-Type: text/html; charset=utf-8\r\n",
	};
	(void)state;
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	struct sketch s = { .name = "A. B", .subject = "hello", .plain = "x", .html = "<p>" };
	assert_int_equal(write_sketch(s, &b), ERROR_NONE);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (!strstr(b.bytes, lines[i]))
			fail_msg("no %s in %s", lines[i], b.bytes);
	}
}

static void an_encoding_is_chosen_by_content(void **state)
{
	(void)state;
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	assert_int_equal(write_sketch((struct sketch){ .plain = "plain ascii" }, &b), ERROR_NONE);
	assert_null(strstr(b.bytes, "quoted-printable"));
	assert_null(strstr(b.bytes, "base64"));
	buffer_clear(&b);
	assert_int_equal(write_sketch((struct sketch){ .plain = "mostly ascii, one \xc3\xa9" }, &b),
			 ERROR_NONE);
	assert_non_null(strstr(b.bytes, "quoted-printable"));
	buffer_clear(&b);
	assert_int_equal(write_sketch((struct sketch){ .plain = X10("\xe6\x96\x87") }, &b),
			 ERROR_NONE);
	assert_non_null(strstr(b.bytes, "base64"));
}

static const struct text dangerous[] = {
	TEXT_LITERAL("a\rb"),
	TEXT_LITERAL("a\nb"),
	TEXT_LITERAL("a\r\nBcc: b@example.org"),
	TEXT_LITERAL("a\r\n\r\nbody"),
	TEXT_LITERAL("a\r\n folded"),
	TEXT_LITERAL("a\0b"),
	TEXT_LITERAL("a\tb"),
	TEXT_LITERAL("a\033[31m"),
	TEXT_LITERAL("\x7f"),
	TEXT_LITERAL("\n"),
	TEXT_LITERAL("a\xc2\x85"),
	TEXT_LITERAL("a\xe2\x80\xa8"),
	TEXT_LITERAL("a\xe2\x80\xa9"),
	TEXT_LITERAL("\xff"),
	TEXT_LITERAL("\xc0\x8a"),
	TEXT_LITERAL("\xed\xa0\x80"),
};

static void no_header_text_holds_a_line_end_or_a_control(void **state)
{
	(void)state;
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	for (size_t i = 0; i < sizeof(dangerous) / sizeof(dangerous[0]); i++) {
		for (int where = 0; where < 3; where++) {
			static const char *const names[] = { "subject", "from_name", "to" };
			struct mailbox to = { &recipient, { "", 0 } };
			struct message m = { .from = { &sender, { "", 0 } },
					     .to = &to,
					     .to_count = 1,
					     .id = "x@y" };
			*(where == 0   ? &m.subject
			  : where == 1 ? &m.from.name
				       : &to.name) = dangerous[i];
			assert_int_equal(message_write(&m, &b, &error), ERROR_UNPROCESSABLE);
			assert_memory_equal(error.text, names[where], strlen(names[where]));
			assert_int_equal(b.size, 0);
		}
	}
}

static void a_part_holds_no_control_but_tab_and_line_ends(void **state)
{
	(void)state;
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	for (int c = 1; c < 0x20; c++) {
		char text[] = { 'a', (char)c, 'b', '\0' };
		enum error_code code = write_sketch((struct sketch){ .plain = text }, &b);
		assert_int_equal(code, strchr("\t\r\n", c) ? ERROR_NONE : ERROR_UNPROCESSABLE);
	}
	assert_int_equal(write_sketch((struct sketch){ .plain = "\xff" }, &b), ERROR_UNPROCESSABLE);
}

static void a_header_text_over_its_length_is_refused(void **state)
{
	(void)state;
	char text[MAX_HEADER_TEXT_BYTES + 2];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(header_check(text_of(text), "subject", &error), ERROR_UNPROCESSABLE);
	assert_string_equal(error.text, "subject: longer than 998 bytes");
	text[sizeof(text) - 2] = '\0';
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	assert_int_equal(write_sketch((struct sketch){ .subject = text, .name = text }, &b),
			 ERROR_NONE);
	assert_may_travel(&b);
}

static void a_message_id_is_the_same_for_the_same_id(void **state)
{
	static const struct address_domain domain = { "example.org" };
	char one[MESSAGE_ID_BYTES], two[MESSAGE_ID_BYTES];
	(void)state;
	message_id(text_of("0123456789abcdef01234567"), &domain, one);
	assert_string_equal(one, "0123456789abcdef01234567@example.org");
	/* What cannot stand there is not let through. */
	message_id(TEXT_LITERAL("a\r\nBcc: <b@c>"), &domain, one);
	message_id(TEXT_LITERAL("a\r\nBcc: <b@c>"), &domain, two);
	assert_string_equal(one, two);
	assert_int_equal(strlen(one), 64 + 12);
	message_id(TEXT_LITERAL("a\0b"), &domain, one);
	message_id(TEXT_LITERAL("a\0c"), &domain, two);
	assert_string_not_equal(one, two);
}

static void a_mail_without_an_id_gets_one_of_its_own(void **state)
{
	static const struct address_domain domain = { "example.org" };
	char one[MESSAGE_ID_BYTES], two[MESSAGE_ID_BYTES];
	(void)state;
	message_id(text_of(""), &domain, one);
	message_id(text_of(""), &domain, two);
	assert_string_not_equal(one, two);
	assert_non_null(strstr(one, "@example.org"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back_the_same),
		cmocka_unit_test(the_headers_are_those_of_a_mail),
		cmocka_unit_test(an_encoding_is_chosen_by_content),
		cmocka_unit_test(no_header_text_holds_a_line_end_or_a_control),
		cmocka_unit_test(a_part_holds_no_control_but_tab_and_line_ends),
		cmocka_unit_test(a_header_text_over_its_length_is_refused),
		cmocka_unit_test(a_message_id_is_the_same_for_the_same_id),
		cmocka_unit_test(a_mail_without_an_id_gets_one_of_its_own),
	};
	return RUN_SUITE(tests);
}
