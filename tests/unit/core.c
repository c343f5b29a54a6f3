/* Errors, times, buffers, log lines and settings. */
#include "suite.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/error.h"
#include "core/log.h"
#include "core/utf8.h"
#include "wire/json.h"

static void every_error_has_a_sentence_and_a_status(void **state)
{
	(void)state;
	for (enum error_code code = ERROR_NONE; code < ERROR_CODES; code++) {
		assert_true(strlen(error_sentence(code)) > 5);
		assert_in_range(error_status(code), code ? 400 : 200, code ? 504 : 200);
		if (error_is_permanent(code))
			assert_in_range(error_status(code), 400, 422);
		if (error_is_pause(code))
			assert_int_equal(error_status(code), 503);
	}
	assert_int_equal(error_status((enum error_code)99), 500);
}

static void an_overlong_error_is_cut_between_characters(void **state)
{
	(void)state;
	struct error e;
	char text[400];
	for (int shift = 0; shift < 4; shift++) {
		memset(text, 'x', (size_t)shift);
		for (size_t i = (size_t)shift; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "\xe2\x82\xac", 4);
		error_set(&e, ERROR_INTERNAL, "%s", text);
		assert_true(utf8_is_valid(text_of(e.text)));
		assert_in_range(strlen(e.text), ERROR_TEXT_BYTES - 4, ERROR_TEXT_BYTES - 1);
	}
	assert_int_equal(error_set(NULL, ERROR_CONFLICT, "x"), ERROR_CONFLICT);
}

static void a_time_is_read_back_as_it_was_written(void **state)
{
	(void)state;
	static const int64_t times[] = { 0, 1, -1, 1767225599999, 951782400000, 253402300799999 };
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		char text[CLOCK_TEXT_BYTES];
		int64_t back = 0;
		clock_text(times[i], text);
		assert_true(clock_from_text(text_of(text), &back));
		assert_int_equal(back, times[i]);
	}
}

static void what_is_no_time_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"2026-01-31",
		"2026-02-30T00:00:00.000Z",
		"2026-01-31T23:59:60.000Z",
		"2026-01-31T24:00:00.000Z",
		"2026-01-31T23:59:59.999+",
		"2026-01-31 23:59:59.999Z",
		"2026-01-31T23:59:59.-99Z",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(clock_from_text(text_of(texts[i]), &(int64_t){ 0 }));
}

static void a_buffer_grows_and_can_be_taken(void **state)
{
	(void)state;
	struct buffer b = { 0 };
	size_t size = 0;
	for (int i = 0; i < 1000; i++)
		buffer_printf(&b, "%d,", i);
	assert_int_equal(b.size, 3890);
	assert_memory_equal(b.bytes + b.size - 4, "999,", 5);
	char *bytes = buffer_take(&b, &size);
	assert_int_equal(size, 3890);
	assert_null(b.bytes);
	free(bytes);
	bytes = buffer_take(&b, &size);
	assert_string_equal(bytes, "");
	free(bytes);
}

static void a_buffer_that_failed_takes_nothing_more(void **state)
{
	(void)state;
	struct buffer b = { 0 };
	buffer_append_string(&b, "kept");
	assert_null(buffer_room(&b, SIZE_MAX / 2));
	buffer_append_string(&b, "not this");
	assert_text_equal(buffer_text(&b), "kept");
	assert_null(buffer_take(&b, NULL));
	buffer_finish(&b);
}

/* Runs write with standard error going into a file; returns what came, for the caller to free. */
static char *captured(void (*write_lines)(void))
{
	FILE *f = tmpfile();
	int saved = dup(STDERR_FILENO);
	assert_non_null(f);
	dup2(fileno(f), STDERR_FILENO);
	write_lines();
	dup2(saved, STDERR_FILENO);
	close(saved);
	long size = ftell(f);
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	char *text = calloc(1, (size_t)size + 1);
	assert_int_equal(fread(text, 1, (size_t)size, f), size);
	fclose(f);
	return text;
}

static void write_awkward_line(void)
{
	log_init("test", LOG_LEVEL_INFO);
	log_set_context("rid-1", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	log_debug("not this");
	log_info("a \"quoted\"\n line", LOG_TEXT("bad", "\xff\x01\xc3\xa9"), LOG_INT("n", -7));
}

static void a_log_line_is_one_json_object_whatever_is_in_it(void **state)
{
	(void)state;
	char *text = captured(write_awkward_line);
	struct json_object *o = NULL;
	struct text value = { 0 };
	char *end = strchr(text, '\n');
	assert_non_null(end);
	assert_string_equal(end, "\n");
	*end = '\0';
	assert_int_equal(json_parse(text_of(text), "line", &o, NULL), ERROR_NONE);
	assert_int_equal(json_string(o, "", "message", JSON_REQUIRED, &value, NULL), 0);
	assert_text_equal(value, "a \"quoted\"\n line");
	assert_int_equal(json_string(o, "", "request_id", JSON_REQUIRED, &value, NULL), 0);
	assert_text_equal(value, "rid-1");
	assert_int_equal(json_string(o, "", "bad", JSON_REQUIRED, &value, NULL), 0);
	assert_text_equal(value, "\xc3\xbf\x01\xc3\xa9");
	json_object_put(o);
	free(text);
}

static void write_large_line(void)
{
	static char large[3000];
	memset(large, 'y', sizeof(large) - 1);
	log_info("large", LOG_TEXT("a", large), LOG_TEXT("b", large), LOG_TEXT("c", large),
		 LOG_TEXT("d", large), LOG_TEXT("e", large), LOG_TEXT("f", large));
}

static void a_log_line_that_is_too_long_is_still_json_and_says_so(void **state)
{
	(void)state;
	char *text = captured(write_large_line);
	struct json_object *o = NULL;
	assert_int_equal(json_parse(text_of(text), "line", &o, NULL), ERROR_NONE);
	assert_true(json_object_object_get_ex(o, "cut", NULL));
	assert_true(json_object_object_get_ex(o, "a", NULL));
	assert_false(json_object_object_get_ex(o, "f", NULL));
	json_object_put(o);
	free(text);
}

static void a_log_that_nobody_reads_holds_nobody_up(void **state)
{
	(void)state;
	static const char room[4096];
	static char text[8192];
	int ends[2];
	int saved = dup(STDERR_FILENO);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, sizeof(room)), sizeof(room));
	assert_int_equal(write(ends[1], room, sizeof(room)), sizeof(room));
	dup2(ends[1], STDERR_FILENO);
	int64_t begun = clock_now_ms();
	for (int i = 0; i < 50; i++)
		log_error("nobody reads this");
	int64_t took = clock_now_ms() - begun;
	ssize_t full = read(ends[0], text, sizeof(text));
	log_error("somebody reads again");
	ssize_t n = read(ends[0], text, sizeof(text) - 1);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(full, sizeof(room));
	assert_in_range(took, 0, 4000); /* one patience, not fifty */
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "\"message\":\"somebody reads again\",\"lost\":50}\n"));
}

static void what_is_not_utf8_is_mended(void **state)
{
	(void)state;
	struct error e;
	char text[] = "a\xff\xc3\xa9\xc3(\xe2\x82";
	utf8_mend(text);
	assert_string_equal(text, "a?\xc3\xa9?(??");
	error_set(&e, ERROR_PEER_ANSWER, "it said \xfc");
	assert_string_equal(e.text, "it said ?");
}

static void settings_have_defaults_and_are_checked(void **state)
{
	(void)state;
	struct error e;
	assert_int_equal(config_load(&e), ERROR_NONE);
	assert_int_equal(config()->workers, 2);
	setenv("WORKERS", "0", 1);
	assert_int_equal(config_load(&e), ERROR_CONFIG);
	assert_string_equal(e.text, "WORKERS: must be a number from 1 to 256");
	setenv("WORKERS", "4x", 1);
	assert_int_equal(config_load(&e), ERROR_CONFIG);
	setenv("WORKERS", "99999999999999999999", 1);
	assert_int_equal(config_load(&e), ERROR_CONFIG);
	setenv("WORKERS", "7", 1);
	assert_int_equal(config_load(&e), ERROR_NONE);
	assert_int_equal(config()->workers, 7);
	setenv("WORKERS", "", 1);
	setenv("MAIL_ENCRYPTION", "starttls", 1);
	assert_int_equal(config_load(&e), ERROR_CONFIG);
	assert_string_equal(e.text, "MAIL_ENCRYPTION: must be one of none|tls|ssl");
	setenv("MAIL_ENCRYPTION", "ssl", 1);
	assert_int_equal(config_load(&e), ERROR_NONE);
	assert_int_equal(config()->mail_encryption, MAIL_ENCRYPTION_SSL);
	unsetenv("MAIL_ENCRYPTION");
}

static void a_secret_may_come_from_a_file(void **state)
{
	(void)state;
	struct error e;
	char path[] = "/tmp/flexi-secret-XXXXXX";
	int fd = mkstemp(path);
	assert_int_equal(write(fd, "top secret\n", 11), 11);
	close(fd);
	setenv("MAIL_PASSWORD_FILE", path, 1);
	assert_int_equal(config_load(&e), ERROR_NONE);
	assert_string_equal(config()->mail_password, "top secret");
	setenv("MAIL_PASSWORD", "other", 1);
	assert_int_equal(config_load(&e), ERROR_CONFIG);
	assert_string_equal(e.text, "MAIL_PASSWORD and MAIL_PASSWORD_FILE: only one may be set");
	unsetenv("MAIL_PASSWORD");
	unlink(path);
	assert_int_equal(config_load(&e), ERROR_CONFIG);
	assert_non_null(strstr(e.text, "MAIL_PASSWORD_FILE: "));
	unsetenv("MAIL_PASSWORD_FILE");
	assert_int_equal(config_load(&e), ERROR_NONE);
}

static void a_secret_may_come_as_a_credential_of_systemd(void **state)
{
	(void)state;
	struct error e;
	char directory[] = "/tmp/flexi-credentials-XXXXXX";
	char path[128];
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/flexiconnect_MAIL_PASSWORD", directory);
	setenv("CREDENTIALS_DIRECTORY", directory, 1);
	assert_int_equal(config_load(&e), ERROR_NONE);
	assert_string_equal(config()->mail_password, "");
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs("from systemd\n", f);
	fclose(f);
	assert_int_equal(config_load(&e), ERROR_NONE);
	assert_string_equal(config()->mail_password, "from systemd");
	setenv("MAIL_PASSWORD", "said here", 1);
	assert_int_equal(config_load(&e), ERROR_NONE);
	assert_string_equal(config()->mail_password, "said here");
	unsetenv("MAIL_PASSWORD");
	assert_int_equal(truncate(path, 64 * 1024 + 1), 0);
	assert_int_equal(config_load(&e), ERROR_CONFIG);
	assert_non_null(strstr(e.text, "MAIL_PASSWORD: "));
	unlink(path);
	rmdir(directory);
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(config_load(&e), ERROR_NONE);
}

static void a_secret_is_never_printed(void **state)
{
	(void)state;
	char value[256];
	struct config_variable row;
	setenv("DSN", "host=x password=hunter2", 1);
	assert_int_equal(config_load(NULL), ERROR_NONE);
	size_t rows = 0;
	for (; config_variable(rows, &row); rows++) {
		config_value(rows, value, sizeof(value));
		assert_null(strstr(value, "hunter2"));
		assert_true(strlen(row.about) > 5);
	}
	assert_true(rows > 20);
	unsetenv("DSN");
	assert_int_equal(config_load(NULL), ERROR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_has_a_sentence_and_a_status),
		cmocka_unit_test(an_overlong_error_is_cut_between_characters),
		cmocka_unit_test(a_time_is_read_back_as_it_was_written),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(a_buffer_grows_and_can_be_taken),
		cmocka_unit_test(a_buffer_that_failed_takes_nothing_more),
		cmocka_unit_test(a_log_line_is_one_json_object_whatever_is_in_it),
		cmocka_unit_test(a_log_line_that_is_too_long_is_still_json_and_says_so),
		cmocka_unit_test(a_log_that_nobody_reads_holds_nobody_up),
		cmocka_unit_test(what_is_not_utf8_is_mended),
		cmocka_unit_test(settings_have_defaults_and_are_checked),
		cmocka_unit_test(a_secret_may_come_from_a_file),
		cmocka_unit_test(a_secret_may_come_as_a_credential_of_systemd),
		cmocka_unit_test(a_secret_is_never_printed),
	};
	return RUN_SUITE(tests);
}
