/* attachment: what may be attached, and the bytes that come out. */
#include "suite.h"

#include "mail/attachment.h"

static struct error error;

static enum error_code check(const char *name, const char *type, const char *content)
{
	struct attachment a = { text_of(name), text_of(type), text_of(content) };
	error = (struct error){ 0 };
	return attachment_check(&a, "attachments[0]", &error);
}

static void base64_becomes_its_bytes(void **state)
{
	static const struct {
		const char *content;
		struct text bytes;
	} rows[] = {
		{ "", TEXT_LITERAL("") },
		{ "Zg==", TEXT_LITERAL("f") },
		{ "Zm8=", TEXT_LITERAL("fo") },
		{ "Zm9v", TEXT_LITERAL("foo") },
		{ "Zm9vYg==", TEXT_LITERAL("foob") },
		{ "AAAA", TEXT_LITERAL("\0\0\0") },
		{ "+/+/", TEXT_LITERAL("\xfb\xff\xbf") },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEANUP(buffer_finish) struct buffer out = { 0 };
		struct attachment a = { .content = text_of(rows[i].content) };
		assert_int_equal(check("a", "", rows[i].content), ERROR_NONE);
		attachment_decode(&a, &out);
		assert_true(text_equal(buffer_text(&out), rows[i].bytes));
	}
}

static void what_is_no_base64_is_refused(void **state)
{
	static const char *const contents[] = {
		"Z",	 "Zg",	 "Zg=",	 "Zg===",    "====",
		"=",	 "Zh==", "Zm9=", "Z=m9",     "Zm9v\n",
		"Zm 9v", "Zm9-", "Zm_v", "Zg==Zg==", "\xc3\xa4\xc3\xa4",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		if (check("a", "", contents[i]) != ERROR_UNPROCESSABLE)
			fail_msg("taken: %s", contents[i]);
		assert_string_equal(error.text, "attachments[0].content: not base64");
	}
}

static void a_type_is_that_of_a_file(void **state)
{
	static const char *const good[] = { "", "image/png", "TEXT/x-a.b+c",
					    "application/vnd.ms-excel" };
	static const char *const bad[] = {
		"png",
		"image/",
		"/png",
		"image/png; a=b",
		"image/png\r\nX: y",
		"a/b/c",
		"a b/c",
		"multipart/mixed",
		"Message/rfc822",
		"image/p\xc3\xa4",
		"\"a\"/b",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(check("a", good[i], ""), ERROR_NONE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (check("a", bad[i], "") != ERROR_UNPROCESSABLE)
			fail_msg("taken: %s", bad[i]);
		assert_memory_equal(error.text, "attachments[0].type: ", 21);
	}
	assert_text_equal(attachment_type(&(struct attachment){ 0 }), "application/octet-stream");
}

static void a_name_is_one_line_without_a_path(void **state)
{
	static const char *const good[] = { "a", "two words.txt", "\xe5\xb1\xb1.pdf", "a;b\"c'.x",
					    ".." };
	static const char *const bad[] = {
		"", "a/b", "..\\b", "a\r\nb", "a\tb", "a\x7f", "=?utf-8?q?x?=", "\xff",
	};
	char longest[MAX_ATTACHMENT_NAME_BYTES + 2];
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(check(good[i], "", ""), ERROR_NONE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (check(bad[i], "", "") != ERROR_UNPROCESSABLE)
			fail_msg("taken: %s", bad[i]);
		assert_memory_equal(error.text, "attachments[0].name: ", 21);
	}
	memset(longest, 'a', sizeof(longest));
	longest[MAX_ATTACHMENT_NAME_BYTES + 1] = '\0';
	assert_int_equal(check(longest, "", ""), ERROR_UNPROCESSABLE);
	longest[MAX_ATTACHMENT_NAME_BYTES] = '\0';
	assert_int_equal(check(longest, "", ""), ERROR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_becomes_its_bytes),
		cmocka_unit_test(what_is_no_base64_is_refused),
		cmocka_unit_test(a_type_is_that_of_a_file),
		cmocka_unit_test(a_name_is_one_line_without_a_path),
	};
	return RUN_SUITE(tests);
}
