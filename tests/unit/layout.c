/* What lies where: names of handlers, and the paths made of them. */
#include "suite.h"

#include <unistd.h>

#include "../../spawn/layout.h"
#include "core/config.h"

static void a_name_is_of_lower_case_letters_digits_and_dashes(void **state)
{
	(void)state;
	assert_true(layout_name_valid("a"));
	assert_true(layout_name_valid("log-rpc2"));
	assert_true(layout_name_valid("abcdefghijklmnopqrstuvwxyzabcdef"));
	assert_false(layout_name_valid("abcdefghijklmnopqrstuvwxyzabcdefg"));
	static const char *const wrong[] = { "",    "-a",  "1a",   "A",	  "aB",
					     "a.b", "a/b", "..",   "a b", "a\n",
					     "a_b", ".a",  "a.sh", "a~",  "\xc3\xa9" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (layout_name_valid(wrong[i]))
			fail_msg("'%s' passed for a name", wrong[i]);
	}
}

static void there_are_three_places(void **state)
{
	(void)state;
	assert_string_equal(layout_place("public"), "public");
	assert_string_equal(layout_place("internal"), "internal");
	assert_string_equal(layout_place("queue"), "queue");
	assert_null(layout_place("log"));
	assert_null(layout_place(""));
}

static void paths_are_made_of_place_and_name(void **state)
{
	(void)state;
	char path[LAYOUT_PATH_BYTES];
	layout_path(LAYOUT_SOCKET, "public", "hello", path);
	assert_string_equal(path, "/tmp/run dir/public/hello.sock");
	layout_path(LAYOUT_RUNNING, "queue", "send", path);
	assert_string_equal(path, "/tmp/run dir/versions/send/queue.running");
	layout_path(LAYOUT_SETTINGS, "internal", "log", path);
	assert_string_equal(path, "/srv/handlers/internal/log.conf");
	layout_version("hello", "0a", path);
	assert_string_equal(path, "/tmp/run dir/versions/hello/0a");
}

static void settings_with_good_paths_pass(void **state)
{
	(void)state;
	struct error e = { 0 };
	assert_int_equal(layout_check(&e), ERROR_NONE);
}

static void only_a_sha256_in_hex_is_a_hash(void **state)
{
	(void)state;
	assert_true(layout_hash_valid(
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
	assert_false(layout_hash_valid(
		"E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"));
	assert_false(layout_hash_valid("e3b0"));
	assert_false(layout_hash_valid("public.running"));
}

int main(void)
{
	setenv("RUN_DIR", "/tmp/run dir", 1);
	setenv("HANDLERS_DIR", "/srv/handlers", 1);
	if (config_load(NULL))
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_of_lower_case_letters_digits_and_dashes),
		cmocka_unit_test(there_are_three_places),
		cmocka_unit_test(paths_are_made_of_place_and_name),
		cmocka_unit_test(settings_with_good_paths_pass),
		cmocka_unit_test(only_a_sha256_in_hex_is_a_hash),
	};
	return RUN_SUITE(tests);
}
