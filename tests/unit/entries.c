/* Entries on MongoDB: what each call stores and says. Skipped unless TEST_MONGO_URL is set. */
#include "suite.h"

#include <unistd.h>

#include "core/clock.h"
#include "core/config.h"
#include "store/entries.h"
#include "store/mongo.h"

static char database[64];

static struct entry make(const char *name, const char *data)
{
	struct entry entry = { .name = text_of(name), .data = text_of(data) };
	entry_id_new(entry.id);
	entry.accepted_ms = clock_wall_ms();
	return entry;
}

static void skip_without_store(void)
{
	if (!getenv("TEST_MONGO_URL"))
		skip();
}

static int start(void **state)
{
	(void)state;
	const char *url = getenv("TEST_MONGO_URL");
	if (!url)
		return 0;
	snprintf(database, sizeof(database), "flexi_unit_%d", (int)getpid());
	setenv("MONGO_URL", url, 1);
	mongo_use_database(database);
	return config_load(NULL) ? -1 : 0;
}

static bool drop_database(mongoc_database_t *db, mongoc_collection_t *entries, void *context,
			  bson_error_t *error)
{
	(void)entries;
	(void)context;
	return mongoc_database_drop(db, error);
}

static int stop(void **state)
{
	(void)state;
	if (getenv("TEST_MONGO_URL"))
		mongo_run(drop_database, NULL, NULL);
	mongo_close();
	return 0;
}

static void expect_insert(const struct entry *entry, enum error_code code)
{
	struct error verdict;
	struct error e = { 0 };
	assert_int_equal(entries_insert(entry, 1, &verdict, &e), code);
	assert_int_equal(verdict.code, code);
	if (code)
		assert_string_equal(e.text, verdict.text);
}

static void expect_stored(const struct entry *entry)
{
	struct stored_entry stored = { 0 };
	assert_int_equal(entries_by_id(entry->id, &stored, NULL), ERROR_NONE);
	assert_string_equal(stored.entry.id, entry->id);
	assert_true(entry_same_content(&stored.entry, entry));
	assert_int_equal(stored.entry.accepted_ms, entry->accepted_ms);
	stored_entry_finish(&stored);
}

static void an_inserted_entry_is_read_back_as_it_was(void **state)
{
	(void)state;
	skip_without_store();
	struct entry entry = make("na\xc3\xafve", "line\nline \xf0\x9f\x98\x80");
	entry.level = ENTRY_WARNING;
	expect_insert(&entry, ERROR_NONE);
	expect_stored(&entry);
	struct entry empty = make("", "");
	expect_insert(&empty, ERROR_NONE);
	expect_stored(&empty);
}

static void a_second_insert_of_the_same_id_is_success(void **state)
{
	(void)state;
	skip_without_store();
	struct entry entry = make("same", "same");
	expect_insert(&entry, ERROR_NONE);
	struct entry later = entry;
	later.accepted_ms += 5000; /* times are not content */
	expect_insert(&later, ERROR_NONE);
	expect_stored(&entry);
}

static void a_second_insert_with_other_content_is_a_conflict(void **state)
{
	(void)state;
	skip_without_store();
	struct entry entry = make("first", "data");
	expect_insert(&entry, ERROR_NONE);
	struct entry other = entry;
	other.name = text_of("second");
	expect_insert(&other, ERROR_CONFLICT);
	other = entry;
	other.data = text_of("");
	expect_insert(&other, ERROR_CONFLICT);
	other = entry;
	other.level = ENTRY_ERROR;
	expect_insert(&other, ERROR_CONFLICT);
	expect_stored(&entry);
}

static void one_call_tells_what_became_of_each_entry(void **state)
{
	(void)state;
	skip_without_store();
	struct entry stored = make("stored", "before");
	expect_insert(&stored, ERROR_NONE);
	struct entry conflict = stored;
	conflict.data = text_of("other");
	struct entry with_nul = make("nul", "");
	with_nul.data = (struct text){ "a\0b", 3 };
	struct entry not_utf8 = make("\xff", "");
	struct entry bad_id = make("id", "");
	bad_id.id[3] = 'A';
	const struct entry entries[] = { make("a", "1"), conflict, with_nul,	  stored,
					 not_utf8,	 bad_id,   make("b", "2") };
	const enum error_code expected[] = {
		ERROR_NONE,	 ERROR_CONFLICT,  ERROR_BAD_INPUT, ERROR_NONE,
		ERROR_BAD_INPUT, ERROR_BAD_INPUT, ERROR_NONE,
	};
	enum { COUNT = sizeof(expected) / sizeof(expected[0]) };
	struct error verdicts[COUNT];
	struct error e = { 0 };
	assert_int_equal(entries_insert(entries, COUNT, verdicts, &e), ERROR_CONFLICT);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(verdicts[i].code, expected[i]);
	assert_int_equal(e.code, ERROR_CONFLICT);
	assert_non_null(strstr(e.text, stored.id));
	assert_string_equal(verdicts[2].text, "data: must be UTF-8 without NUL");
	assert_string_equal(verdicts[4].text, "name: must be UTF-8 without NUL");
	expect_stored(&entries[0]);
	expect_stored(&entries[6]);
}

static void an_id_twice_in_one_call_is_one_entry_or_a_conflict(void **state)
{
	(void)state;
	skip_without_store();
	struct entry first = make("twice", "1");
	struct entry same = first;
	struct entry other = first;
	other.data = text_of("2");
	const struct entry entries[] = { first, same, other, make("between", "") };
	struct error verdicts[4];
	assert_int_equal(entries_insert(entries, 4, verdicts, NULL), ERROR_CONFLICT);
	assert_int_equal(verdicts[0].code, ERROR_NONE);
	assert_int_equal(verdicts[1].code, ERROR_NONE);
	assert_int_equal(verdicts[2].code, ERROR_CONFLICT);
	assert_int_equal(verdicts[3].code, ERROR_NONE);
	expect_stored(&first);
}

enum { MANY = 2500 };

static void thousands_of_entries_go_in_one_call_and_again(void **state)
{
	(void)state;
	skip_without_store();
	static struct entry entries[MANY];
	static struct error verdicts[MANY];
	for (int i = 0; i < MANY; i++)
		entries[i] = make("many", "data");
	assert_int_equal(entries_insert(entries, MANY, verdicts, NULL), ERROR_NONE);
	assert_int_equal(entries_insert(entries, MANY, verdicts, NULL), ERROR_NONE);
	for (int i = 0; i < MANY; i += 2)
		entries[i].data = text_of("changed");
	assert_int_equal(entries_insert(entries, MANY, verdicts, NULL), ERROR_CONFLICT);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(verdicts[i].code, i % 2 ? ERROR_NONE : ERROR_CONFLICT);
}

static void an_entry_over_the_limit_of_a_document_is_refused_alone(void **state)
{
	(void)state;
	skip_without_store();
	enum { OVER = 16 * 1024 * 1024 };
	char *large = malloc(OVER);
	assert_non_null(large);
	memset(large, 'x', OVER);
	struct entry entries[] = { make("small", ""), make("large", ""), make("too large", "") };
	entries[1].data = (struct text){ large, OVER / 8 };
	entries[2].data = (struct text){ large, OVER };
	struct error verdicts[3];
	assert_int_equal(entries_insert(entries, 3, verdicts, NULL), ERROR_TOO_LARGE);
	assert_int_equal(verdicts[0].code, ERROR_NONE);
	assert_int_equal(verdicts[1].code, ERROR_NONE);
	assert_int_equal(verdicts[2].code, ERROR_TOO_LARGE);
	expect_stored(&entries[0]);
	expect_stored(&entries[1]);
	free(large);
}

static void all_come_newest_first_and_no_more_than_asked_for(void **state)
{
	(void)state;
	skip_without_store();
	assert_int_equal(entries_drop(NULL), ERROR_NONE);
	struct entry entries[] = { make("old", ""), make("new", ""), make("newer id", "") };
	entries[0].accepted_ms = 1000;
	entries[1].accepted_ms = 2000;
	entries[2].accepted_ms = 2000;
	struct error verdicts[3];
	assert_int_equal(entries_insert(entries, 3, verdicts, NULL), ERROR_NONE);
	struct stored_list list = { 0 };
	assert_int_equal(entries_all(10, &list, NULL), ERROR_NONE);
	assert_int_equal(list.count, 3);
	assert_text_equal(list.entries[0].entry.name, "newer id");
	assert_text_equal(list.entries[1].entry.name, "new");
	assert_text_equal(list.entries[2].entry.name, "old");
	stored_list_finish(&list);
	assert_int_equal(entries_all(1, &list, NULL), ERROR_NONE);
	assert_int_equal(list.count, 1);
	stored_list_finish(&list);
	assert_int_equal(entries_all(0, &list, NULL), ERROR_NONE);
	assert_int_equal(list.count, 0);
}

static void expect_names(const struct entries_query *query, bool more, const char *names)
{
	struct stored_list list = { 0 };
	char got[64] = "";
	assert_int_equal(entries_list(query, &list, NULL), ERROR_NONE);
	for (size_t i = 0; i < list.count; i++)
		strncat(got, list.entries[i].entry.name.s, sizeof(got) - strlen(got) - 1);
	assert_string_equal(got, names);
	assert_int_equal(list.more, more);
	stored_list_finish(&list);
}

static void a_list_is_filtered_and_goes_on_after_a_place(void **state)
{
	(void)state;
	skip_without_store();
	assert_int_equal(entries_drop(NULL), ERROR_NONE);
	struct entry entries[] = { make("a", "12345"), make("b", "12345"), make("c", "12345"),
				   make("a", "12345") };
	for (size_t i = 0; i < 4; i++)
		entries[i].accepted_ms = i < 1 ? -5 : 1000; /* before 1970, and equal */
	entries[2].level = ENTRY_ERROR;
	struct error verdicts[4];
	assert_int_equal(entries_insert(entries, 4, verdicts, NULL), ERROR_NONE);
	struct text a = text_of("a");
	enum entry_level info = ENTRY_INFO;
	enum entry_level error = ENTRY_ERROR;
	struct entry_position after = { .accepted_ms = 1000 };
	memcpy(after.id, entries[2].id, sizeof(after.id));
	expect_names(&(struct entries_query){ .most = 9 }, false, "acba");
	expect_names(&(struct entries_query){ .most = 4 }, false, "acba");
	expect_names(&(struct entries_query){ .most = 3 }, true, "acb");
	expect_names(&(struct entries_query){ .most = 9, .name = &a }, false, "aa");
	expect_names(&(struct entries_query){ .most = 9, .level = &error }, false, "c");
	expect_names(&(struct entries_query){ .most = 9, .level = &info }, false, "aba");
	expect_names(&(struct entries_query){ .most = 9, .after = &after }, false, "ba");
	expect_names(&(struct entries_query){ .most = 1, .after = &after }, true, "b");
	expect_names(&(struct entries_query){ .most = 9, .after = &after, .name = &a }, false, "a");
	/* 6 bytes each: the second is over, and the last; one is always there. */
	expect_names(&(struct entries_query){ .most = 9, .most_bytes = 7 }, true, "ac");
	expect_names(&(struct entries_query){ .most = 9, .most_bytes = 1 }, true, "a");
	expect_names(&(struct entries_query){ .most = 9, .most_bytes = 24 }, false, "acba");
}

static void a_list_after_what_is_no_id_is_refused(void **state)
{
	(void)state;
	struct entry_position after = { .id = "none" };
	struct text name = { "\xff", 1 };
	struct stored_list list;
	assert_int_equal(
		entries_list(&(struct entries_query){ .most = 1, .after = &after }, &list, NULL),
		ERROR_BAD_INPUT);
	assert_int_equal(
		entries_list(&(struct entries_query){ .most = 1, .name = &name }, &list, NULL),
		ERROR_BAD_INPUT);
}

static void an_update_changes_content_and_the_time_of_update_only(void **state)
{
	(void)state;
	skip_without_store();
	struct entry entry = make("before", "before");
	entry.accepted_ms = 1000;
	expect_insert(&entry, ERROR_NONE);
	entry.name = text_of("after");
	entry.level = ENTRY_ERROR;
	int64_t now = clock_wall_ms();
	assert_int_equal(entries_update(&entry, NULL), ERROR_NONE);
	expect_stored(&entry);
	struct stored_entry stored = { 0 };
	assert_int_equal(entries_by_id(entry.id, &stored, NULL), ERROR_NONE);
	assert_true(stored.updated_ms >= now);
	stored_entry_finish(&stored);
	/* The same again matches too, though it changes nothing but the time. */
	assert_int_equal(entries_update(&entry, NULL), ERROR_NONE);
}

static void what_is_not_there_is_not_found(void **state)
{
	(void)state;
	skip_without_store();
	struct entry nobody = make("nobody", "");
	struct stored_entry stored = { 0 };
	struct error e = { 0 };
	assert_int_equal(entries_by_id(nobody.id, &stored, &e), ERROR_NOT_FOUND);
	assert_string_equal(e.text, "no such entry");
	assert_int_equal(entries_update(&nobody, &e), ERROR_NOT_FOUND);
}

static void a_dropped_collection_may_be_dropped_again(void **state)
{
	(void)state;
	skip_without_store();
	struct entry entry = make("gone", "");
	expect_insert(&entry, ERROR_NONE);
	assert_int_equal(entries_drop(NULL), ERROR_NONE);
	assert_int_equal(entries_drop(NULL), ERROR_NONE);
	struct stored_entry stored = { 0 };
	assert_int_equal(entries_by_id(entry.id, &stored, NULL), ERROR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_inserted_entry_is_read_back_as_it_was),
		cmocka_unit_test(a_second_insert_of_the_same_id_is_success),
		cmocka_unit_test(a_second_insert_with_other_content_is_a_conflict),
		cmocka_unit_test(one_call_tells_what_became_of_each_entry),
		cmocka_unit_test(an_id_twice_in_one_call_is_one_entry_or_a_conflict),
		cmocka_unit_test(thousands_of_entries_go_in_one_call_and_again),
		cmocka_unit_test(an_entry_over_the_limit_of_a_document_is_refused_alone),
		cmocka_unit_test(all_come_newest_first_and_no_more_than_asked_for),
		cmocka_unit_test(a_list_is_filtered_and_goes_on_after_a_place),
		cmocka_unit_test(a_list_after_what_is_no_id_is_refused),
		cmocka_unit_test(an_update_changes_content_and_the_time_of_update_only),
		cmocka_unit_test(what_is_not_there_is_not_found),
		cmocka_unit_test(a_dropped_collection_may_be_dropped_again),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
