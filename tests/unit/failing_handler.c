/* lib/handler and lib/entry without memory: a request is answered with what is true, with a 500, or not at all. */
#include "suite.h"

#include "failing.h"

#include "core/log.h"
#include "entry/entry.h"
#include "handler/exchange.h"

/* Bit i: item i was done. */
static unsigned done;
static int calls;

static struct reply echo(struct request *rq)
{
	struct error e;
	struct json_object *body = NULL;
	struct entry entry;
	struct json_object *data = NULL;
	calls++;
	if (request_json_object(rq, &body, &e) || entry_from_json(body, "", &entry, &e))
		return reply_error(&e);
	data = entry_to_json(&entry);
	return reply_data(202, data, "hello, %.*s", (int)entry.name.n, entry.name.s);
}

static enum error_code take(const struct item *item, struct error *e)
{
	if (!json_object_is_type(item->payload, json_type_int))
		return error_set(e, ERROR_CONFLICT, "not a number");
	done |= 1U << json_object_get_int(item->payload);
	return ERROR_NONE;
}

static enum error_code take_all(struct item *items, size_t count, struct error *e)
{
	(void)e;
	for (size_t i = 0; i < count; i++) {
		struct error verdict = { .code = ERROR_NONE };
		verdict.code = take(&items[i], &verdict);
		items[i].verdict = verdict;
	}
	return ERROR_NONE;
}

static const struct handler echoing = { .call = echo };
static const struct handler each_fed = { .each = take };
static const struct handler batch_fed = { .batch = take_all };

static struct text left;

static ssize_t read_some(void *context, char *bytes, size_t n)
{
	(void)context;
	n = n > 700 ? 700 : n;
	n = n > left.n ? left.n : n;
	memcpy(bytes, left.s, n);
	left.s += n;
	left.n -= n;
	return (ssize_t)n;
}

static bool failed;

/* The answer to a request whose allocations fail as was said; NULL if there is none. The caller frees it. */
static char *answer(const struct handler *handler, char **variables, const char *body)
{
	struct request rq;
	struct buffer out = { 0 };
	done = 0;
	calls = 0;
	left = text_of(body);
	exchange_begin(&rq, handler, variables);
	exchange_read_body(&rq, read_some, NULL);
	bool answered = exchange_answer(&rq, &out);
	exchange_finish(&rq);
	failed = failing_end();
	char *bytes = answered ? buffer_take(&out, NULL) : NULL;
	buffer_finish(&out);
	assert_true(failed || bytes);
	return bytes;
}

#define VARIABLES(...) ((char **)(const char *[]){ __VA_ARGS__, NULL })
#define POST	       "REQUEST_METHOD=POST", "HTTP_X_REQUEST_ID=rid-1"
#define BATCH	       POST, "HTTP_X_TRIGGER=q"

static bool is_500(const char *out)
{
	return strstr(out, "\r\nStatus: 500\r\n\r\n{\"error\":true,\"message\":\"") != NULL;
}

/* The body as JSON; an answer has it whole. The caller puts it back. */
static struct json_object *body_of(const char *out)
{
	struct json_object *body = NULL;
	const char *start = strstr(out, "\r\n\r\n");
	assert_non_null(start);
	assert_int_equal(json_parse(text_of(start + 4), "body", &body, NULL), ERROR_NONE);
	return body;
}

#define ID "0123456789abcdef01234567"

static bool ask_echo(void)
{
	static const char entry[] = "{\"id\":\"" ID "\",\"name\":\"n\",\"data\":\"d\"}";
	char *out = answer(&echoing, VARIABLES(POST, "CONTENT_LENGTH=55"), entry);
	if (out && !is_500(out)) {
		CLEANUP(json_put) struct json_object *body = body_of(out);
		struct text id, name;
		if (!strstr(out, "Status: 202\r\n"))
			fail_msg("%s", out);
		assert_int_equal(calls, 1);
		struct json_object *data = json_object_object_get(body, "data");
		assert_int_equal(json_string(data, "", "id", JSON_REQUIRED, &id, NULL), 0);
		assert_int_equal(json_string(data, "", "name", JSON_REQUIRED, &name, NULL), 0);
		assert_text_equal(id, ID);
		assert_text_equal(name, "n");
	}
	free(out);
	return failed;
}

static void a_request_without_memory_is_a_500_or_its_whole_answer(void **state)
{
	(void)state;
	failing_each_allocation(ask_echo);
}

enum { ITEMS = 6, BAD_ITEM = 3 };

/* Six items, the fourth of which cannot be done. */
static void write_batch(char *out, size_t size)
{
	size_t n = 0;
	for (int i = 0; i < ITEMS; i++)
		n += (size_t)snprintf(
			out + n, size - n,
			"%s{\"id\":\"i%d\",\"key\":\"k\",\"attempt\":1,\"payload\":%s%d%s}",
			i ? "," : "[", i, i == BAD_ITEM ? "\"" : "", i, i == BAD_ITEM ? "\"" : "");
	snprintf(out + n, size - n, "]");
}

/* A success names what failed, and all else was done. */
static void assert_batch_answer(const char *out)
{
	CLEANUP(json_put) struct json_object *body = body_of(out);
	struct json_object *failures = json_object_object_get(body, "failures");
	struct text id;
	assert_non_null(strstr(out, "Status: 200\r\n"));
	assert_int_equal(done, ((1U << ITEMS) - 1) & ~(1U << BAD_ITEM));
	if (!strstr(out, "\"permanent\":true"))
		fail_msg("%s", out);
	assert_non_null(failures);
	assert_int_equal(json_object_array_length(failures), 1);
	struct json_object *failure = json_object_array_get_idx(failures, 0);
	assert_int_equal(json_string(failure, "", "id", JSON_REQUIRED, &id, NULL), 0);
	assert_text_equal(id, "i3");
	assert_true(json_object_get_boolean(json_object_object_get(failure, "permanent")));
}

static bool ask_batch(const struct handler *handler)
{
	char batch[1024];
	write_batch(batch, sizeof(batch));
	char *out = answer(handler, VARIABLES(BATCH), batch);
	if (out && !is_500(out))
		assert_batch_answer(out);
	free(out);
	return failed;
}

static bool ask_each(void)
{
	return ask_batch(&each_fed);
}

static bool ask_all(void)
{
	return ask_batch(&batch_fed);
}

static void a_batch_without_memory_is_a_500_or_says_all_that_failed(void **state)
{
	(void)state;
	failing_each_allocation(ask_each);
	failing_each_allocation(ask_all);
}

static bool ask_malformed(void)
{
	char *out = answer(&echoing, VARIABLES(POST), "{\"name\":\"n\",\"data\":7}");
	if (out && !is_500(out))
		assert_non_null(strstr(out, "Status: 400\r\n"));
	free(out);
	return failed;
}

static void bad_input_without_memory_is_never_taken(void **state)
{
	(void)state;
	failing_each_allocation(ask_malformed);
}

static int start(void **state)
{
	(void)state;
	log_init("probe", (enum log_level)(LOG_LEVEL_ERROR + 1));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_without_memory_is_a_500_or_its_whole_answer),
		cmocka_unit_test(a_batch_without_memory_is_a_500_or_says_all_that_failed),
		cmocka_unit_test(bad_input_without_memory_is_never_taken),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}
