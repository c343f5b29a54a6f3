/* batch: who goes together, and the body. */
#include "suite.h"

#include "../../listener/queue/batch.h"

#include "core/buffer.h"
#include "wire/json.h"

enum { MANY = 1000 * 1000 };

static struct message *message(const char *id, const char *key, const char *body)
{
	struct message *m = calloc(1, sizeof(*m));
	assert_non_null(m);
	snprintf(m->id, sizeof(m->id), "%s", id);
	m->key = text_of(key);
	m->body = text_of(body);
	return m;
}

static void add(struct message_list *list, const char *id)
{
	struct message *m = message(id, "k", "1");
	TAILQ_INSERT_TAIL(list, m, next);
}

static size_t length(const struct message_list *list)
{
	size_t n = 0;
	const struct message *m;
	for (m = TAILQ_FIRST(list); m; m = TAILQ_NEXT(m, next))
		n++;
	return n;
}

static void free_batch(struct batch **b)
{
	for (size_t i = 0; *b && i < (*b)->count; i++)
		free((*b)->messages[i]);
	batch_destroy(*b);
}

static void free_list(struct message_list *list)
{
	struct message *m;
	while ((m = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, m, next);
		free(m);
	}
}

#define BATCH CLEANUP(free_batch) struct batch *
#define LIST(name)                                                                                 \
	CLEANUP(free_list) struct message_list name;                                               \
	TAILQ_INIT(&(name))

static void nothing_comes_from_nothing(void **state)
{
	(void)state;
	LIST(list);
	assert_null(batch_gather(&list, 10, MANY));
}

static void a_batch_takes_from_the_front_up_to_its_size(void **state)
{
	(void)state;
	LIST(list);
	add(&list, "a");
	add(&list, "b");
	add(&list, "c");
	BATCH b = batch_gather(&list, 2, MANY);
	assert_int_equal(b->count, 2);
	assert_string_equal(b->messages[0]->id, "a");
	assert_string_equal(b->messages[1]->id, "b");
	assert_string_equal(TAILQ_FIRST(&list)->id, "c");
}

static void an_id_that_is_in_the_batch_waits_for_the_next(void **state)
{
	(void)state;
	LIST(list);
	add(&list, "a");
	add(&list, "b");
	add(&list, "a");
	add(&list, "a");
	add(&list, "c");
	BATCH first = batch_gather(&list, 10, MANY);
	assert_int_equal(first->count, 3);
	assert_string_equal(first->messages[2]->id, "c");
	BATCH second = batch_gather(&list, 10, MANY);
	assert_int_equal(second->count, 1);
	BATCH third = batch_gather(&list, 10, MANY);
	assert_int_equal(third->count, 1);
	assert_true(TAILQ_EMPTY(&list));
}

static void a_thousand_ids_are_told_apart(void **state)
{
	(void)state;
	LIST(list);
	for (int i = 0; i < 2 * MAX_BATCH_MESSAGES; i++) {
		char id[ENTRY_ID_BYTES];
		snprintf(id, sizeof(id), "%024x", (unsigned)i / 2);
		add(&list, id);
	}
	BATCH b = batch_gather(&list, MAX_BATCH_MESSAGES, MANY);
	assert_int_equal(b->count, MAX_BATCH_MESSAGES);
	assert_int_equal(length(&list), MAX_BATCH_MESSAGES);
	for (size_t i = 0; i < b->count; i++)
		assert_int_equal(strtoul(b->messages[i]->id, NULL, 16), i);
}

static void a_suspect_is_alone_and_keeps_its_place(void **state)
{
	(void)state;
	LIST(list);
	add(&list, "a");
	add(&list, "b");
	add(&list, "c");
	TAILQ_NEXT(TAILQ_FIRST(&list), next)->alone = true;
	BATCH first = batch_gather(&list, 10, MANY);
	assert_int_equal(first->count, 2);
	assert_string_equal(first->messages[1]->id, "c");
	BATCH second = batch_gather(&list, 10, MANY);
	assert_int_equal(second->count, 1);
	assert_string_equal(second->messages[0]->id, "b");
}

static void a_batch_is_bounded_in_bytes_but_never_empty(void **state)
{
	(void)state;
	LIST(list);
	add(&list, "a");
	add(&list, "b");
	add(&list, "c");
	size_t cost = batch_cost(TAILQ_FIRST(&list));
	BATCH two = batch_gather(&list, 10, 2 * cost);
	assert_int_equal(two->count, 2);
	BATCH one = batch_gather(&list, 10, 1);
	assert_int_equal(one->count, 1);
}

static void halves_are_the_whole(void **state)
{
	(void)state;
	for (size_t n = 2; n < 9; n++) {
		LIST(list);
		for (size_t i = 0; i < n; i++)
			add(&list, (char[]){ (char)('a' + i), '\0' });
		BATCH first = batch_gather(&list, 10, MANY);
		BATCH second = batch_halve(first);
		assert_int_equal(first->count + second->count, n);
		assert_true(first->count - second->count <= 1);
		assert_string_equal(first->messages[0]->id, "a");
		assert_int_equal(second->messages[0]->id[0], 'a' + (char)first->count);
	}
}

static void assert_body(struct message *a, struct message *b, const char *expected)
{
	LIST(list);
	TAILQ_INSERT_TAIL(&list, a, next);
	if (b)
		TAILQ_INSERT_TAIL(&list, b, next);
	BATCH batch = batch_gather(&list, 10, MANY);
	CLEANUP(buffer_finish) struct buffer body = { 0 };
	batch_body(batch, &body);
	assert_text_equal(buffer_text(&body), expected);
	CLEANUP(json_put) struct json_object *value = NULL;
	assert_int_equal(json_parse(buffer_text(&body), "body", &value, NULL), ERROR_NONE);
}

static void the_body_says_id_key_attempt_and_payload(void **state)
{
	(void)state;
	struct message *again = message("b2", "log.ERROR", " [1, 2] ");
	again->attempts = 4;
	assert_body(message("a1", "log.INFO", "{\"a\":null}"), again,
		    "[{\"id\":\"a1\",\"key\":\"log.INFO\",\"attempt\":1,\"payload\":{\"a\":null}},"
		    "{\"id\":\"b2\",\"key\":\"log.ERROR\",\"attempt\":5,\"payload\": [1, 2] }]");
}

static void a_key_is_escaped_and_what_is_no_text_becomes_question_marks(void **state)
{
	(void)state;
	assert_body(message("a", "x\"y\\z", "1"), NULL,
		    "[{\"id\":\"a\",\"key\":\"x\\\"y\\\\z\",\"attempt\":1,\"payload\":1}]");
	assert_body(message("a", "\xc3\xa9", "1"), NULL,
		    "[{\"id\":\"a\",\"key\":\"\xc3\xa9\",\"attempt\":1,\"payload\":1}]");
	assert_body(message("a", "q\xff\"\x01", "1"), NULL,
		    "[{\"id\":\"a\",\"key\":\"q?\\\"?\",\"attempt\":1,\"payload\":1}]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_comes_from_nothing),
		cmocka_unit_test(a_batch_takes_from_the_front_up_to_its_size),
		cmocka_unit_test(an_id_that_is_in_the_batch_waits_for_the_next),
		cmocka_unit_test(a_thousand_ids_are_told_apart),
		cmocka_unit_test(a_suspect_is_alone_and_keeps_its_place),
		cmocka_unit_test(a_batch_is_bounded_in_bytes_but_never_empty),
		cmocka_unit_test(halves_are_the_whole),
		cmocka_unit_test(the_body_says_id_key_attempt_and_payload),
		cmocka_unit_test(a_key_is_escaped_and_what_is_no_text_becomes_question_marks),
	};
	return RUN_SUITE(tests);
}
