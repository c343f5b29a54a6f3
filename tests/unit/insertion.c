/* What is made of MongoDB's reply to an insert, without a MongoDB: the cases that one rarely gives. */
#include "suite.h"

#include "../../lib/store/entries_insert.c" /* NOLINT(bugprone-suspicious-include) */

enum { COUNT = 4 };

static struct entry entries[COUNT];
static struct error verdicts[COUNT];

/* An insertion of COUNT entries of which the second cannot be sent, and the reply to it. */
static struct insertion insertion_with(const char *reply)
{
	for (int i = 0; i < COUNT; i++) {
		entries[i] = (struct entry){ .name = text_of("n"), .data = text_of("d") };
		entry_id_new(entries[i].id);
	}
	entries[1].id[0] = '\0';
	struct insertion in = { .entries = entries, .verdicts = verdicts };
	assert_true(build(&in, COUNT));
	assert_int_equal(in.sent_count, COUNT - 1);
	bson_error_t error;
	bson_t *document = bson_new_from_json((const uint8_t *)reply, -1, &error);
	assert_non_null(document);
	read_reply(&in, document);
	bson_destroy(document);
	return in;
}

static void a_reply_without_errors_stores_all_that_was_sent(void **state)
{
	(void)state;
	struct insertion in = insertion_with("{\"insertedCount\": 3, \"writeErrors\": []}");
	assert_int_equal(verdicts[0].code, ERROR_NONE);
	assert_int_equal(verdicts[1].code, ERROR_BAD_INPUT);
	assert_int_equal(verdicts[3].code, ERROR_NONE);
	assert_false(in.concern_failed);
	insertion_finish(&in);
}

static void an_error_of_one_document_is_its_own(void **state)
{
	(void)state;
	struct insertion in = insertion_with(
		"{\"writeErrors\": [{\"index\": 0, \"code\": 121, \"errmsg\": \"invalid\"},"
		"{\"index\": 1, \"code\": 11000}, {\"index\": 2, \"code\": 11602},"
		"{\"index\": 3, \"code\": 1}, {\"index\": -1, \"code\": 1}]}");
	assert_int_equal(verdicts[0].code, ERROR_PEER_ANSWER);
	assert_string_equal(verdicts[0].text, "MongoDB refused the entry (code 121)");
	assert_int_equal(in.duplicate_count, 1);
	assert_int_equal(in.duplicates[0], 2);			/* the second that was sent */
	assert_int_equal(verdicts[3].code, ERROR_PEER_TIMEOUT); /* a primary stepped down */
	insertion_finish(&in);
}

/* Whether the reply accounts for each of the three documents that were sent. */
static bool accounts_for_all(const char *reply)
{
	struct insertion in = insertion_with(reply);
	bson_error_t error;
	bson_t *document = bson_new_from_json((const uint8_t *)reply, -1, &error);
	assert_non_null(document);
	bool accounted = read_reply(&in, document);
	bson_destroy(document);
	insertion_finish(&in);
	return accounted;
}

static void what_a_reply_does_not_account_for_is_not_stored(void **state)
{
	(void)state;
	assert_true(accounts_for_all("{\"insertedCount\": 3}"));
	assert_true(accounts_for_all(
		"{\"insertedCount\": 1, \"writeErrors\": "
		"[{\"index\": 0, \"code\": 121}, {\"index\": 2, \"code\": 11000}]}"));
	assert_false(accounts_for_all("{\"insertedCount\": 2}"));
	assert_false(accounts_for_all("{\"writeErrors\": [{\"index\": 0, \"code\": 121}]}"));
	assert_false(accounts_for_all("{}"));
}

static void more_errors_than_documents_are_left_alone(void **state)
{
	(void)state;
	CLEANUP(buffer_finish) struct buffer reply = { 0 };
	buffer_append_string(&reply, "{\"writeErrors\": [");
	for (int i = 0; i < 100; i++)
		buffer_append_string(&reply, "{\"index\": 0, \"code\": 11000},");
	buffer_append_string(&reply, "{\"index\": 0, \"code\": 11000}]}");
	struct insertion in = insertion_with(reply.bytes);
	assert_int_equal(in.duplicate_count, COUNT - 1);
	insertion_finish(&in);
}

static void a_write_that_no_majority_confirmed_is_in_doubt(void **state)
{
	(void)state;
	struct insertion in = insertion_with("{\"writeConcernErrors\": [{\"code\": 64, \"errmsg\": "
					     "\"waiting for replication\"}]}");
	assert_true(in.concern_failed);
	doubt_all(&in);
	assert_int_equal(verdicts[0].code, ERROR_PEER_TIMEOUT);
	assert_int_equal(verdicts[1].code, ERROR_BAD_INPUT); /* for certain not stored */
	assert_int_equal(verdicts[2].code, ERROR_PEER_TIMEOUT);
	insertion_finish(&in);
}

static void a_duplicate_is_compared_with_what_is_stored(void **state)
{
	(void)state;
	struct insertion in = insertion_with("{\"writeErrors\": [{\"index\": 0, \"code\": 11000}, "
					     "{\"index\": 2, \"code\": 11000}]}");
	struct entry same = entries[0];
	struct entry other = entries[3];
	other.data = text_of("other");
	same.accepted_ms = 7;
	judge_duplicates(&in, &same);
	judge_duplicates(&in, &other);
	assert_int_equal(verdicts[0].code, ERROR_NONE);
	assert_int_equal(verdicts[3].code, ERROR_CONFLICT);
	insertion_finish(&in);
}

/* One entry that can never be stored must not hide that the store did not answer for the others. */
static void a_store_that_is_away_is_told_before_what_is_wrong_with_one_entry(void **state)
{
	(void)state;
	static const enum error_code away[] = { ERROR_PEER_DOWN, ERROR_PEER_FULL,
						ERROR_PEER_TIMEOUT };
	for (size_t i = 0; i < sizeof(away) / sizeof(away[0]); i++) {
		struct error e = { .text = "" };
		struct error three[] = { { .code = ERROR_CONFLICT, .text = "conflict" },
					 { .code = ERROR_NONE },
					 { .code = away[i], .text = "away" } };
		assert_int_equal(worst(three, 3, &e), away[i]);
		assert_string_equal(e.text, "away");
		assert_int_equal(worst(three, 2, &e), ERROR_CONFLICT);
		assert_string_equal(e.text, "conflict");
		assert_int_equal(worst(three + 1, 1, &e), ERROR_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_without_errors_stores_all_that_was_sent),
		cmocka_unit_test(an_error_of_one_document_is_its_own),
		cmocka_unit_test(what_a_reply_does_not_account_for_is_not_stored),
		cmocka_unit_test(more_errors_than_documents_are_left_alone),
		cmocka_unit_test(a_write_that_no_majority_confirmed_is_in_doubt),
		cmocka_unit_test(a_duplicate_is_compared_with_what_is_stored),
		cmocka_unit_test(a_store_that_is_away_is_told_before_what_is_wrong_with_one_entry),
	};
	return RUN_SUITE(tests);
}
