/* verdict: the table of answers, row by row. */
#include "suite.h"

#include "../../listener/queue/verdict.h"

#include "core/buffer.h"

enum { ITEMS = 3 };

static const struct text ids[ITEMS] = { { "a1", 2 }, { "b2", 2 }, { "c3", 2 } };

#define FINISHED CLEANUP(judgement_finish) struct judgement

static struct judgement judge(struct answer a, size_t count)
{
	struct judgement j;
	verdict_judge(&a, ids, count, &j);
	return j;
}

static struct answer worker(int status, const char *body)
{
	return (struct answer){ .status = status, .worker = true, .body = text_of(body) };
}

static struct answer door(int status, const char *body)
{
	return (struct answer){ .status = status, .body = text_of(body) };
}

static void assert_all(const struct judgement *j, size_t count, enum verdict_kind kind)
{
	assert_int_equal(j->fate, FATE_JUDGED);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(j->verdicts[i].kind, kind);
}

static void a_2xx_of_a_worker_with_an_object_is_done(void **state)
{
	(void)state;
	static const int statuses[] = { 200, 202, 204, 299 };
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		FINISHED j = judge(worker(statuses[i], "{\"error\":false}"), ITEMS);
		assert_all(&j, ITEMS, VERDICT_DONE);
	}
	FINISHED empty = judge(worker(200, "{\"failures\":[]}"), ITEMS);
	assert_all(&empty, ITEMS, VERDICT_DONE);
}

static void failures_are_tried_again_or_dead_and_the_others_done(void **state)
{
	(void)state;
	FINISHED j =
		judge(worker(200, "{\"failures\":["
				  "{\"id\":\"c3\",\"permanent\":true,\"reason\":\"never\"},"
				  "{\"id\":\"a1\",\"permanent\":false,\"reason\":\"later\"}]}"),
		      ITEMS);
	assert_int_equal(j.fate, FATE_JUDGED);
	assert_int_equal(j.verdicts[0].kind, VERDICT_AGAIN);
	assert_text_equal(j.verdicts[0].reason, "later");
	assert_int_equal(j.verdicts[1].kind, VERDICT_DONE);
	assert_int_equal(j.verdicts[2].kind, VERDICT_DEAD);
	assert_text_equal(j.verdicts[2].reason, "never");
}

static void a_failure_needs_no_more_than_its_id(void **state)
{
	(void)state;
	FINISHED j = judge(worker(200, "{\"failures\":[{\"id\":\"b2\"}]}"), ITEMS);
	assert_int_equal(j.verdicts[0].kind, VERDICT_DONE);
	assert_int_equal(j.verdicts[1].kind, VERDICT_AGAIN);
	assert_text_equal(j.verdicts[1].reason, "the handler gave no reason");
}

static void one_item_named_twice_is_not_saved_by_the_milder_word(void **state)
{
	(void)state;
	FINISHED j = judge(worker(200, "{\"failures\":[{\"id\":\"b2\",\"permanent\":true},"
				       "{\"id\":\"b2\",\"permanent\":false}]}"),
			   ITEMS);
	assert_int_equal(j.verdicts[1].kind, VERDICT_DEAD);
}

static void a_list_that_cannot_be_read_fails_the_whole_batch(void **state)
{
	(void)state;
	static const char *const lists[] = {
		"null",
		"{}",
		"\"a1\"",
		"[null]",
		"[\"a1\"]",
		"[{}]",
		"[{\"id\":1}]",
		"[{\"id\":null}]",
		"[{\"id\":\"unknown\"}]",
		"[{\"id\":\"a1\",\"permanent\":1}]",
		"[{\"id\":\"a1\",\"permanent\":null}]",
		"[{\"id\":\"a1\",\"reason\":5}]",
		"[{\"id\":\"a1\"},{\"id\":\"unknown\"}]",
	};
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		CLEANUP(buffer_finish) struct buffer body = { 0 };
		buffer_printf(&body, "{\"failures\":%s}", lists[i]);
		FINISHED j = judge(worker(200, body.bytes), ITEMS);
		assert_all(&j, ITEMS, VERDICT_AGAIN);
		assert_text_equal(j.verdicts[0].reason,
				  "the handler's list of failures cannot be read");
	}
}

static void a_2xx_of_anybody_else_or_without_an_object_is_an_attempt(void **state)
{
	(void)state;
	FINISHED j = judge(door(200, "{\"error\":false}"), ITEMS);
	assert_all(&j, ITEMS, VERDICT_AGAIN);
	static const char *const bodies[] = { "",	 "{",	  "[]",	      "null", "\"done\"",
					      "{\"a\":", "{} {}", "\xff\xfe", "7" };
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		FINISHED k = judge(worker(202, bodies[i]), ITEMS);
		assert_all(&k, ITEMS, VERDICT_AGAIN);
	}
}

static void a_refusal_of_one_item_is_dead_with_the_reason(void **state)
{
	(void)state;
	static const int statuses[] = { 400, 409, 413, 422 };
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		FINISHED j = judge(worker(statuses[i], "{\"error\":true,\"message\":\"no\"}"), 1);
		assert_all(&j, 1, VERDICT_DEAD);
		char expected[64];
		snprintf(expected, sizeof(expected), "the handler answered %d: no", statuses[i]);
		assert_text_equal(j.verdicts[0].reason, expected);
	}
}

static void a_refusal_of_several_is_halved(void **state)
{
	(void)state;
	static const int statuses[] = { 400, 409, 413, 422 };
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		FINISHED j = judge(worker(statuses[i], "{}"), 2);
		assert_int_equal(j.fate, FATE_HALVES);
	}
}

static void a_handler_that_is_away_is_nobody_s_fault(void **state)
{
	(void)state;
	const struct answer away[] = {
		door(404, "{}"),
		door(503, ""),
		worker(503, "{\"message\":\"the store is down\"}"),
		worker(429, "{}"),
		{ .status = 0, .connected = false, .failure = "refused" },
	};
	for (size_t i = 0; i < sizeof(away) / sizeof(away[0]); i++) {
		FINISHED one = judge(away[i], 1);
		assert_int_equal(one.fate, FATE_HELD);
		FINISHED several = judge(away[i], ITEMS);
		assert_int_equal(several.fate, FATE_HELD);
		assert_true(several.reason[0] != '\0');
	}
}

static void everything_else_is_an_attempt_and_then_alone(void **state)
{
	(void)state;
	const struct answer broken[] = {
		worker(500, "{}"), door(500, ""),
		door(502, ""),	   worker(502, ""),
		door(504, ""),	   worker(504, ""),
		worker(404, ""),   door(429, ""),
		door(400, ""),	   door(413, ""),
		door(408, ""),	   worker(401, ""),
		worker(405, ""),   worker(301, ""),
		worker(100, ""),   worker(599, ""),
		worker(999, ""),   { .status = 0, .connected = true, .failure = "timeout" },
	};
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		FINISHED one = judge(broken[i], 1);
		assert_all(&one, 1, VERDICT_ALONE);
		FINISHED several = judge(broken[i], ITEMS);
		assert_all(&several, ITEMS, VERDICT_ALONE);
	}
}

static void reasons_say_who_answered_what(void **state)
{
	(void)state;
	FINISHED j = judge(door(502, "{\"error\":true,\"message\":\"it ended\"}"), 1);
	assert_text_equal(j.verdicts[0].reason, "the front door answered 502: it ended");
	FINISHED k = judge(worker(500, "<html>"), 1);
	assert_text_equal(k.verdicts[0].reason, "the handler answered 500");
	FINISHED l = judge((struct answer){ .connected = true, .failure = "timeout" }, 1);
	assert_text_equal(l.verdicts[0].reason, "timeout");
}

static void a_long_reason_is_cut_between_characters(void **state)
{
	(void)state;
	CLEANUP(buffer_finish) struct buffer body = { 0 };
	buffer_append_string(&body, "{\"message\":\"");
	for (int i = 0; i < 500; i++)
		buffer_append_string(&body, "\xc3\xa9");
	buffer_append_string(&body, "\"}");
	FINISHED j = judge(worker(400, body.bytes), 1);
	size_t n = strlen(j.reason);
	assert_true(n > 200 && n < sizeof(j.reason));
	assert_int_equal((unsigned char)j.reason[n - 1], 0xA9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_2xx_of_a_worker_with_an_object_is_done),
		cmocka_unit_test(failures_are_tried_again_or_dead_and_the_others_done),
		cmocka_unit_test(a_failure_needs_no_more_than_its_id),
		cmocka_unit_test(one_item_named_twice_is_not_saved_by_the_milder_word),
		cmocka_unit_test(a_list_that_cannot_be_read_fails_the_whole_batch),
		cmocka_unit_test(a_2xx_of_anybody_else_or_without_an_object_is_an_attempt),
		cmocka_unit_test(a_refusal_of_one_item_is_dead_with_the_reason),
		cmocka_unit_test(a_refusal_of_several_is_halved),
		cmocka_unit_test(a_handler_that_is_away_is_nobody_s_fault),
		cmocka_unit_test(everything_else_is_an_attempt_and_then_alone),
		cmocka_unit_test(reasons_say_who_answered_what),
		cmocka_unit_test(a_long_reason_is_cut_between_characters),
	};
	return RUN_SUITE(tests);
}
