/* What probe asks in each protocol, and which answers it believes: whole, in pieces, and wrong. */
#include "suite.h"

#include "../../spawn/probe_kinds.h"
#include "wire/grpc.h"
#include "wire/rpc.h"

#define HTTP2_SETTINGS	  "\0\0\0\4\0\0\0\0\0"
#define HTTP2_HEAD	  "\0\0\1\1\4\0\0\0\1\x88"
#define HTTP2_SERVING	  "\0\0\7\0\0\0\0\0\1\0\0\0\0\2\x08\1"
#define HTTP2_NOT_SERVING "\0\0\7\0\0\0\0\0\1\0\0\0\0\2\x08\2"
#define HTTP2_END	  "\0\0\1\1\5\0\0\0\1\x88"
#define HTTP2_RESET	  "\0\0\4\3\0\0\0\0\1\0\0\0\2"
#define HTTP2_GOAWAY	  "\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\1"

static const struct {
	const char *kind;
	struct text answer;
	enum probe_verdict verdict;
} answers[] = {
	{ "fastcgi", TEXT_LITERAL("\1\x0a\0\0\0\0\0\0"), PROBE_WELL },
	{ "fastcgi", TEXT_LITERAL("\1\x0b\0\0\0\x08\0\0"), PROBE_WELL },
	{ "fastcgi", TEXT_LITERAL("\1\3\0\1\0\x08\0\0"), PROBE_UNWELL },
	{ "fastcgi", TEXT_LITERAL("HTTP/1.1 400"), PROBE_UNWELL },
	{ "http", TEXT_LITERAL("HTTP/1.1 200 OK\r\n"), PROBE_WELL },
	{ "http", TEXT_LITERAL("HTTP/1.1 503 No\r\n"), PROBE_UNWELL },
	{ "http", TEXT_LITERAL("HTTP/1.1 2000 \r\n"), PROBE_UNWELL },
	{ "grpc", TEXT_LITERAL(HTTP2_SETTINGS HTTP2_HEAD HTTP2_SERVING), PROBE_WELL },
	{ "grpc", TEXT_LITERAL(HTTP2_SETTINGS HTTP2_HEAD HTTP2_NOT_SERVING), PROBE_WELL },
	{ "grpc", TEXT_LITERAL(HTTP2_SETTINGS HTTP2_END), PROBE_UNWELL },
	{ "grpc", TEXT_LITERAL(HTTP2_SETTINGS HTTP2_RESET), PROBE_UNWELL },
	{ "grpc", TEXT_LITERAL(HTTP2_SETTINGS HTTP2_GOAWAY), PROBE_UNWELL },
	{ "grpc", TEXT_LITERAL("HTTP/1.1 400 Bad Request\r\n\r\n"), PROBE_MORE },
	{ "rpc", TEXT_LITERAL("\4\xff\xff\xff\xff"), PROBE_UNWELL },
	{ "daemon", TEXT_LITERAL("{\"program\":\"x\"}\n"), PROBE_WELL },
	{ "daemon", TEXT_LITERAL("hello\n"), PROBE_UNWELL },
};

static void each_answer_is_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		enum probe_verdict verdict = probe_kind(answers[i].kind)->judge(answers[i].answer);
		if (verdict != answers[i].verdict)
			fail_msg("answer %zu, to %s: %d", i, answers[i].kind, (int)verdict);
	}
}

/* No piece of a good answer is taken for a bad one. */
static void a_good_answer_may_come_in_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct text piece = answers[i].answer;
		if (answers[i].verdict != PROBE_WELL)
			continue;
		for (piece.n = 0; piece.n < answers[i].answer.n; piece.n++)
			assert_int_not_equal(probe_kind(answers[i].kind)->judge(piece),
					     PROBE_UNWELL);
	}
}

static void a_server_of_net_rpc_is_asked_for_what_it_has_not(void **state)
{
	(void)state;
	CLEANUP(buffer_finish) struct buffer question = { 0 };
	CLEANUP(buffer_finish) struct buffer answer = { 0 };
	struct rpc_reader reader = { .max_bytes = 4096 };
	struct rpc_writer writer = { 0 };
	struct rpc_message call = { 0 };
	const struct probe_kind *kind = probe_kind("rpc");
	size_t used = 0;
	bool whole = false;
	kind->ask(&question, NULL);
	assert_int_equal(rpc_read_call(&reader, buffer_text(&question), &used, &whole, &call, NULL),
			 ERROR_NONE);
	assert_true(whole && used == question.size);
	rpc_write_error(&writer, &answer, call.method, call.seq, text_of("rpc: can't find method"));
	for (size_t n = 0; n < answer.size; n++)
		assert_int_not_equal(kind->judge((struct text){ answer.bytes, n }), PROBE_UNWELL);
	assert_int_equal(kind->judge(buffer_text(&answer)), PROBE_WELL);
	rpc_reader_finish(&reader);
}

/* The lengths in it are written by hand. */
static void the_question_of_grpc_is_of_whole_frames(void **state)
{
	(void)state;
	enum { PREFACE_BYTES = 24, FRAME_BYTES = 9, FRAMES = 3 };
	CLEANUP(buffer_finish) struct buffer question = { 0 };
	probe_kind("grpc")->ask(&question, NULL);
	size_t at = PREFACE_BYTES;
	int frames = 0;
	for (; at + FRAME_BYTES <= question.size; frames++)
		at += FRAME_BYTES + (unsigned char)question.bytes[at + 2];
	assert_int_equal(at, question.size);
	assert_int_equal(frames, FRAMES);
}

static void there_is_no_other_kind(void **state)
{
	(void)state;
	assert_null(probe_kind("smtp"));
	assert_null(probe_kind(""));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_answer_is_judged),
		cmocka_unit_test(a_good_answer_may_come_in_pieces),
		cmocka_unit_test(a_server_of_net_rpc_is_asked_for_what_it_has_not),
		cmocka_unit_test(the_question_of_grpc_is_of_whole_frames),
		cmocka_unit_test(there_is_no_other_kind),
	};
	return RUN_SUITE(tests);
}
