/* Connection strings of PostgreSQL: what is taken, and that an error tells nothing of them. */
#include "suite.h"

#include "store/postgres.h"

static void expect_option(const char *dsn, const char *keyword, const char *value)
{
	struct error e = { .text = "" };
	CLEANUP(postgres_dsn_free) PQconninfoOption *options = postgres_dsn_parse(dsn, &e);
	if (!options)
		fail_msg("%s: %s", dsn, e.text);
	assert_string_equal(postgres_dsn_value(options, keyword), value);
}

static void the_string_of_the_original_system_is_taken(void **state)
{
	(void)state;
	const char *dsn = "host=postgres port=5432 user=postgres password=password dbname=users "
			  "sslmode=disable timezone=UTC connect_timeout=5";
	expect_option(dsn, "host", "postgres");
	expect_option(dsn, "sslmode", "disable");
	expect_option(dsn, "connect_timeout", "5");
	expect_option(dsn, "options", "");
}

static void timezone_is_passed_over_wherever_it_stands(void **state)
{
	(void)state;
	expect_option("TimeZone = 'Europe/Paris' user=a", "user", "a");
	expect_option("user=a timezone=UTC", "user", "a");
	expect_option("timezone='it\\'s' user=a", "user", "a");
	expect_option("timezone=a\\ b user=a", "user", "a");
	expect_option("postgres://a@h/d?timezone=UTC", "user", "a");
	expect_option("postgresql://a@h/d?timezone=UTC&sslmode=require", "sslmode", "require");
	expect_option("postgresql://a@h/d?sslmode=require&TimeZone=UTC&connect_timeout=4",
		      "connect_timeout", "4");
}

static void a_value_that_mentions_timezone_stays_whole(void **state)
{
	(void)state;
	expect_option("password='a timezone=UTC b' user=u", "password", "a timezone=UTC b");
	expect_option("password=timezone user=u", "password", "timezone");
	expect_option("password='' user=u", "user", "u");
	expect_option("postgres://u:p@h/d?application_name=timezone%3DUTC", "application_name",
		      "timezone=UTC");
}

static void what_cannot_be_is_an_error_without_the_password(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"host=h hunter2",
		"host=h password='hunter2",
		"colour=hunter2",
		"postgres://u:hunter2@h/d?colour=1",
		"postgres://u:hunter2@[h/d",
		"= hunter2",
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct error e = { .text = "" };
		assert_null(postgres_dsn_parse(wrong[i], &e));
		assert_int_equal(e.code, ERROR_CONFIG);
		assert_null(strstr(e.text, "hunter2"));
	}
	assert_null(postgres_dsn_parse("nonsense", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_string_of_the_original_system_is_taken),
		cmocka_unit_test(timezone_is_passed_over_wherever_it_stands),
		cmocka_unit_test(a_value_that_mentions_timezone_stays_whole),
		cmocka_unit_test(what_cannot_be_is_an_error_without_the_password),
	};
	return RUN_SUITE(tests);
}
