/* rpc: the bytes are those of Go's net/rpc, in both roles; streams in any pieces; errors and their codes. */
#include "suite.h"

#include <unistd.h>

#include "hex.h"
#include "wire/rpc.h"

enum { MOST = 1 << 20, CASE_BYTES = 4096 };

static struct error error;

/* A connection between Go's own client and server, both directions, call by call. */
static const struct {
	const char *call, *answer;
	struct rpc_payload payload;
	const char *method, *result, *error;
} go[] = {
	{ "2fff81030101075265717565737401ff82000102010d536572766963654d6574686f64010c000103536571"
	  "010600000016ff8201115250435365727665722e4c6f67496e666f002aff830301010a5250435061796c6f"
	  "616401ff840001020104"
	  "4e616d65010c00010444617461010c0000000fff8401036c6f67010568656c6c6f00",
	  "3aff8103010108526573706f6e736501ff82000103010d536572766963654d6574686f64010c0001035365"
	  "710106000105"
	  "4572726f72010c00000016ff8201115250435365727665722e4c6f67496e666f00200c001d50726f636573"
	  "736564207061796c6f616420766961205250433a6c6f67",
	  { { "log", 3 }, { "hello", 5 }, { "", 0 }, { "", 0 }, 0 },
	  RPC_LOG_INFO,
	  "Processed payload via RPC:log",
	  "" },
	{ "18ff8201115250435365727665722e4c6f67496e666f0101000fff8401036c6f670105616761696e00",
	  "18ff8201115250435365727665722e4c6f67496e666f010100200c001d50726f636573736564207061796c"
	  "6f616420766961205250433a6c6f67",
	  { { "log", 3 }, { "again", 5 }, { "", 0 }, { "", 0 }, 0 },
	  RPC_LOG_INFO,
	  "Processed payload via RPC:log",
	  "" },
	{ "18ff8201115250435365727665722e4c6f67496e666f0102000cff8401046661696c01017800",
	  "1eff8201115250435365727665722e4c6f67496e666f01020104626f6f6d000aff83030102ff8400000003"
	  "ff8400",
	  { { "fail", 4 }, { "x", 1 }, { "", 0 }, { "", 0 }, 0 },
	  RPC_LOG_INFO,
	  NULL,
	  "boom" },
	{ "18ff8201115250435365727665722e4c6f67496e666f01030003ff8400",
	  "18ff8201115250435365727665722e4c6f67496e666f0103001d0c001a50726f636573736564207061796c"
	  "6f616420766961205250433a",
	  { { "", 0 }, { "", 0 }, { "", 0 }, { "", 0 }, 0 },
	  RPC_LOG_INFO,
	  "Processed payload via RPC:",
	  "" },
	{ "15ff82010e5250435365727665722e4e6f706501040009ff84010161010162"
	  "00",
	  "3cff82010e5250435365727665722e4e6f706501040125"
	  "7270633a2063616e27742066696e64206d6574686f64205250435365727665722e4e6f70650003ff8400",
	  { { "a", 1 }, { "b", 1 }, { "", 0 }, { "", 0 }, 0 },
	  "RPCServer.Nope",
	  NULL,
	  "rpc: can't find method RPCServer.Nope" },
};

enum { GO_CALLS = sizeof(go) / sizeof(go[0]) };

static void assert_same_bytes(const struct buffer *actual, struct text expected)
{
	assert_false(actual->failed);
	assert_int_equal(actual->size, expected.n);
	assert_memory_equal(actual->bytes, expected.s, expected.n);
}

static void assert_same_payload(const struct rpc_payload *a, const struct rpc_payload *b)
{
	assert_true(text_equal(a->name, b->name) && text_equal(a->data, b->data));
	assert_true(text_equal(a->id, b->id) && text_equal(a->level, b->level));
	assert_int_equal(a->created_ms, b->created_ms);
}

static void calls_and_answers_are_written_as_go_writes_them(void **state)
{
	(void)state;
	struct rpc_writer client = { 0 };
	struct rpc_writer server = { 0 };
	for (size_t i = 0; i < GO_CALLS; i++) {
		CLEANUP(buffer_finish) struct buffer call = { 0 };
		CLEANUP(buffer_finish) struct buffer answer = { 0 };
		CLEANUP(buffer_finish) struct buffer go_call = bytes_of(go[i].call);
		CLEANUP(buffer_finish) struct buffer go_answer = bytes_of(go[i].answer);
		struct text method = text_of(go[i].method);
		rpc_write_call(&client, &call, method, i, &go[i].payload);
		assert_same_bytes(&call, buffer_text(&go_call));
		if (go[i].result)
			rpc_write_result(&server, &answer, method, i, text_of(go[i].result));
		else
			rpc_write_error(&server, &answer, method, i, text_of(go[i].error));
		assert_same_bytes(&answer, buffer_text(&go_answer));
	}
}

static void what_go_wrote_is_read(void **state)
{
	(void)state;
	CLEANUP(rpc_reader_finish) struct rpc_reader server = { .max_bytes = MOST };
	CLEANUP(rpc_reader_finish) struct rpc_reader client = { .max_bytes = MOST };
	for (size_t i = 0; i < GO_CALLS; i++) {
		CLEANUP(buffer_finish) struct buffer call = bytes_of(go[i].call);
		CLEANUP(buffer_finish) struct buffer answer = bytes_of(go[i].answer);
		struct rpc_message m;
		struct rpc_payload payload;
		struct text result;
		size_t used;
		bool whole;
		assert_int_equal(
			rpc_read_call(&server, buffer_text(&call), &used, &whole, &m, &error),
			ERROR_NONE);
		assert_true(whole && used == call.size && m.seq == i);
		assert_text_equal(m.method, go[i].method);
		assert_int_equal(rpc_read_payload(&server, &m.body, &payload, &error), ERROR_NONE);
		assert_same_payload(&payload, &go[i].payload);
		assert_int_equal(
			rpc_read_answer(&client, buffer_text(&answer), &used, &whole, &m, &error),
			ERROR_NONE);
		assert_true(whole && used == answer.size && m.seq == i);
		assert_text_equal(m.method, go[i].method);
		assert_text_equal(m.error, go[i].error);
		if (go[i].result) {
			assert_int_equal(gob_read_string(&client.types, &m.body, &result, &error),
					 ERROR_NONE);
			assert_text_equal(result, go[i].result);
		} else {
			assert_int_equal(rpc_skip_body(&client, &m.body, &error), ERROR_NONE);
		}
	}
}

static void a_stream_may_come_byte_by_byte(void **state)
{
	(void)state;
	CLEANUP(rpc_reader_finish) struct rpc_reader r = { .max_bytes = MOST };
	CLEANUP(buffer_finish) struct buffer stream = { 0 };
	size_t calls = 0;
	for (size_t i = 0; i < GO_CALLS; i++) {
		CLEANUP(buffer_finish) struct buffer part = bytes_of(go[i].call);
		for (size_t k = 0; k < part.size; k++) {
			struct rpc_message m;
			size_t used;
			bool whole;
			buffer_append(&stream, part.bytes + k, 1);
			assert_int_equal(
				rpc_read_call(&r, buffer_text(&stream), &used, &whole, &m, &error),
				ERROR_NONE);
			if (whole) {
				assert_int_equal(m.seq, calls++);
				assert_int_equal(k, part.size - 1);
			}
			memmove(stream.bytes, stream.bytes + used, stream.size - used);
			stream.size -= used;
		}
	}
	assert_int_equal(calls, GO_CALLS);
}

static void extras_travel_beside_what_go_knows(void **state)
{
	static const struct rpc_payload sent = { { "n", 1 },
						 { "d", 1 },
						 { "0123456789abcdef01234567", 24 },
						 { "WARNING", 7 },
						 1700000000123 };
	static const struct rpc_payload plain = { { "n", 1 }, { "d", 1 }, { "", 0 }, { "", 0 }, 0 };
	const struct rpc_payload *payloads[] = { &plain, &sent, &plain, &sent };
	(void)state;
	struct rpc_writer w = { 0 };
	CLEANUP(rpc_reader_finish) struct rpc_reader r = { .max_bytes = MOST };
	CLEANUP(buffer_finish) struct buffer stream = { 0 };
	for (uint64_t i = 0; i < 4; i++)
		rpc_write_call(&w, &stream, text_of(RPC_LOG_INFO), UINT64_MAX - i, payloads[i]);
	struct text rest = buffer_text(&stream);
	for (uint64_t i = 0; i < 4; i++) {
		struct rpc_message m;
		struct rpc_payload got;
		size_t used;
		bool whole;
		assert_int_equal(rpc_read_call(&r, rest, &used, &whole, &m, &error), ERROR_NONE);
		assert_true(whole && m.seq == UINT64_MAX - i);
		assert_int_equal(rpc_read_payload(&r, &m.body, &got, &error), ERROR_NONE);
		assert_same_payload(&got, payloads[i]);
		rest = (struct text){ rest.s + used, rest.n - used };
	}
	assert_int_equal(rest.n, 0);
}

static void a_header_that_is_none_ends_the_connection(void **state)
{
	(void)state;
	CLEANUP(rpc_reader_finish) struct rpc_reader r = { .max_bytes = 100 };
	struct rpc_message m;
	size_t used;
	bool whole;
	assert_int_equal(
		rpc_read_call(&r, TEXT_LITERAL("\x05\x0c\x00\x02xy"), &used, &whole, &m, &error),
		ERROR_BAD_INPUT);
	assert_int_equal(rpc_read_call(&r, TEXT_LITERAL("\x65"), &used, &whole, &m, &error),
			 ERROR_TOO_LARGE);
}

static void errors_keep_their_code_over_the_wire(void **state)
{
	static const enum error_code codes[] = { ERROR_BAD_INPUT, ERROR_CONFLICT,
						 ERROR_TOO_LARGE, ERROR_PEER_FULL,
						 ERROR_PEER_DOWN, ERROR_PEER_TIMEOUT,
						 ERROR_INTERNAL };
	struct text sentence;
	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct error text;
		error_set(&error, codes[i], "a sentence");
		rpc_error_text(&error, &text);
		assert_int_equal(rpc_error_read(text_of(text.text), &sentence), codes[i]);
		assert_text_equal(sentence, "a sentence");
	}
}

static void errors_of_go_are_told_apart_by_whether_a_method_ran(void **state)
{
	struct text sentence;
	(void)state;
	assert_int_equal(rpc_error_read(text_of("rpc: can't find method X.Y"), &sentence),
			 ERROR_CONFIG);
	assert_text_equal(sentence, "rpc: can't find method X.Y");
	assert_int_equal(rpc_error_read(text_of("gob: type mismatch in decoder"), &sentence),
			 ERROR_CONFIG);
	assert_int_equal(rpc_error_read(text_of("boom"), &sentence), ERROR_PEER_ANSWER);
	assert_int_equal(rpc_error_read(text_of(""), &sentence), ERROR_PEER_ANSWER);
}

/* ---- captures of whole connections, if there are any ---- */

static bool read_capture(const char *name, int call, const char *direction, struct buffer *out)
{
	const char *vectors = getenv("TEST_VECTORS_DIR");
	char path[512];
	snprintf(path, sizeof(path), "%s/gob/%s_call%d_%s.bin", vectors ? vectors : "", name, call,
		 direction);
	FILE *f = fopen(path, "rb");
	if (!f)
		return false;
	char *room = buffer_room(out, CASE_BYTES);
	buffer_grew(out, fread(room, 1, CASE_BYTES, f));
	fclose(f);
	return true;
}

/* Reads a call and writes it again; one whose argument is of another type is only read. */
static void repeat_call(struct rpc_reader *r, struct rpc_writer *w, struct text capture)
{
	struct rpc_message m;
	struct rpc_payload payload;
	size_t used;
	bool whole;
	CLEANUP(buffer_finish) struct buffer again = { 0 };
	assert_int_equal(rpc_read_call(r, capture, &used, &whole, &m, &error), ERROR_NONE);
	assert_true(whole && used == capture.n);
	if (rpc_read_payload(r, &m.body, &payload, &error)) {
		assert_int_equal(error.code, ERROR_UNPROCESSABLE);
		return;
	}
	rpc_write_call(w, &again, m.method, m.seq, &payload);
	assert_same_bytes(&again, capture);
}

static void repeat_answer(struct rpc_reader *r, struct rpc_writer *w, struct text capture)
{
	struct rpc_message m;
	struct text result;
	size_t used;
	bool whole;
	CLEANUP(buffer_finish) struct buffer again = { 0 };
	assert_int_equal(rpc_read_answer(r, capture, &used, &whole, &m, &error), ERROR_NONE);
	assert_true(whole && used == capture.n);
	if (m.error.n > 0) {
		rpc_write_error(w, &again, m.method, m.seq, m.error);
	} else {
		assert_int_equal(gob_read_string(&r->types, &m.body, &result, &error), ERROR_NONE);
		rpc_write_result(w, &again, m.method, m.seq, result);
	}
	assert_same_bytes(&again, capture);
}

static void captures_are_read_and_written_alike(void **state)
{
	static const char *const names[] = { "gob", "goberr" };
	int calls = 0;
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct rpc_writer client = { 0 };
		/* Client and server were one process there: its server's ids go on after the
		 * client's. */
		struct rpc_writer server = { .count = 2 };
		CLEANUP(rpc_reader_finish) struct rpc_reader of_client = { .max_bytes = MOST };
		CLEANUP(rpc_reader_finish) struct rpc_reader of_server = { .max_bytes = MOST };
		for (int call = 1;; call++) {
			CLEANUP(buffer_finish) struct buffer c2s = { 0 };
			CLEANUP(buffer_finish) struct buffer s2c = { 0 };
			if (!read_capture(names[i], call, "c2s", &c2s) ||
			    !read_capture(names[i], call, "s2c", &s2c))
				break;
			repeat_call(&of_client, &client, buffer_text(&c2s));
			repeat_answer(&of_server, &server, buffer_text(&s2c));
			calls++;
		}
	}
	if (calls == 0) {
		print_message("TEST_VECTORS_DIR has no gob/*.bin\n");
		skip();
	}
	assert_int_equal(calls, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_and_answers_are_written_as_go_writes_them),
		cmocka_unit_test(what_go_wrote_is_read),
		cmocka_unit_test(a_stream_may_come_byte_by_byte),
		cmocka_unit_test(extras_travel_beside_what_go_knows),
		cmocka_unit_test(a_header_that_is_none_ends_the_connection),
		cmocka_unit_test(errors_keep_their_code_over_the_wire),
		cmocka_unit_test(errors_of_go_are_told_apart_by_whether_a_method_ran),
		cmocka_unit_test(captures_are_read_and_written_alike),
	};
	return RUN_SUITE(tests);
}
