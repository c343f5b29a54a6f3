/* The file of triggers: what is read, and what each mistake is told. */
#include "suite.h"

#include <unistd.h>

#include "core/buffer.h"
#include "core/cleanup.h"
#include "transport/triggers.h"

static char path[] = "/tmp/triggers-test-XXXXXX";

static void write_bytes(const char *bytes, size_t n)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void load(const char *contents, struct triggers *triggers)
{
	struct error e = { 0 };
	write_bytes(contents, strlen(contents));
	if (triggers_load(path, triggers, &e))
		fail_msg("%s", e.text);
}

/* The sentence must name the file, the line, and what else is expected of it. */
static void refused(const char *contents, int line, const char *sentence)
{
	struct error e = { 0 };
	struct triggers triggers;
	char place[64];
	snprintf(place, sizeof(place), "%s:%d: ", path, line);
	write_bytes(contents, strlen(contents));
	assert_int_equal(triggers_load(path, &triggers, &e), ERROR_CONFIG);
	if (strncmp(e.text, place, strlen(place)) != 0 || !strstr(e.text, sentence))
		fail_msg("\"%s\" is not about line %d and \"%s\"", e.text, line, sentence);
	assert_null(triggers.list);
}

static void the_bundled_file_feeds_log_and_send(void **state)
{
	(void)state;
	struct triggers t;
	struct error e;
	assert_int_equal(triggers_load("triggers.conf", &t, &e), ERROR_NONE);
	assert_int_equal(t.count, 2);
	assert_string_equal(t.list[0].queue, "logs");
	assert_string_equal(t.list[0].handler, "log");
	assert_int_equal(t.list[0].key_count, 3);
	assert_string_equal(t.list[0].keys[2], "log.ERROR");
	assert_int_equal(t.list[0].batch_size, 100);
	assert_string_equal(t.list[1].queue, "mail");
	assert_string_equal(t.list[1].handler, "send");
	assert_int_equal(t.list[1].batch_size, 1);
	triggers_finish(&t);
	assert_null(t.list);
}

static void what_is_left_out_has_its_default(void **state)
{
	(void)state;
	struct triggers t;
	load("[orders]\nhandler = bill\n", &t);
	assert_int_equal(t.count, 1);
	assert_int_equal(t.list[0].key_count, 0);
	assert_int_equal(t.list[0].batch_size, 100);
	assert_int_equal(t.list[0].batch_window_ms, 20);
	assert_int_equal(t.list[0].max_concurrency, 2);
	assert_int_equal(t.list[0].max_attempts, 5);
	assert_int_equal(t.list[0].backoff_steps, 3);
	assert_int_equal(t.list[0].backoff_ms[2], 30000);
	triggers_finish(&t);
}

static void every_member_is_read(void **state)
{
	(void)state;
	struct triggers t;
	load("# a comment\n\n[a.b_c-D9] ; another\n\thandler = x-1\n  keys = a.*, b.#\tc\n"
	     "batch_size=1\nbatch_window : 2s\nmax_concurrency = 64\nmax_attempts = 1000\n"
	     "backoff = 1ms,2s 3m  24h\n[second]\nhandler = y",
	     &t);
	assert_int_equal(t.count, 2);
	assert_string_equal(t.list[0].queue, "a.b_c-D9");
	assert_string_equal(t.list[0].handler, "x-1");
	assert_int_equal(t.list[0].key_count, 3);
	assert_string_equal(t.list[0].keys[0], "a.*");
	assert_string_equal(t.list[0].keys[1], "b.#");
	assert_string_equal(t.list[0].keys[2], "c");
	assert_int_equal(t.list[0].batch_size, 1);
	assert_int_equal(t.list[0].batch_window_ms, 2000);
	assert_int_equal(t.list[0].max_concurrency, 64);
	assert_int_equal(t.list[0].max_attempts, 1000);
	assert_int_equal(t.list[0].backoff_steps, 4);
	assert_int_equal(t.list[0].backoff_ms[0], 1);
	assert_int_equal(t.list[0].backoff_ms[2], 180000);
	assert_int_equal(t.list[0].backoff_ms[3], 86400000);
	assert_string_equal(t.list[1].handler, "y");
	triggers_finish(&t);
}

static void a_file_from_another_system_is_read(void **state)
{
	(void)state;
	struct triggers t;
	load("\xEF\xBB\xBF[q]\r\nhandler = h\r\nkeys = k\r\n", &t);
	assert_string_equal(t.list[0].queue, "q");
	assert_string_equal(t.list[0].keys[0], "k");
	triggers_finish(&t);
	load("", &t);
	assert_int_equal(t.count, 0);
	triggers_finish(&t);
}

static void a_long_name_is_not_cut(void **state)
{
	(void)state;
	struct triggers t;
	char contents[256];
	char name[MAX_QUEUE_NAME_BYTES + 2];
	memset(name, 'q', sizeof(name) - 1);
	name[MAX_QUEUE_NAME_BYTES] = '\0';
	snprintf(contents, sizeof(contents), "[%s]\nhandler = h\n", name);
	load(contents, &t);
	assert_string_equal(t.list[0].queue, name);
	triggers_finish(&t);
	name[MAX_QUEUE_NAME_BYTES] = 'q';
	name[MAX_QUEUE_NAME_BYTES + 1] = '\0';
	snprintf(contents, sizeof(contents), "[%s]\nhandler = h\n", name);
	refused(contents, 1, "at most 100 bytes");
}

static void the_most_and_longest_keys_fit_on_a_line(void **state)
{
	(void)state;
	struct triggers t;
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	buffer_append_string(&b, "[q]\nhandler = h\nkeys =");
	for (int i = 0; i < MAX_TRIGGER_KEYS; i++)
		buffer_printf(&b, " %0*d", MAX_ROUTING_KEY_BYTES, i);
	load(b.bytes, &t);
	assert_int_equal(t.list[0].key_count, MAX_TRIGGER_KEYS);
	assert_int_equal(strlen(t.list[0].keys[MAX_TRIGGER_KEYS - 1]), MAX_ROUTING_KEY_BYTES);
	triggers_finish(&t);
	buffer_append_string(&b, " x");
	refused(b.bytes, 3, "at most 16 keys");
	buffer_clear(&b);
	buffer_printf(&b, "[q]\nhandler = h\nkeys = %0*d\n", MAX_ROUTING_KEY_BYTES + 1, 0);
	refused(b.bytes, 3, "at most 255 bytes");
	buffer_clear(&b);
	buffer_printf(&b, "[q]\nhandler = h\nkeys = %0*d\n", 9000, 0);
	refused(b.bytes, 3, "a line has at most");
}

static void every_mistake_names_its_line(void **state)
{
	(void)state;
	static const struct {
		const char *contents;
		int line;
		const char *sentence;
	} mistakes[] = {
		{ "handler = h\n", 1, "before the first [queue]" },
		{ "[q]\nhandler = h\ncolour = red\n", 3, "colour: there is no such member" },
		{ "[q]\nhandler = h\nhandler = h\n", 3, "handler: stands twice in [q]" },
		{ "[q]\nhandler = h\n[q]\nhandler = h\n", 3, "[q]: stands twice" },
		{ "[q]\nkeys = k\n[r]\nhandler = h\n", 1, "[q] names no handler" },
		{ "[q]\nhandler = h\n\n[r]\n", 4, "[r] names no handler" },
		{ "[q]\nhandler\n", 2, "neither [queue] nor member = value" },
		{ "[q\nhandler = h\n", 1, "neither [queue] nor member = value" },
		{ "[q]\nhandler = h\nkeys = a\n\tb\n", 4, "neither [queue] nor member = value" },
		{ "[]\nhandler = h\n", 1, "a queue's name" },
		{ "[.q]\nhandler = h\n", 1, "a queue's name" },
		{ "[a b]\nhandler = h\n", 1, "a queue's name" },
		{ "[q.dead]\nhandler = h\n", 1, "kept for the helpers" },
		{ "[q.retry.5000]\nhandler = h\n", 1, "kept for the helpers" },
		{ "[q]\nhandler = Log\n", 2, "must be a handler's name" },
		{ "[q]\nhandler = ../log\n", 2, "must be a handler's name" },
		{ "[q]\nhandler = \n", 2, "must be a handler's name" },
		{ "[q]\nhandler = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", 2, "at most 32 bytes" },
		{ "[q]\nbatch_size = 0\n", 2, "from 1 to 1000" },
		{ "[q]\nbatch_size = 1001\n", 2, "from 1 to 1000" },
		{ "[q]\nbatch_size = -1\n", 2, "from 1 to 1000" },
		{ "[q]\nbatch_size = 5x\n", 2, "from 1 to 1000" },
		{ "[q]\nbatch_size = 99999999999999999999\n", 2, "from 1 to 1000" },
		{ "[q]\nmax_concurrency = 65\n", 2, "from 1 to 64" },
		{ "[q]\nmax_attempts = many\n", 2, "from 1 to 1000" },
		{ "[q]\nbatch_window = 20\n", 2, "from 0ms to 60s" },
		{ "[q]\nbatch_window = 20 ms\n", 2, "from 0ms to 60s" },
		{ "[q]\nbatch_window = 61s\n", 2, "from 0ms to 60s" },
		{ "[q]\nbatch_window = -1s\n", 2, "from 0ms to 60s" },
		{ "[q]\nbackoff = 0ms\n", 2, "from 1ms to 24h" },
		{ "[q]\nbackoff = 1s 25h\n", 2, "from 1ms to 24h" },
		{ "[q]\nbackoff = 99999999999999999999s\n", 2, "from 1ms to 24h" },
		{ "[q]\nbackoff =\n", 2, "must have a step" },
		{ "[q]\nbackoff = 1s 1s 1s 1s 1s 1s 1s 1s 1s\n", 2, "at most 8 steps" },
	};
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
		refused(mistakes[i].contents, mistakes[i].line, mistakes[i].sentence);
}

static void names_that_only_look_like_helpers_are_taken(void **state)
{
	(void)state;
	static const char *const names[] = { "dead", "retry.5", "q.retry.", "q.retry.5x",
					     "q.dead2" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct triggers t;
		char contents[64];
		snprintf(contents, sizeof(contents), "[%s]\nhandler = h\n", names[i]);
		load(contents, &t);
		triggers_finish(&t);
	}
}

static void a_file_that_is_not_text_or_not_there_is_refused(void **state)
{
	(void)state;
	static const char bytes[] = "[q]\nhandler = h\0x\n";
	struct error e;
	struct triggers t;
	write_bytes(bytes, sizeof(bytes) - 1);
	assert_int_equal(triggers_load(path, &t, &e), ERROR_CONFIG);
	assert_non_null(strstr(e.text, ":2: a NUL byte"));
	assert_int_equal(triggers_load("/nonexistent/triggers.conf", &t, &e), ERROR_CONFIG);
	assert_non_null(strstr(e.text, "/nonexistent/triggers.conf: "));
	assert_int_equal(triggers_load("/tmp", &t, &e), ERROR_CONFIG);
}

static void there_are_at_most_64_triggers(void **state)
{
	(void)state;
	struct triggers t;
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	for (int i = 0; i < MAX_TRIGGERS; i++)
		buffer_printf(&b, "[q%d]\nhandler = h\n", i);
	load(b.bytes, &t);
	assert_int_equal(t.count, MAX_TRIGGERS);
	triggers_finish(&t);
	buffer_append_string(&b, "[one-more]\nhandler = h\n");
	refused(b.bytes, 129, "at most 64 triggers");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bundled_file_feeds_log_and_send),
		cmocka_unit_test(what_is_left_out_has_its_default),
		cmocka_unit_test(every_member_is_read),
		cmocka_unit_test(a_file_from_another_system_is_read),
		cmocka_unit_test(a_long_name_is_not_cut),
		cmocka_unit_test(the_most_and_longest_keys_fit_on_a_line),
		cmocka_unit_test(every_mistake_names_its_line),
		cmocka_unit_test(names_that_only_look_like_helpers_are_taken),
		cmocka_unit_test(a_file_that_is_not_text_or_not_there_is_refused),
		cmocka_unit_test(there_are_at_most_64_triggers),
	};
	close(mkstemp(path));
	int failed = RUN_SUITE(tests);
	unlink(path);
	return failed;
}
