/* The listener's modules and the file of triggers without memory: what is in hand stays in hand, and nothing is done by mistake. */
#include "suite.h"

#include "failing.h"

#include "../../listener/queue/batch.h"
#include "../../listener/queue/letter.h"
#include "../../listener/queue/verdict.h"
#include "../../listener/queue/waiting.h"
#include "core/config.h"
#include "core/log.h"
#include "transport/triggers.h"

enum { MESSAGES = 5 };

static struct message *message_of(const char *id, const char *key)
{
	amqp_basic_properties_t properties = { ._flags = AMQP_BASIC_MESSAGE_ID_FLAG,
					       .message_id = amqp_cstring_bytes(id) };
	amqp_frame_t header = { .payload.properties = { .decoded = &properties, .body_size = 1 } };
	struct message *m = message_new(&header, amqp_cstring_bytes(key));
	if (m)
		((char *)m->body.s)[0] = '1';
	return m;
}

static void fill(struct message_list *list)
{
	TAILQ_INIT(list);
	for (int i = 0; i < MESSAGES; i++) {
		char id[ENTRY_ID_BYTES];
		snprintf(id, sizeof(id), "%024x", (unsigned)i);
		struct message *m = message_of(id, i == 2 ? "k\xff\"" : "k");
		assert_non_null(m);
		TAILQ_INSERT_TAIL(list, m, next);
	}
}

static size_t length(const struct message_list *list)
{
	size_t n = 0;
	const struct message *m;
	TAILQ_FOREACH(m, list, next)
	n++;
	return n;
}

static void free_batch(struct batch *b)
{
	for (size_t i = 0; b && i < b->count; i++)
		free(b->messages[i]);
	batch_destroy(b);
}

static bool make_a_message(void)
{
	struct message *m = message_of("an id of some form", "log.INFO");
	bool failed = failing_end();
	assert_true(m || failed);
	if (m) {
		assert_text_equal(m->key, "log.INFO");
		assert_int_equal(strlen(m->id), ENTRY_ID_DIGITS);
	}
	free(m);
	return failed;
}

static void a_message_is_made_whole_or_not(void **state)
{
	(void)state;
	failing_each_allocation(make_a_message);
}

static bool gather_and_halve(void)
{
	struct message_list list;
	long allocation = failing.allocation;
	bool all_after = failing.all_after;
	failing_end();
	fill(&list);
	failing_allocation(allocation, all_after);
	struct batch *first = batch_gather(&list, 10, 1000000);
	struct batch *second = first ? batch_halve(first) : NULL;
	bool failed = failing_end();
	size_t in_hand = length(&list) + (first ? first->count : 0) + (second ? second->count : 0);
	assert_int_equal(in_hand, MESSAGES);
	assert_true(second || failed);
	free_batch(first);
	free_batch(second);
	message_list_clear(&list);
	return failed;
}

static void no_message_is_lost_on_its_way_into_a_batch(void **state)
{
	(void)state;
	failing_each_allocation(gather_and_halve);
}

static bool write_a_body(void)
{
	struct message_list list;
	struct buffer body = { 0 };
	long allocation = failing.allocation;
	bool all_after = failing.all_after;
	failing_end();
	fill(&list);
	struct batch *b = batch_gather(&list, 10, 1000000);
	failing_allocation(allocation, all_after);
	batch_body(b, &body);
	bool failed = failing_end();
	if (!body.failed) {
		CLEANUP(json_put) struct json_object *items = NULL;
		assert_int_equal(json_parse(buffer_text(&body), "body", &items, NULL), ERROR_NONE);
		assert_int_equal(json_object_array_length(items), MESSAGES);
	}
	assert_true(failed || !body.failed);
	buffer_finish(&body);
	free_batch(b);
	return failed;
}

static void a_body_is_whole_or_known_not_to_be(void **state)
{
	(void)state;
	failing_each_allocation(write_a_body);
}

static bool take_and_pop(void)
{
	static const struct trigger trigger = { .batch_size = 3, .batch_window_ms = 0 };
	struct message_list list;
	struct waiting w;
	struct message *m;
	long allocation = failing.allocation;
	bool all_after = failing.all_after;
	size_t count = 0;
	failing_end();
	fill(&list);
	waiting_init(&w, &trigger);
	while ((m = TAILQ_FIRST(&list))) {
		TAILQ_REMOVE(&list, m, next);
		waiting_add(&w, m);
	}
	failing_allocation(allocation, all_after);
	struct batch *b = waiting_take(&w, INT64_MAX);
	bool failed = failing_end();
	assert_true(b || failed);
	if (b)
		waiting_put_back(&w, b);
	while ((m = waiting_pop(&w))) {
		free(m);
		count++;
	}
	assert_int_equal(count, MESSAGES);
	assert_int_equal(w.count + w.bytes, 0);
	return failed;
}

static void what_waits_goes_on_waiting(void **state)
{
	(void)state;
	failing_each_allocation(take_and_pop);
}

static const struct text ids[] = { { "a1", 2 }, { "b2", 2 }, { "c3", 2 } };

enum { ITEMS = 3 };

static struct answer answer_with(int status, const char *body)
{
	return (struct answer){
		.status = status, .worker = true, .connected = true, .body = text_of(body)
	};
}

static bool judge_failures(void)
{
	static const char body[] = "{\"error\":false,\"message\":\"1 of 3 done\",\"failures\":["
				   "{\"id\":\"a1\",\"permanent\":true,\"reason\":\"never\"},"
				   "{\"id\":\"c3\",\"permanent\":false,\"reason\":\"later\"}]}";
	struct answer answer = answer_with(200, body);
	struct judgement j;
	verdict_judge(&answer, ids, ITEMS, &j);
	bool failed = failing_end();
	if (j.fate == FATE_JUDGED) {
		assert_int_equal(j.verdicts[0].kind, VERDICT_DEAD);
		assert_int_equal(j.verdicts[1].kind, VERDICT_DONE);
		assert_int_equal(j.verdicts[2].kind, VERDICT_AGAIN);
	} else {
		assert_int_equal(j.fate, FATE_HELD);
	}
	assert_true(failed || j.fate == FATE_JUDGED);
	judgement_finish(&j);
	return failed;
}

static bool judge_a_refusal(void)
{
	struct answer answer = answer_with(422, "{\"error\":true,\"message\":\"no address\"}");
	struct judgement j;
	verdict_judge(&answer, ids, 1, &j);
	bool failed = failing_end();
	if (j.fate == FATE_JUDGED)
		assert_int_equal(j.verdicts[0].kind, VERDICT_DEAD);
	else
		assert_int_equal(j.fate, FATE_HELD);
	judgement_finish(&j);
	return failed;
}

static void an_answer_that_cannot_be_read_now_is_no_verdict(void **state)
{
	(void)state;
	failing_each_allocation(judge_failures);
	failing_each_allocation(judge_a_refusal);
}

static bool make_letters(void)
{
	static struct message m = { .id = "x" };
	struct letter *retry = letter_new_retry(&m, "q.retry.100");
	struct letter *dead = letter_new_dead(&m, "q", "eat", text_of("no luck"));
	bool failed = failing_end();
	assert_true(failed || (retry && dead));
	if (retry)
		assert_string_equal(retry->queue, "q.retry.100");
	if (dead) {
		assert_string_equal(dead->queue, "q.dead");
		assert_string_equal(dead->reason, "no luck");
		assert_true(dead->dead);
	}
	free(retry);
	free(dead);
	return failed;
}

static void a_letter_is_made_whole_or_not(void **state)
{
	(void)state;
	failing_each_allocation(make_letters);
}

static bool load_triggers(void)
{
	struct triggers t;
	struct error e = { 0 };
	enum error_code code = triggers_load("triggers.conf", &t, &e);
	bool failed = failing_end();
	assert_int_equal(t.count, code ? 0 : 2);
	if (!code)
		assert_int_equal(t.list[0].key_count, 3);
	else
		assert_true(failed && e.text[0]);
	triggers_finish(&t);
	return failed;
}

static void triggers_are_read_whole_or_not(void **state)
{
	(void)state;
	failing_each_allocation(load_triggers);
}

static int start(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR);
	return (int)config_load(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_made_whole_or_not),
		cmocka_unit_test(no_message_is_lost_on_its_way_into_a_batch),
		cmocka_unit_test(a_body_is_whole_or_known_not_to_be),
		cmocka_unit_test(what_waits_goes_on_waiting),
		cmocka_unit_test(an_answer_that_cannot_be_read_now_is_no_verdict),
		cmocka_unit_test(a_letter_is_made_whole_or_not),
		cmocka_unit_test(triggers_are_read_whole_or_not),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}
