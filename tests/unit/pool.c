/* The parts of pool that decide, apart from the processes that they decide about. */
#include "suite.h"

#include <unistd.h>

#include "../../spawn/pool_backoff.h"
#include "../../spawn/pool_fastcgi.h"
#include "../../spawn/pool_options.h"
#include "../../spawn/pool_roll.h"
#include "../../spawn/pool_settings.h"
#include "core/cleanup.h"

static char path[] = "/tmp/pool-test-XXXXXX";

/* --- backoff */

static void a_first_death_costs_next_to_nothing(void **state)
{
	(void)state;
	struct backoff b = { 0 };
	assert_int_equal(backoff_after_death(&b, 10), BACKOFF_FIRST_MS);
}

static void early_deaths_in_a_row_double_the_wait_up_to_a_cap_for_ever(void **state)
{
	(void)state;
	struct backoff b = { 0 };
	int last = backoff_after_death(&b, 0);
	for (int i = 0; i < 100; i++) {
		int wait = backoff_after_death(&b, 0);
		assert_int_equal(wait, 2 * last < BACKOFF_MOST_MS ? 2 * last : BACKOFF_MOST_MS);
		last = wait;
	}
	assert_int_equal(last, BACKOFF_MOST_MS);
}

static void a_worker_that_lived_a_while_starts_the_count_anew(void **state)
{
	(void)state;
	struct backoff b = { 0 };
	for (int i = 0; i < 20; i++)
		backoff_after_death(&b, 0);
	assert_true(backoff_is_failing(&b));
	assert_int_equal(backoff_after_death(&b, BACKOFF_RESET_MS), BACKOFF_FIRST_MS);
	assert_false(backoff_is_failing(&b));
}

static void a_few_deaths_are_no_failure(void **state)
{
	(void)state;
	struct backoff b = { 0 };
	for (int i = 1; i < BACKOFF_FAILING_DEATHS; i++) {
		backoff_after_death(&b, 0);
		assert_false(backoff_is_failing(&b));
	}
	backoff_after_death(&b, 0);
	assert_true(backoff_is_failing(&b));
}

static void being_killed_says_nothing_about_the_program(void **state)
{
	(void)state;
	struct backoff b = { 0 };
	assert_int_equal(backoff_after_kill(&b, BACKOFF_RESET_MS), BACKOFF_FIRST_MS);
	for (int i = 0; i < 100; i++)
		assert_int_equal(backoff_after_kill(&b, 0), BACKOFF_KILLED_MS);
	assert_false(backoff_is_failing(&b));
	assert_int_equal(backoff_after_death(&b, 0), BACKOFF_FIRST_MS);
}

/* --- roll */

static void a_version_whose_workers_have_all_settled_is_taken(void **state)
{
	(void)state;
	assert_int_equal(roll_judge(&(struct roll){ 4, 4, ROLL_SETTLE_MS, 0 }), ROLL_TAKE);
}

static void a_version_waits_for_its_youngest_and_its_missing_worker(void **state)
{
	(void)state;
	assert_int_equal(roll_judge(&(struct roll){ 4, 4, ROLL_SETTLE_MS - 1, 0 }), ROLL_WAIT);
	assert_int_equal(roll_judge(&(struct roll){ 4, 3, ROLL_SETTLE_MS, 1 }), ROLL_WAIT);
}

static void one_worker_that_was_killed_refuses_no_version(void **state)
{
	(void)state;
	assert_int_equal(roll_judge(&(struct roll){ 2, 2, ROLL_SETTLE_MS, 1 }), ROLL_TAKE);
}

static void a_version_whose_workers_die_is_refused(void **state)
{
	(void)state;
	int deaths = ROLL_DEATHS_TO_REFUSE;
	assert_int_equal(roll_judge(&(struct roll){ 2, 2, 10, deaths }), ROLL_REFUSE);
	assert_int_equal(roll_judge(&(struct roll){ 1, 0, 0, deaths }), ROLL_REFUSE);
}

/* --- NAME.conf */

static enum error_code load(const char *content, struct pool_settings *s, struct error *e)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fputs(content, f) >= 0, 1);
	assert_int_equal(fclose(f), 0);
	return pool_settings_load(path, s, e);
}

static void settings_are_read_over_what_is_there(void **state)
{
	(void)state;
	struct pool_settings s = { .workers = 2 };
	struct error e = { 0 };
	assert_int_equal(load("# a comment\nprotocol = cgi\n", &s, &e), ERROR_NONE);
	assert_int_equal(s.workers, 2);
	assert_int_equal(s.protocol, PROTOCOL_CGI);
	assert_int_equal(load("workers = 4 ; for the busy one\nprotocol=fastcgi", &s, &e),
			 ERROR_NONE);
	assert_int_equal(s.workers, 4);
	assert_int_equal(s.protocol, PROTOCOL_FASTCGI);
}

static void no_file_of_settings_is_no_error(void **state)
{
	(void)state;
	struct pool_settings s = { .workers = 7 };
	struct error e = { 0 };
	assert_int_equal(pool_settings_load("/nonexistent/x.conf", &s, &e), ERROR_NONE);
	assert_int_equal(s.workers, 7);
}

static void a_wrong_setting_is_named_and_changes_nothing(void **state)
{
	(void)state;
	static const struct {
		const char *content;
		const char *says;
	} wrong[] = {
		{ "workers = 0\n", ":1: workers must be a number from 1 to 256" },
		{ "workers = 257\n", ":1: workers must be" },
		{ "workers = 3x\n", ":1: workers must be" },
		{ "workers =\n", ":1: workers must be" },
		{ "workers = 3\nprotocol = http\n", ":2: protocol must be fastcgi or cgi" },
		{ "\nworker = 3\n", ":2: unknown setting" },
		{ "[pool]\nworkers = 3\n", ":2: sections have no meaning here" },
		{ "workers\n", ":1: not a setting" },
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct pool_settings s = { .workers = 5, .protocol = PROTOCOL_CGI };
		struct error e = { 0 };
		assert_int_equal(load(wrong[i].content, &s, &e), ERROR_CONFIG);
		if (!strstr(e.text, wrong[i].says) || !strstr(e.text, path))
			fail_msg("'%s' for '%s'", e.text, wrong[i].content);
		assert_int_equal(s.workers, 5);
		assert_int_equal(s.protocol, PROTOCOL_CGI);
	}
}

/* --- the command line */

static enum error_code options(struct pool_options *o, struct error *e, const char *const *words)
{
	int argc = 0;
	while (words[argc])
		argc++;
	optind = 1;
	opterr = 0;
	return pool_options_read(argc, (char **)(uintptr_t)words, o, e);
}

#define OPTIONS(o, e, ...) options(o, e, (const char *const[]){ "pool", __VA_ARGS__, NULL })

static void the_command_line_names_a_handler_and_maybe_a_program(void **state)
{
	(void)state;
	struct pool_options o;
	struct error e = { 0 };
	assert_int_equal(OPTIONS(&o, &e, "public", "hello"), ERROR_NONE);
	assert_string_equal(o.place, "public");
	assert_string_equal(o.name, "hello");
	assert_null(o.program);
	assert_int_equal(o.workers, 0);
	assert_int_equal(o.ready_fd, -1);
	assert_int_equal(
		OPTIONS(&o, &e, "-w", "3", "-d", "3", "-k", "queue", "x", "--", "/p", "-w"),
		ERROR_NONE);
	assert_int_equal(o.workers, 3);
	assert_int_equal(o.ready_fd, 3);
	assert_true(o.kept);
	assert_string_equal(o.program[0], "/p");
	assert_string_equal(o.program[1], "-w");
}

static void a_wrong_command_line_is_refused(void **state)
{
	(void)state;
	struct pool_options o;
	struct error e = { 0 };
	assert_int_equal(OPTIONS(&o, &e, "public"), ERROR_CONFIG);
	assert_int_equal(OPTIONS(&o, &e, "private", "x"), ERROR_CONFIG);
	assert_int_equal(OPTIONS(&o, &e, "public", "X"), ERROR_CONFIG);
	assert_int_equal(OPTIONS(&o, &e, "public", "x", "/p"), ERROR_CONFIG);
	assert_int_equal(OPTIONS(&o, &e, "public", "x", "--"), ERROR_CONFIG);
	assert_int_equal(OPTIONS(&o, &e, "-w", "0", "public", "x"), ERROR_CONFIG);
	assert_int_equal(OPTIONS(&o, &e, "-w", "two", "public", "x"), ERROR_CONFIG);
	assert_int_equal(OPTIONS(&o, &e, "-d", "1", "public", "x"), ERROR_CONFIG);
}

/* --- FastCGI */

/* A request as a front door sends it: begin, two parameters, a body, and the ends of both. */
static const unsigned char request[] = {
	1, 1, 0,   7,	0,   8,	 0,    0, 0, 1,	  0,   0,   0,	 0,   0, 0, /* begin, id 7, responder */
	1, 4, 0,   7,	0,   14, 2,    0, /* params, two bytes of padding */
	1, 2, 'A', 'b', 'c', 3,	 0x80, 0, 0, 4,	  'X', 'Y', 'Z', '1', /* the last three go on below */
	0, 0, 1,   4,	0,   7,	 0,    3, 0, 0,	  '2', '3', '4', 1,   4, 0, 7, 0, 0, 0,
	0, 1, 5,   0,	7,   0,	 2,    0, 0, '{', '}', 1,   5,	 0,   7, 0, 0, 0, 0,
};

static void a_request_is_read_whatever_pieces_it_comes_in(void **state)
{
	(void)state;
	for (size_t piece = 1; piece <= sizeof(request); piece++) {
		CLEANUP(fastcgi_finish) struct fastcgi f = { 0 };
		struct text value;
		for (size_t at = 0; at < sizeof(request); at += piece) {
			size_t n = sizeof(request) - at < piece ? sizeof(request) - at : piece;
			assert_false(f.complete);
			assert_true(fastcgi_feed(&f, request + at, n));
		}
		assert_true(f.complete);
		assert_int_equal(f.id, 7);
		assert_true(fastcgi_parameter(&f, "A", &value));
		assert_text_equal(value, "bc");
		assert_true(fastcgi_parameter(&f, "XYZ", &value));
		assert_text_equal(value, "1234");
		assert_false(fastcgi_parameter(&f, "bc", &value));
	}
}

static void what_is_not_fastcgi_is_refused(void **state)
{
	(void)state;
	CLEANUP(fastcgi_finish) struct fastcgi f = { 0 };
	assert_false(fastcgi_feed(&f, "GET / HTTP/1.1\r\n\r\n", 18));
}

static void a_parameter_that_claims_more_than_came_is_not_there(void **state)
{
	(void)state;
	static const unsigned char lying[] = { 1, 4, 0,	   1,	 0,    6,    0,
					       0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 'A' };
	CLEANUP(fastcgi_finish) struct fastcgi f = { 0 };
	struct text value;
	assert_true(fastcgi_feed(&f, lying, sizeof(lying)));
	assert_false(fastcgi_parameter(&f, "A", &value));
}

static void an_answer_is_output_and_its_end_under_the_requests_id(void **state)
{
	(void)state;
	static const unsigned char expected[] = {
		1, 6, 0, 7, 0, 2, 0, 0, 'o', 'k',		    /* output */
		1, 6, 0, 7, 0, 0, 0, 0,				    /* its end */
		1, 3, 0, 7, 0, 8, 0, 0, 0,   0,	  0, 0, 0, 0, 0, 0, /* end of the request */
	};
	CLEANUP(fastcgi_finish) struct fastcgi f = { 0 };
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	assert_true(fastcgi_feed(&f, request, sizeof(request)));
	fastcgi_answer(&f, text_of("ok"), &out);
	assert_int_equal(out.size, sizeof(expected));
	assert_memory_equal(out.bytes, expected, sizeof(expected));
}

int main(void)
{
	int fd = mkstemp(path);
	if (fd < 0)
		return 1;
	close(fd);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_first_death_costs_next_to_nothing),
		cmocka_unit_test(early_deaths_in_a_row_double_the_wait_up_to_a_cap_for_ever),
		cmocka_unit_test(a_worker_that_lived_a_while_starts_the_count_anew),
		cmocka_unit_test(a_few_deaths_are_no_failure),
		cmocka_unit_test(being_killed_says_nothing_about_the_program),
		cmocka_unit_test(a_version_whose_workers_have_all_settled_is_taken),
		cmocka_unit_test(a_version_waits_for_its_youngest_and_its_missing_worker),
		cmocka_unit_test(one_worker_that_was_killed_refuses_no_version),
		cmocka_unit_test(a_version_whose_workers_die_is_refused),
		cmocka_unit_test(settings_are_read_over_what_is_there),
		cmocka_unit_test(no_file_of_settings_is_no_error),
		cmocka_unit_test(a_wrong_setting_is_named_and_changes_nothing),
		cmocka_unit_test(the_command_line_names_a_handler_and_maybe_a_program),
		cmocka_unit_test(a_wrong_command_line_is_refused),
		cmocka_unit_test(a_request_is_read_whatever_pieces_it_comes_in),
		cmocka_unit_test(what_is_not_fastcgi_is_refused),
		cmocka_unit_test(a_parameter_that_claims_more_than_came_is_not_there),
		cmocka_unit_test(an_answer_is_output_and_its_end_under_the_requests_id),
	};
	int failed = RUN_SUITE(tests);
	unlink(path);
	return failed;
}
