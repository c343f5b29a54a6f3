/* Entries: ids, levels, and JSON in and out. */
#include "suite.h"

#include <sys/wait.h>
#include <unistd.h>

#include "entry/entry.h"

static struct json_object *parsed(const char *text)
{
	struct json_object *o = NULL;
	assert_int_equal(json_parse(text_of(text), "test", &o, NULL), ERROR_NONE);
	return o;
}

static void ids_are_valid_and_never_twice_the_same(void **state)
{
	(void)state;
	char a[ENTRY_ID_BYTES], b[ENTRY_ID_BYTES];
	entry_id_new(a);
	for (int i = 0; i < 1000; i++) {
		entry_id_new(b);
		assert_true(entry_id_is_valid(text_of(b)));
		assert_string_not_equal(a, b);
		memcpy(a, b, sizeof(a));
	}
}

static void a_forked_child_makes_ids_of_its_own(void **state)
{
	(void)state;
	char mine[ENTRY_ID_BYTES], theirs[ENTRY_ID_BYTES];
	int ends[2];
	entry_id_new(mine);
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		entry_id_new(theirs);
		_exit(write(ends[1], theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
	}
	assert_int_equal(read(ends[0], theirs, sizeof(theirs)), sizeof(theirs));
	waitpid(child, NULL, 0);
	close(ends[0]);
	close(ends[1]);
	/* The five random bytes stand behind the seconds. */
	assert_memory_not_equal(mine + 8, theirs + 8, 10);
}

static void a_message_id_of_another_form_gives_the_start_of_its_hash(void **state)
{
	(void)state;
	char id[ENTRY_ID_BYTES];
	entry_id_from_message_id(TEXT_LITERAL("abc"), id);
	assert_string_equal(id, "ba7816bf8f01cfea414140de"); /* SHA-256 of "abc", FIPS 180-2 */
	entry_id_from_message_id(TEXT_LITERAL("0123456789ABCDEF01234567"), id);
	assert_string_equal(id, "0123456789abcdef01234567");
}

static void an_entry_without_id_and_level_gets_a_new_id_and_info(void **state)
{
	(void)state;
	struct entry entry;
	struct json_object *o = parsed("{\"name\":\"\",\"data\":\"d\",\"other\":1}");
	assert_int_equal(entry_from_json(o, "log", &entry, NULL), ERROR_NONE);
	assert_true(entry_id_is_valid(text_of(entry.id)));
	assert_int_equal(entry.level, ENTRY_INFO);
	assert_text_equal(entry.name, "");
	assert_text_equal(entry.data, "d");
	json_object_put(o);
}

static void wrong_members_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *json, *sentence;
	} cases[] = {
		{ "[]", "log: must be an object" },
		{ "{\"data\":\"\"}", "log.name: is missing" },
		{ "{\"name\":1,\"data\":\"\"}", "log.name: must be a string" },
		{ "{\"name\":\"\",\"data\":null}", "log.data: must be a string" },
		{ "{\"name\":\"\",\"data\":\"\",\"level\":\"info\"}",
		  "log.level: must be INFO, WARNING or ERROR" },
		{ "{\"name\":\"\",\"data\":\"\",\"id\":\"\"}",
		  "log.id: must be 24 hexadecimal digits" },
		{ "{\"name\":\"\",\"data\":\"\",\"id\":\"0123456789abcdef0123456g\"}",
		  "log.id: must be 24 hexadecimal digits" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error e;
		struct entry entry;
		struct json_object *o = parsed(cases[i].json);
		assert_int_equal(entry_from_json(o, "log", &entry, &e), ERROR_BAD_INPUT);
		assert_string_equal(e.text, cases[i].sentence);
		json_object_put(o);
	}
}

static void what_is_written_is_read_back_by_a_peer(void **state)
{
	(void)state;
	struct entry out = { .level = ENTRY_ERROR,
			     .name = TEXT_LITERAL("n\"\\"),
			     .data = TEXT_LITERAL("\xf0\x9f\x98\x80"),
			     .accepted_ms = 1767225599123 };
	struct entry in = { .id = "" };
	entry_id_new(out.id);
	struct json_object *o = entry_to_json(&out);
	assert_int_equal(entry_from_peer_json(o, "", &in, NULL), ERROR_NONE);
	assert_string_equal(in.id, out.id);
	assert_true(entry_same_content(&in, &out));
	assert_int_equal(in.accepted_ms, out.accepted_ms);
	json_object_put(o);
}

static void a_peers_envelope_fills_what_its_message_leaves_out(void **state)
{
	(void)state;
	struct entry entry = { .id = "0123456789abcdef01234567", .level = ENTRY_WARNING };
	struct json_object *o = parsed("{\"name\":\"n\",\"data\":\"d\"}");
	assert_int_equal(entry_from_peer_json(o, "", &entry, NULL), ERROR_NONE);
	assert_string_equal(entry.id, "0123456789abcdef01234567");
	assert_int_equal(entry.level, ENTRY_WARNING);
	json_object_put(o);
}

static void only_a_peer_may_say_when_an_entry_was_accepted(void **state)
{
	(void)state;
	struct entry entry;
	const char *text =
		"{\"name\":\"n\",\"data\":\"d\",\"created_at\":\"2001-01-01T00:00:00.000Z\"}";
	struct json_object *o = parsed(text);
	assert_int_equal(entry_from_json(o, "log", &entry, NULL), ERROR_NONE);
	assert_true(entry.accepted_ms > 1700000000000);
	json_object_put(o);
}

static void levels_and_routing_keys_name_each_other(void **state)
{
	(void)state;
	for (enum entry_level i = 0; i < ENTRY_LEVELS; i++) {
		enum entry_level back = ENTRY_LEVELS;
		assert_true(entry_level_from_name(text_of(entry_level_name(i)), &back));
		assert_int_equal(back, i);
		assert_true(entry_level_from_routing_key(text_of(entry_routing_key(i)), &back));
		assert_int_equal(back, i);
	}
	assert_false(entry_level_from_name(TEXT_LITERAL("INFO "), &(enum entry_level){ 0 }));
}

static void content_is_name_data_and_level(void **state)
{
	(void)state;
	struct entry a = { .name = TEXT_LITERAL("n"), .data = TEXT_LITERAL("d") };
	struct entry b = a;
	b.accepted_ms = 1;
	assert_true(entry_same_content(&a, &b));
	b.level = ENTRY_ERROR;
	assert_false(entry_same_content(&a, &b));
	b = a;
	b.data = TEXT_LITERAL("dd");
	assert_false(entry_same_content(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_valid_and_never_twice_the_same),
		cmocka_unit_test(a_forked_child_makes_ids_of_its_own),
		cmocka_unit_test(a_message_id_of_another_form_gives_the_start_of_its_hash),
		cmocka_unit_test(an_entry_without_id_and_level_gets_a_new_id_and_info),
		cmocka_unit_test(wrong_members_are_named),
		cmocka_unit_test(what_is_written_is_read_back_by_a_peer),
		cmocka_unit_test(a_peers_envelope_fills_what_its_message_leaves_out),
		cmocka_unit_test(only_a_peer_may_say_when_an_entry_was_accepted),
		cmocka_unit_test(levels_and_routing_keys_name_each_other),
		cmocka_unit_test(content_is_name_data_and_level),
	};
	return RUN_SUITE(tests);
}
