/* Strict JSON: what is taken, what is refused, and what the refusal says. */
#include "suite.h"

#include <sys/resource.h>

#include "core/buffer.h"
#include "core/limits.h"
#include "wire/json.h"

static void expect(struct text in, enum error_code code, const char *sentence)
{
	struct error e = { .text = "" };
	struct json_object *value = NULL;
	assert_int_equal(json_parse(in, "body", &value, &e), code);
	json_object_put(value);
	if (code)
		assert_string_equal(e.text, sentence);
}

#define REFUSED(literal, sentence) expect(TEXT_LITERAL(literal), ERROR_BAD_INPUT, sentence)
#define TAKEN(literal)		   expect(TEXT_LITERAL(literal), ERROR_NONE, NULL)

static void every_kind_of_value_is_taken(void **state)
{
	(void)state;
	TAKEN("{}");
	TAKEN(" [1, -0.5e+3, true, false, null, \"\\u00e9\\ud83d\\ude00\\n\"] \r\n");
	TAKEN("123");
	TAKEN("null");
	TAKEN("\"\"");
	TAKEN("{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2}]}");
	TAKEN("\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \x7f\"");
}

static void what_is_no_value_is_refused_with_its_place(void **state)
{
	(void)state;
	REFUSED("", "body is empty");
	REFUSED(" \n ", "body is empty");
	REFUSED("hello", "body is not JSON: an unexpected character at byte 0");
	REFUSED("{\"a\":1,}", "body is not JSON: no string at byte 7");
	REFUSED("{\"a\" 1}", "body is not JSON: no colon after a member's name at byte 5");
	REFUSED("[1 2]", "body is not JSON: no comma between two parts at byte 3");
	REFUSED("[1,", "body is not JSON: an early end at byte 3");
	REFUSED("{\"a\":\"b", "body is not JSON: a string without an end at byte 7");
	REFUSED("{'a':1}", "body is not JSON: no string at byte 1");
	REFUSED("\0", "body is not JSON: an unexpected character at byte 0");
}

static void numbers_that_the_rfc_does_not_know_are_refused(void **state)
{
	(void)state;
	REFUSED("01", "body is not JSON: a broken number at byte 2");
	REFUSED("1.", "body is not JSON: a broken number at byte 2");
	REFUSED("-", "body is not JSON: a broken number at byte 1");
	REFUSED("1e", "body is not JSON: a broken number at byte 2");
	REFUSED("NaN", "body is not JSON: an unexpected character at byte 0");
	REFUSED("+1", "body is not JSON: an unexpected character at byte 0");
}

static void a_second_value_is_refused_in_the_words_of_the_contract(void **state)
{
	(void)state;
	REFUSED("{}{}", "body must have only a single JSON value");
	REFUSED("{} x", "body must have only a single JSON value");
	REFUSED("1\0", "body must have only a single JSON value");
}

static void bytes_that_are_not_utf8_are_refused(void **state)
{
	(void)state;
	REFUSED("\"\xc0\x80\"", "body is not JSON: bytes that are not UTF-8 at byte 1");
	REFUSED("\"\xc1\xbf\"", "body is not JSON: bytes that are not UTF-8 at byte 1");
	REFUSED("\"\xe0\x80\xaf\"", "body is not JSON: bytes that are not UTF-8 at byte 1");
	REFUSED("\"\xed\xa0\x80\"", "body is not JSON: bytes that are not UTF-8 at byte 1");
	REFUSED("\"\xf4\x90\x80\x80\"", "body is not JSON: bytes that are not UTF-8 at byte 1");
	REFUSED("\"\xff\"", "body is not JSON: bytes that are not UTF-8 at byte 1");
	REFUSED("\"\xe2\x82\"", "body is not JSON: bytes that are not UTF-8 at byte 1");
}

static void controls_nul_and_half_pairs_are_refused(void **state)
{
	(void)state;
	REFUSED("\"a\nb\"", "body is not JSON: a control character in a string at byte 2");
	REFUSED("\"a\0b\"", "body is not JSON: a control character in a string at byte 2");
	REFUSED("\"\\u0000\"", "body is not JSON: a NUL character at byte 3");
	REFUSED("{\"\\u0000\":1}", "body is not JSON: a NUL character at byte 4");
	REFUSED("\"\\ud800\"", "body is not JSON: half a surrogate pair at byte 7");
	REFUSED("\"\\udc00\"", "body is not JSON: half a surrogate pair at byte 7");
	REFUSED("\"\\ud800\\u0041\"", "body is not JSON: half a surrogate pair at byte 9");
	REFUSED("\"\\x\"", "body is not JSON: an unknown escape at byte 2");
	REFUSED("\"\\u12g4\"", "body is not JSON: a broken \\u escape at byte 3");
}

static void a_member_named_twice_is_refused_however_it_is_written(void **state)
{
	(void)state;
	REFUSED("{\"a\":1,\"a\":2}", "body names a member twice in one object");
	REFUSED("{\"a\":1,\"\\u0061\":2}", "body names a member twice in one object");
	REFUSED("[{\"x\":{\"b\":1,\"b\":1}}]", "body names a member twice in one object");
}

static void nesting_ends_at_the_limit(void **state)
{
	(void)state;
	TAKEN("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]");
	REFUSED("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "body nests deeper than 16 levels");
}

/* An array of count times part, which ends in a comma. */
static void fill_array(struct buffer *b, const char *part, size_t count)
{
	buffer_append_string(b, "[");
	for (size_t i = 0; i < count; i++)
		buffer_append_string(b, part);
	b->bytes[b->size - 1] = ']';
}

static void values_are_counted_up_to_the_limit(void **state)
{
	(void)state;
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	struct error e;
	struct json_object *o = NULL;
	fill_array(&b, "1,", MAX_JSON_VALUES - 1); /* the array is one too */
	assert_int_equal(json_parse(buffer_text(&b), "body", &o, &e), ERROR_NONE);
	json_object_put(o);
	buffer_clear(&b);
	fill_array(&b, "1,", MAX_JSON_VALUES);
	assert_int_equal(json_parse(buffer_text(&b), "body", &o, &e), ERROR_TOO_LARGE);
	assert_string_equal(e.text, "body holds more than 200000 values");
}

#ifndef __SANITIZE_ADDRESS__
static rlim_t bytes_mapped(void)
{
	char line[128] = "";
	FILE *f = fopen("/proc/self/statm", "re");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f)); /* pages first */
	fclose(f);
	return (rlim_t)strtoul(line, NULL, 10) * 4096;
}
#endif

/* A message that comes when memory is short must not be taken for a bad one. */
static void short_memory_is_no_fault_of_the_text(void **state)
{
	(void)state;
#ifndef __SANITIZE_ADDRESS__
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	struct error e;
	struct json_object *o = NULL;
	struct rlimit before;
	fill_array(&b, "{\"a\":[]},", MAX_JSON_VALUES / 4);
	assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
	struct rlimit tight = { bytes_mapped() + (4 << 20), before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
	enum error_code code = json_parse(buffer_text(&b), "body", &o, &e);
	assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
	assert_int_equal(code, ERROR_INTERNAL);
	assert_string_equal(e.text, "out of memory");
#endif
}

static void a_member_of_the_wrong_type_is_named(void **state)
{
	(void)state;
	struct error e;
	struct text out = { 0 };
	struct json_object *o = NULL;
	assert_int_equal(
		json_parse(TEXT_LITERAL("{\"n\":1,\"z\":null,\"s\":\"x\"}"), "body", &o, &e), 0);
	assert_int_equal(json_string(o, "log", "n", JSON_REQUIRED, &out, &e), ERROR_BAD_INPUT);
	assert_string_equal(e.text, "log.n: must be a string");
	assert_int_equal(json_string(o, "", "z", JSON_OPTIONAL, &out, &e), ERROR_BAD_INPUT);
	assert_string_equal(e.text, "z: must be a string");
	assert_int_equal(json_string(o, "log", "q", JSON_REQUIRED, &out, &e), ERROR_BAD_INPUT);
	assert_string_equal(e.text, "log.q: is missing");
	assert_int_equal(json_string(o, "log", "q", JSON_OPTIONAL, &out, &e), ERROR_NONE);
	assert_null(out.s);
	assert_int_equal(json_string(o, "log", "s", JSON_REQUIRED, &out, &e), ERROR_NONE);
	assert_text_equal(out, "x");
	assert_int_equal(json_member(o, "", "s", &(struct json_object *){ NULL }, &e),
			 ERROR_BAD_INPUT);
	assert_string_equal(e.text, "s: must be an object");
	json_object_put(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_value_is_taken),
		cmocka_unit_test(what_is_no_value_is_refused_with_its_place),
		cmocka_unit_test(numbers_that_the_rfc_does_not_know_are_refused),
		cmocka_unit_test(a_second_value_is_refused_in_the_words_of_the_contract),
		cmocka_unit_test(bytes_that_are_not_utf8_are_refused),
		cmocka_unit_test(controls_nul_and_half_pairs_are_refused),
		cmocka_unit_test(a_member_named_twice_is_refused_however_it_is_written),
		cmocka_unit_test(nesting_ends_at_the_limit),
		cmocka_unit_test(values_are_counted_up_to_the_limit),
		cmocka_unit_test(short_memory_is_no_fault_of_the_text),
		cmocka_unit_test(a_member_of_the_wrong_type_is_named),
	};
	return RUN_SUITE(tests);
}
