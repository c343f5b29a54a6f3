/* Queries: parameters decoded, and what is wrong with one named. And secrets compared. */
#include "suite.h"

#include "handler/query.h"

enum { NAME, LIMIT, COUNT };

struct reading {
	struct query_parameter given[COUNT];
	struct buffer room;
	struct error e;
};

static enum error_code read_query(struct reading *r, const char *query)
{
	*r = (struct reading){ .given = { { .name = "name" }, { .name = "limit" } } };
	return query_read(query, r->given, COUNT, &r->room, &r->e);
}

static void expect_name(const char *query, struct text name)
{
	struct reading r;
	assert_int_equal(read_query(&r, query), ERROR_NONE);
	assert_true(r.given[NAME].given);
	assert_true(text_equal(r.given[NAME].value, name));
	assert_int_equal(r.given[NAME].value.s[name.n], '\0');
	buffer_finish(&r.room);
}

static void expect_error(const char *query, const char *sentence)
{
	struct reading r;
	assert_int_equal(read_query(&r, query), ERROR_BAD_INPUT);
	assert_string_equal(r.e.text, sentence);
	buffer_finish(&r.room);
}

static void a_value_is_decoded_as_forms_write_it(void **state)
{
	(void)state;
	expect_name("name=a", text_of("a"));
	expect_name("name=a+b%2Bc", text_of("a b+c"));
	expect_name("name=%c3%A9", text_of("\xc3\xa9"));
	expect_name("name=", text_of(""));
	expect_name("name", text_of(""));
	expect_name("n%61me=x", text_of("x"));
	expect_name("name=a=b", text_of("a=b"));
	expect_name("limit=1&name=%26&", text_of("&"));
	expect_name("&&name=1&&", text_of("1"));
}

static void a_percent_sign_that_begins_nothing_stays(void **state)
{
	(void)state;
	expect_name("name=100%", text_of("100%"));
	expect_name("name=%4", text_of("%4"));
	expect_name("name=%zz%4g", text_of("%zz%4g"));
	expect_name("name=%&limit=41", text_of("%"));
}

static void what_is_not_given_is_empty(void **state)
{
	(void)state;
	struct reading r;
	assert_int_equal(read_query(&r, ""), ERROR_NONE);
	for (size_t i = 0; i < COUNT; i++) {
		assert_false(r.given[i].given);
		assert_text_equal(r.given[i].value, "");
	}
	buffer_finish(&r.room);
}

static void a_wrong_parameter_is_named(void **state)
{
	(void)state;
	expect_error("other=1", "other: no such parameter");
	expect_error("name=1&name=2", "name: given twice");
	expect_error("name=%ff", "name: must be UTF-8 without NUL");
	expect_error("name=a%00b", "name: must be UTF-8 without NUL");
	expect_error("=x", ": no such parameter");
	expect_error("%ff=x", "?: no such parameter");
}

static void expect_number(const char *query, enum error_code code, int64_t number)
{
	struct reading r;
	int64_t out = -1;
	assert_int_equal(read_query(&r, query), ERROR_NONE);
	assert_int_equal(query_number(&r.given[LIMIT], 1, 100, &out, &r.e), code);
	assert_int_equal(out, number);
	if (code)
		assert_string_equal(r.e.text, "limit: must be a number from 1 to 100");
	buffer_finish(&r.room);
}

static void a_number_is_plain_digits_within_its_bounds(void **state)
{
	(void)state;
	expect_number("limit=1", ERROR_NONE, 1);
	expect_number("limit=100", ERROR_NONE, 100);
	expect_number("limit=007", ERROR_NONE, 7);
	expect_number("", ERROR_NONE, -1);
	static const char *const wrong[] = {
		"limit=",   "limit=0",	 "limit=101",
		"limit=-1", "limit=+1",	 "limit=%201",
		"limit=1x", "limit=0x1", "limit=18446744073709551617",
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		expect_number(wrong[i], ERROR_BAD_INPUT, -1);
}

static void a_secret_is_all_of_it_and_nothing_more(void **state)
{
	(void)state;
	assert_true(text_is_secret(text_of("secret"), text_of("secret")));
	static const char *const wrong[] = { "", "secre", "secret ", "Secret", "secretsecret" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(text_is_secret(text_of(wrong[i]), text_of("secret")));
	assert_false(text_is_secret(text_of("x"), text_of("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_decoded_as_forms_write_it),
		cmocka_unit_test(a_percent_sign_that_begins_nothing_stays),
		cmocka_unit_test(what_is_not_given_is_empty),
		cmocka_unit_test(a_wrong_parameter_is_named),
		cmocka_unit_test(a_number_is_plain_digits_within_its_bounds),
		cmocka_unit_test(a_secret_is_all_of_it_and_nothing_more),
	};
	return RUN_SUITE(tests);
}
