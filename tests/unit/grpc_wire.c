/* What gRPC writes around its messages: timeouts, percent-encoding, prefixes, the messages themselves. */
#include "suite.h"

#include "wire/grpc.h"
#include "wire/grpc_messages.h"

enum { MOST = 1024 };

static void a_timeout_is_read_in_every_unit_and_rounded_up(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{ "1H", 3600000 }, { "2M", 120000 },
		{ "3S", 3000 },	   { "250m", 250 },
		{ "1u", 1 },	   { "1001u", 2 },
		{ "1n", 1 },	   { "99999999n", 100 },
		{ "0m", 0 },	   { "99999999H", INT64_C(99999999) * 3600000 },
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		int64_t ms = -1;
		assert_true(grpc_timeout_read(text_of(good[i].text), &ms));
		assert_int_equal(ms, good[i].ms);
	}
}

static void what_is_no_timeout_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "",	  "1",	"S",	"1s",	      "-1S", " 1S",
					   "1 S", "1x", "0x1S", "999999999S", "1.5S" };
	int64_t ms;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(grpc_timeout_read(text_of(bad[i]), &ms));
}

static void a_timeout_is_written_so_that_it_reads_back(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		const char *text;
	} good[] = {
		{ 1, "1m" },
		{ 0, "1m" },
		{ -5, "1m" },
		{ 99999999, "99999999m" },
		{ 100000000, "100000S" },
		{ INT64_MAX, "99999999S" },
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char text[GRPC_TIMEOUT_BYTES];
		grpc_timeout_write(good[i].ms, text);
		assert_string_equal(text, good[i].text);
	}
}

static void a_sentence_survives_percent_encoding(void **state)
{
	(void)state;
	struct buffer encoded = { 0 };
	struct buffer decoded = { 0 };
	struct text said = TEXT_LITERAL("50 % of \xC3\xA9\n\0~");
	grpc_percent_encode(said, &encoded);
	assert_text_equal(buffer_text(&encoded), "50 %25 of %C3%A9%0A%00~");
	grpc_percent_decode(buffer_text(&encoded), &decoded);
	assert_int_equal(decoded.size, said.n);
	assert_memory_equal(decoded.bytes, said.s, said.n);
	buffer_finish(&encoded);
	buffer_finish(&decoded);
}

static void what_is_no_escape_is_left_as_it_is(void **state)
{
	(void)state;
	struct buffer decoded = { 0 };
	grpc_percent_decode(text_of("%zz %4 %c3%A9 %"), &decoded);
	assert_text_equal(buffer_text(&decoded), "%zz %4 \xC3\xA9 %");
	buffer_finish(&decoded);
}

static void a_message_comes_together_however_it_is_cut(void **state)
{
	(void)state;
	struct buffer sent = { 0 };
	const char *why = NULL;
	grpc_prefix_append(&sent, 7);
	buffer_append_string(&sent, "message");
	for (size_t step = 1; step <= sent.size; step++) {
		struct grpc_intake in = { 0 };
		for (size_t at = 0; at < sent.size; at += step) {
			size_t n = step < sent.size - at ? step : sent.size - at;
			assert_false(in.whole);
			assert_int_equal(grpc_intake_take(&in, (struct text){ sent.bytes + at, n },
							  MOST, &why),
					 GRPC_OK);
		}
		assert_true(in.whole);
		assert_text_equal(buffer_text(&in.message), "message");
		grpc_intake_finish(&in);
	}
	buffer_finish(&sent);
}

static void an_empty_message_is_whole_with_its_prefix(void **state)
{
	(void)state;
	struct grpc_intake in = { 0 };
	const char *why = NULL;
	assert_int_equal(grpc_intake_take(&in, TEXT_LITERAL("\0\0\0\0"), MOST, &why), GRPC_OK);
	assert_false(in.whole);
	assert_int_equal(grpc_intake_take(&in, TEXT_LITERAL("\0"), MOST, &why), GRPC_OK);
	assert_true(in.whole);
	grpc_intake_finish(&in);
}

static void what_cannot_be_a_message_is_told_apart(void **state)
{
	(void)state;
	static const struct {
		struct text bytes;
		enum grpc_status status;
	} bad[] = {
		{ TEXT_LITERAL("\1\0\0\0\1x"), GRPC_INTERNAL },
		{ TEXT_LITERAL("\2\0\0\0\1x"), GRPC_INTERNAL },
		{ TEXT_LITERAL("\0\0\0\4\1x"), GRPC_RESOURCE_EXHAUSTED },
		{ TEXT_LITERAL("\0\xFF\xFF\xFF\xFFx"), GRPC_RESOURCE_EXHAUSTED },
		{ TEXT_LITERAL("\0\0\0\0\1xy"), GRPC_INTERNAL },
		{ TEXT_LITERAL("\0\0\0\0\0\0\0\0\0\0"), GRPC_INTERNAL },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct grpc_intake in = { 0 };
		const char *why = NULL;
		assert_int_equal(grpc_intake_take(&in, bad[i].bytes, MOST, &why), bad[i].status);
		assert_non_null(why);
		grpc_intake_finish(&in);
	}
}

static void an_announced_size_costs_nothing_until_it_comes(void **state)
{
	(void)state;
	struct grpc_intake in = { 0 };
	const char *why = NULL;
	assert_int_equal(grpc_intake_take(&in, TEXT_LITERAL("\0\0\x40\0\0x"), 1 << 30, &why),
			 GRPC_OK);
	assert_in_range(in.message.room, 1, 4096);
	grpc_intake_finish(&in);
}

/* ---- messages ---- */

static void a_log_request_is_what_the_contract_says(void **state)
{
	(void)state;
	struct buffer out = { 0 };
	log_request_append(&out, text_of("n"), text_of("dd"));
	assert_int_equal(out.size, 9);
	assert_memory_equal(out.bytes,
			    "\x0A\x07\x0A\x01n\x12\x02"
			    "dd",
			    9);
	buffer_finish(&out);
}

static void a_log_request_reads_back(void **state)
{
	(void)state;
	static const char *const names[] = { "", "name", "\xF0\x9F\x98\x80" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct buffer out = { 0 };
		struct log_request *request = NULL;
		struct text name, data;
		log_request_append(&out, text_of(names[i]), text_of(""));
		assert_int_equal(log_request_read(buffer_text(&out), &request, &name, &data, NULL),
				 ERROR_NONE);
		assert_text_equal(name, names[i]);
		assert_text_equal(data, "");
		log_request_destroy(request);
		buffer_finish(&out);
	}
}

static void fields_that_are_not_known_are_skipped(void **state)
{
	(void)state;
	struct log_request *request = NULL;
	struct text name, data;
	struct text message = TEXT_LITERAL("\x0A\x06\x1A\x01?\x0A\x01n\x28\x01");
	assert_int_equal(log_request_read(message, &request, &name, &data, NULL), ERROR_NONE);
	assert_text_equal(name, "n");
	log_request_destroy(request);
}

static void a_log_request_that_cannot_be_stored_is_refused(void **state)
{
	(void)state;
	static const struct {
		struct text message;
		const char *sentence;
	} bad[] = {
		{ TEXT_LITERAL(""), "logEntry: is missing" },
		{ TEXT_LITERAL("\x0A\x7F"), "no logs.LogRequest" },
		{ TEXT_LITERAL("\xFF\xFF\xFF"), "no logs.LogRequest" },
		{ TEXT_LITERAL("\x0A\x04\x0A\x02"
			       "a\xFF"),
		  "logEntry.name: must be UTF-8 without NUL" },
		{ TEXT_LITERAL("\x0A\x05\x12\x03"
			       "a\0b"),
		  "logEntry.data: must be UTF-8 without NUL" },
		{ TEXT_LITERAL("\x0A\x05\x12\x03\xED\xA0\x80"),
		  "logEntry.data: must be UTF-8 without NUL" },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct log_request *request = NULL;
		struct text name, data;
		struct error e = { 0 };
		assert_int_equal(log_request_read(bad[i].message, &request, &name, &data, &e),
				 ERROR_BAD_INPUT);
		assert_non_null(strstr(e.text, bad[i].sentence));
	}
}

static void the_answers_are_what_the_contracts_say(void **state)
{
	(void)state;
	struct buffer out = { 0 };
	log_response_append(&out, "logged!");
	assert_text_equal(buffer_text(&out), "\x0A\x07logged!");
	assert_true(log_response_read(buffer_text(&out)));
	assert_true(log_response_read(text_of("")));
	assert_false(log_response_read(text_of("\x0A\x7Flogged!")));
	buffer_clear(&out);
	health_response_append(&out, HEALTH_NOT_SERVING);
	assert_text_equal(buffer_text(&out), "\x08\x02");
	buffer_finish(&out);
}

static void a_health_request_names_its_service(void **state)
{
	(void)state;
	struct buffer service = { 0 };
	assert_int_equal(health_request_read(text_of(""), &service, NULL), ERROR_NONE);
	assert_int_equal(service.size, 0);
	assert_int_equal(health_request_read(text_of("\x0A\x03log"), &service, NULL), ERROR_NONE);
	assert_text_equal(buffer_text(&service), "log");
	assert_int_equal(health_request_read(text_of("\x0A\x7Flog"), &service, NULL),
			 ERROR_BAD_INPUT);
	buffer_finish(&service);
}

static void every_error_has_a_status(void **state)
{
	(void)state;
	assert_int_equal(grpc_status_of(ERROR_NONE), GRPC_OK);
	for (int code = 1; code < ERROR_CODES; code++)
		assert_int_not_equal(grpc_status_of((enum error_code)code), GRPC_OK);
	assert_int_equal(grpc_status_of((enum error_code)ERROR_CODES), GRPC_INTERNAL);
	assert_int_equal(grpc_status_of(ERROR_PEER_DOWN), GRPC_UNAVAILABLE);
	assert_int_equal(grpc_status_of(ERROR_CONFLICT), GRPC_ALREADY_EXISTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_timeout_is_read_in_every_unit_and_rounded_up),
		cmocka_unit_test(what_is_no_timeout_is_refused),
		cmocka_unit_test(a_timeout_is_written_so_that_it_reads_back),
		cmocka_unit_test(a_sentence_survives_percent_encoding),
		cmocka_unit_test(what_is_no_escape_is_left_as_it_is),
		cmocka_unit_test(a_message_comes_together_however_it_is_cut),
		cmocka_unit_test(an_empty_message_is_whole_with_its_prefix),
		cmocka_unit_test(what_cannot_be_a_message_is_told_apart),
		cmocka_unit_test(an_announced_size_costs_nothing_until_it_comes),
		cmocka_unit_test(a_log_request_is_what_the_contract_says),
		cmocka_unit_test(a_log_request_reads_back),
		cmocka_unit_test(fields_that_are_not_known_are_skipped),
		cmocka_unit_test(a_log_request_that_cannot_be_stored_is_refused),
		cmocka_unit_test(the_answers_are_what_the_contracts_say),
		cmocka_unit_test(a_health_request_names_its_service),
		cmocka_unit_test(every_error_has_a_status),
	};
	return RUN_SUITE(tests);
}
