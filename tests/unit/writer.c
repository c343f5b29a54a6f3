/* The writer's batches, bounds and times, on a store that does what the test says. */
#include "suite.h"

#include <uv.h>

#include "core/clock.h"
#include "store/writer.h"

enum { MAX_BATCHES = 64, WAIT_MS = 10000 };

/* A store whose inserts wait at a gate, and fail as told. */
static struct {
	uv_mutex_t lock;
	uv_cond_t change;
	bool shut;
	enum error_code all; /* what every entry gets */
	int batches, begun;
	size_t sizes[MAX_BATCHES];
	char last_data[64];
} fake;

static uv_loop_t loop;
static uv_timer_t watchdog;
static struct writer *writer;
static int answered, failed, changes;
static bool closed, well;
static struct error last_failure;

static enum error_code fake_insert(const struct entry *entries, size_t count,
				   struct error *verdicts, struct error *e)
{
	(void)e;
	uv_mutex_lock(&fake.lock);
	fake.begun++;
	uv_cond_broadcast(&fake.change);
	while (fake.shut)
		uv_cond_wait(&fake.change, &fake.lock);
	for (size_t i = 0; i < count; i++) {
		if (fake.all)
			error_set(&verdicts[i], fake.all, "as told");
		else if (text_equal(entries[i].name, text_of("bad")))
			error_set(&verdicts[i], ERROR_CONFLICT, "id in use");
		else
			verdicts[i].code = ERROR_NONE;
	}
	snprintf(fake.last_data, sizeof(fake.last_data), "%s", entries[count - 1].data.s);
	fake.sizes[fake.batches++ % MAX_BATCHES] = count;
	uv_mutex_unlock(&fake.lock);
	return ERROR_NONE;
}

static enum error_code fake_ping(struct error *e)
{
	(void)e;
	uv_mutex_lock(&fake.lock);
	enum error_code code = fake.all;
	uv_mutex_unlock(&fake.lock);
	return code;
}

static void set_gate(bool shut)
{
	uv_mutex_lock(&fake.lock);
	fake.shut = shut;
	uv_cond_broadcast(&fake.change);
	uv_mutex_unlock(&fake.lock);
}

static void set_failure(enum error_code all)
{
	uv_mutex_lock(&fake.lock);
	fake.all = all;
	uv_mutex_unlock(&fake.lock);
}

static void wait_begun(int count)
{
	uv_mutex_lock(&fake.lock);
	while (fake.begun < count)
		assert_int_equal(
			uv_cond_timedwait(&fake.change, &fake.lock, (uint64_t)WAIT_MS * 1000000),
			0);
	uv_mutex_unlock(&fake.lock);
}

static void on_done(void *context, const struct error *e)
{
	(void)context;
	answered++;
	if (e->code) {
		failed++;
		last_failure = *e;
	}
}

static void on_closed(void *context)
{
	(void)context;
	closed = true;
}

static void on_change(void *context, bool is_well)
{
	(void)context;
	changes++;
	well = is_well;
}

static void on_watchdog(uv_timer_t *timer)
{
	(void)timer;
	fail_msg("the writer did not do it in time");
}

/* Runs the loop until a condition holds. */
#define RUN_UNTIL(condition)                                                                       \
	do {                                                                                       \
		uv_timer_start(&watchdog, on_watchdog, WAIT_MS, 0);                                \
		while (!(condition))                                                               \
			uv_run(&loop, UV_RUN_ONCE);                                                \
		uv_timer_stop(&watchdog);                                                          \
	} while (0)

static enum error_code put(const char *name, const char *data)
{
	struct entry entry = { .name = text_of(name), .data = text_of(data) };
	entry_id_new(entry.id);
	return writer_put(writer, &entry, on_done, NULL, NULL);
}

static void open_writer(struct writer_options options)
{
	memset(&fake, 0, sizeof(fake));
	uv_mutex_init(&fake.lock);
	uv_cond_init(&fake.change);
	answered = failed = changes = 0;
	closed = false;
	options.insert = fake_insert;
	options.ping = fake_ping;
	options.changed = on_change;
	uv_loop_init(&loop);
	uv_timer_init(&loop, &watchdog);
	writer = writer_open(&loop, &options);
	assert_non_null(writer);
}

static void close_writer(void)
{
	writer_close(writer, on_closed, NULL);
	RUN_UNTIL(closed);
	uv_close((uv_handle_t *)&watchdog, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	uv_cond_destroy(&fake.change);
	uv_mutex_destroy(&fake.lock);
}

static void a_lone_entry_is_stored_at_once(void **state)
{
	(void)state;
	open_writer((struct writer_options){ 0 });
	char data[] = "copied";
	assert_int_equal(put("n", data), ERROR_NONE);
	memset(data, 'x', sizeof(data) - 1);
	RUN_UNTIL(answered == 1);
	assert_int_equal(failed, 0);
	assert_string_equal(fake.last_data, "copied");
	close_writer();
}

static void what_comes_during_an_insert_is_the_next_batch(void **state)
{
	(void)state;
	open_writer((struct writer_options){ .max_batch = 6 });
	set_gate(true);
	put("n", "first");
	wait_begun(1);
	for (int i = 0; i < 10; i++)
		put("n", "more");
	set_gate(false);
	RUN_UNTIL(answered == 11);
	assert_int_equal(fake.batches, 3);
	assert_int_equal(fake.sizes[0], 1);
	assert_int_equal(fake.sizes[1], 6);
	assert_int_equal(fake.sizes[2], 4);
	close_writer();
}

static void after_a_batch_of_several_as_many_are_waited_for(void **state)
{
	(void)state;
	open_writer((struct writer_options){ .gather_us = WAIT_MS * UINT64_C(1000) });
	set_gate(true);
	put("n", "alone");
	wait_begun(1);
	put("n", "second");
	put("n", "third");
	set_gate(false);
	RUN_UNTIL(answered == 3);
	put("n", "fourth");
	for (int i = 0; i < 100; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	put("n", "fifth");
	RUN_UNTIL(answered == 5);
	assert_int_equal(fake.batches, 3);
	assert_int_equal(fake.sizes[0], 1);
	assert_int_equal(fake.sizes[1], 2);
	assert_int_equal(fake.sizes[2], 2);
	close_writer();
}

static void a_lone_entry_after_a_batch_waits_for_no_other_for_long(void **state)
{
	(void)state;
	open_writer((struct writer_options){ .gather_us = 1000 });
	set_gate(true);
	put("n", "alone");
	wait_begun(1);
	put("n", "second");
	put("n", "third");
	set_gate(false);
	RUN_UNTIL(answered == 3);
	put("n", "fourth");
	RUN_UNTIL(answered == 4);
	assert_int_equal(fake.sizes[2], 1);
	close_writer();
}

static void an_entry_that_fails_fails_only_its_own_call(void **state)
{
	(void)state;
	open_writer((struct writer_options){ 0 });
	set_gate(true);
	put("good", "");
	put("bad", "");
	put("good", "");
	set_gate(false);
	RUN_UNTIL(answered == 3);
	assert_int_equal(failed, 1);
	assert_int_equal(last_failure.code, ERROR_CONFLICT);
	assert_string_equal(last_failure.text, "id in use");
	assert_true(writer_is_well(writer));
	close_writer();
}

static void what_is_over_a_bound_is_refused_at_once(void **state)
{
	(void)state;
	open_writer((struct writer_options){ .max_waiting = 3, .max_bytes = 10 });
	set_gate(true);
	assert_int_equal(put("", "a text over the bound, but alone"), ERROR_NONE);
	assert_int_equal(put("", "x"), ERROR_PEER_FULL);
	set_gate(false);
	RUN_UNTIL(answered == 1);
	set_gate(true);
	assert_int_equal(put("", "12345"), ERROR_NONE);
	assert_int_equal(put("", "123456"), ERROR_PEER_FULL);
	assert_int_equal(put("", ""), ERROR_NONE);
	assert_int_equal(put("", ""), ERROR_NONE);
	assert_int_equal(put("", ""), ERROR_PEER_FULL);
	set_gate(false);
	RUN_UNTIL(answered == 4);
	assert_int_equal(put("", ""), ERROR_NONE);
	RUN_UNTIL(answered == 5);
	assert_int_equal(failed, 0);
	close_writer();
}

static void a_batch_has_a_bound_of_bytes(void **state)
{
	(void)state;
	char *large = malloc(WRITER_MAX_BATCH_BYTES / 2);
	memset(large, 'x', WRITER_MAX_BATCH_BYTES / 2 - 1);
	large[WRITER_MAX_BATCH_BYTES / 2 - 1] = '\0';
	open_writer((struct writer_options){ 0 });
	set_gate(true);
	put("", "first");
	wait_begun(1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(put("", large), ERROR_NONE);
	set_gate(false);
	RUN_UNTIL(answered == 4);
	assert_int_equal(fake.batches, 3);
	assert_int_equal(fake.sizes[1], 2);
	close_writer();
	free(large);
}

static void a_store_that_hangs_is_told_within_the_timeout_and_once(void **state)
{
	(void)state;
	open_writer((struct writer_options){ .timeout_ms = 100 });
	set_gate(true);
	int64_t began = clock_now_ms();
	put("n", "");
	wait_begun(1);
	put("n", "");
	RUN_UNTIL(answered == 2);
	assert_in_range(clock_now_ms() - began, 100, 2000);
	assert_int_equal(last_failure.code, ERROR_PEER_TIMEOUT);
	set_gate(false);
	put("n", "");
	RUN_UNTIL(answered == 3);
	assert_int_equal(failed, 2);
	close_writer();
	assert_int_equal(answered, 3);
}

static void a_store_that_went_away_is_found_again_without_an_entry(void **state)
{
	(void)state;
	open_writer((struct writer_options){ 0 });
	set_failure(ERROR_PEER_DOWN);
	put("n", "");
	RUN_UNTIL(answered == 1);
	assert_int_equal(last_failure.code, ERROR_PEER_DOWN);
	assert_false(writer_is_well(writer));
	assert_int_equal(changes, 1);
	set_failure(ERROR_NONE);
	RUN_UNTIL(changes == 2);
	assert_true(well && writer_is_well(writer));
	close_writer();
}

static void a_writer_that_closes_stores_what_waits_and_takes_no_more(void **state)
{
	(void)state;
	open_writer((struct writer_options){ 0 });
	set_gate(true);
	for (int i = 0; i < 20; i++)
		put("n", "");
	writer_close(writer, on_closed, NULL);
	assert_int_equal(put("n", ""), ERROR_PEER_DOWN);
	set_gate(false);
	RUN_UNTIL(closed);
	assert_int_equal(answered, 20);
	assert_int_equal(failed, 0);
	uv_close((uv_handle_t *)&watchdog, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void many_entries_are_each_answered_once(void **state)
{
	(void)state;
	enum { MANY = 50000, AT_ONCE = 64 };
	open_writer((struct writer_options){ 0 });
	int put_count = 0;
	uv_timer_start(&watchdog, on_watchdog, 3 * (uint64_t)WAIT_MS, 0);
	while (answered < MANY) {
		for (; put_count - answered < AT_ONCE && put_count < MANY; put_count++)
			put("n", "data");
		uv_run(&loop, UV_RUN_ONCE);
	}
	uv_timer_stop(&watchdog);
	assert_int_equal(answered, MANY);
	close_writer();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lone_entry_is_stored_at_once),
		cmocka_unit_test(what_comes_during_an_insert_is_the_next_batch),
		cmocka_unit_test(after_a_batch_of_several_as_many_are_waited_for),
		cmocka_unit_test(a_lone_entry_after_a_batch_waits_for_no_other_for_long),
		cmocka_unit_test(an_entry_that_fails_fails_only_its_own_call),
		cmocka_unit_test(what_is_over_a_bound_is_refused_at_once),
		cmocka_unit_test(a_batch_has_a_bound_of_bytes),
		cmocka_unit_test(a_store_that_hangs_is_told_within_the_timeout_and_once),
		cmocka_unit_test(a_store_that_went_away_is_found_again_without_an_entry),
		cmocka_unit_test(a_writer_that_closes_stores_what_waits_and_takes_no_more),
		cmocka_unit_test(many_entries_are_each_answered_once),
	};
	return RUN_SUITE(tests);
}
