/* Handlers: what a request becomes, what leaves as its answer, and batches from a queue. */
#include "suite.h"

#include "core/limits.h"
#include "core/log.h"
#include "handler/exchange.h"

static int calls;

static struct reply greet(struct request *rq)
{
	calls++;
	return reply_ok(200, "path '%s' query '%s'", request_path(rq), request_query(rq));
}

static struct reply parse(struct request *rq)
{
	struct error e;
	struct json_object *body = NULL;
	if (request_json_object(rq, &body, &e))
		return reply_error(&e);
	return reply_data(202, json_object_get(body), "parsed");
}

/* A payload that is a number fails with that error. */
static enum error_code take(const struct item *item, struct error *e)
{
	calls++;
	if (!json_object_is_type(item->payload, json_type_int))
		return ERROR_NONE;
	return error_set(e, (enum error_code)json_object_get_int(item->payload), "as asked");
}

static const struct handler plain = { .call = greet };
static const struct handler parsing = { .call = parse, .max_body = 64 };
static const struct handler deep = { .methods = METHOD_GET | METHOD_POST,
				     .call = greet,
				     .subpaths = true };
static const struct handler fed = { .each = take };

struct source {
	struct text left;
	size_t broken_at; /* the stream breaks after so many bytes; 0: never */
	size_t given;
};

static ssize_t read_source(void *context, char *bytes, size_t n)
{
	struct source *s = context;
	if (s->broken_at && s->given >= s->broken_at)
		return -1;
	if (n > 7)
		n = 7; /* pieces, as they come from a socket */
	if (n > s->left.n)
		n = s->left.n;
	memcpy(bytes, s->left.s, n);
	s->left.s += n;
	s->left.n -= n;
	s->given += n;
	return (ssize_t)n;
}

/* Answers one request; the caller frees what leaves. */
static char *answer(const struct handler *handler, char **variables, struct source source)
{
	struct request rq;
	struct buffer out = { 0 };
	calls = 0;
	log_init("probe", LOG_LEVEL_ERROR);
	exchange_begin(&rq, handler, variables);
	exchange_read_body(&rq, read_source, &source);
	assert_true(exchange_answer(&rq, &out));
	exchange_finish(&rq);
	return buffer_take(&out, NULL);
}

#define VARIABLES(...) ((char **)(const char *[]){ __VA_ARGS__, NULL })
#define POST	       "REQUEST_METHOD=POST", "HTTP_X_REQUEST_ID=rid-1"

static void expect(const struct handler *handler, char **variables, const char *body,
		   const char *whole_answer)
{
	char *out = answer(handler, variables, (struct source){ .left = text_of(body) });
	assert_string_equal(out, whole_answer);
	free(out);
}

static void expect_part(const struct handler *handler, char **variables, const char *body,
			const char *part)
{
	char *out = answer(handler, variables, (struct source){ .left = text_of(body) });
	if (!strstr(out, part))
		fail_msg("\"%s\" is not in \"%s\"", part, out);
	free(out);
}

static void an_answer_is_utf8_whatever_a_handler_puts_into_it(void **state)
{
	(void)state;
	expect_part(&plain, VARIABLES(POST, "QUERY_STRING=\xff\xc3\xa9\xc3"), "",
		    "query '?\xc3\xa9?'");
	char query[2 * REPLY_MESSAGE_BYTES] = "QUERY_STRING=";
	for (size_t shift = 0; shift < 3; shift++) {
		size_t at = strlen("QUERY_STRING=");
		memset(query + at, 'x', shift);
		for (at += shift; at < sizeof(query) - 4; at += 3)
			memcpy(query + at, "\xe2\x82\xac", 4);
		char *out = answer(&plain, VARIABLES(POST, query),
				   (struct source){ .left = text_of("") });
		assert_non_null(strstr(out, "\xe2\x82\xac\"}"));
		free(out);
	}
}

static void an_answer_has_its_length_and_names_its_status_last(void **state)
{
	(void)state;
	expect(&plain, VARIABLES(POST, "PATH_INFO=/probe", "QUERY_STRING=a=1"), "anything",
	       "Content-Type: application/json\r\nContent-Length: 47\r\nStatus: 200\r\n\r\n"
	       "{\"error\":false,\"message\":\"path '' query 'a=1'\"}");
}

static void the_path_is_what_follows_the_name(void **state)
{
	(void)state;
	expect_part(&deep, VARIABLES(POST, "PATH_INFO=/probe/a/b"), "", "path '/a/b'");
	expect_part(&deep, VARIABLES(POST, "PATH_INFO=/probes"), "", "path '/probes'");
	expect_part(&deep, VARIABLES(POST, "SCRIPT_NAME=/probe", "PATH_INFO=/probe"), "",
		    "path '/probe'");
	expect_part(&deep, VARIABLES(POST, "PATH_INFO=/a"), "", "path '/a'");
	expect_part(&deep, VARIABLES(POST), "", "path ''");
	expect_part(&deep, VARIABLES(POST, "SCRIPT_NAME=/probe", "PATH_INFO=/probe/a"), "",
		    "path '/probe/a'");
	expect_part(&deep, VARIABLES(POST, "SCRIPT_NAME=/probe", "PATH_INFO="), "", "path ''");
}

static void a_path_below_is_404_unless_the_handler_takes_it(void **state)
{
	(void)state;
	expect_part(&plain, VARIABLES(POST, "PATH_INFO=/probe/x"), "", "Status: 404\r\n");
	expect_part(&plain, VARIABLES(POST, "PATH_INFO=/probe/"), "", "Status: 200\r\n");
	assert_int_equal(calls, 1);
}

static void another_method_is_405_and_hears_what_is_taken(void **state)
{
	(void)state;
	expect(&plain, VARIABLES("REQUEST_METHOD=GET", "HTTP_X_REQUEST_ID=r"), "",
	       "Content-Type: application/json\r\nContent-Length: 99\r\nAllow: POST\r\n"
	       "Status: 405\r\n\r\n{\"error\":true,\"message\":\"the handler does not take this "
	       "method\",\"handler\":\"probe\",\"request_id\":\"r\"}");
	expect_part(&deep, VARIABLES("REQUEST_METHOD=BREW"), "", "Allow: GET, HEAD, POST\r\n");
	assert_int_equal(calls, 0);
}

static void head_gets_the_headers_of_get_alone(void **state)
{
	(void)state;
	char *out = answer(&deep, VARIABLES("REQUEST_METHOD=HEAD"),
			   (struct source){ .left = text_of("") });
	assert_non_null(strstr(out, "Content-Length: 4"));
	assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n");
	free(out);
}

static void a_body_that_breaks_off_is_never_acted_on(void **state)
{
	(void)state;
	char *out = answer(&plain, VARIABLES(POST),
			   (struct source){ .left = text_of("0123456789"), .broken_at = 7 });
	assert_non_null(strstr(out, "Status: 408\r\n"));
	assert_int_equal(calls, 0);
	free(out);
	expect_part(&plain, VARIABLES(POST, "CONTENT_LENGTH=11"), "0123456789", "Status: 408\r\n");
	assert_int_equal(calls, 0);
	expect_part(&plain, VARIABLES(POST, "CONTENT_LENGTH=-1"), "0123456789", "Status: 200\r\n");
	expect_part(&plain, VARIABLES(POST, "CONTENT_LENGTH="), "0123456789", "Status: 200\r\n");
}

static void a_body_over_the_limit_is_413_and_read_to_its_end(void **state)
{
	(void)state;
	char large[200];
	memset(large, ' ', sizeof(large));
	large[sizeof(large) - 1] = '\0';
	expect_part(&parsing, VARIABLES(POST), large, "Status: 413\r\n");
	memcpy(large, "{}", 2);
	large[64] = '\0';
	expect_part(&parsing, VARIABLES(POST), large, "Status: 202\r\n");
}

static void an_error_names_the_handler_and_the_request(void **state)
{
	(void)state;
	expect_part(&parsing, VARIABLES(POST), "[]",
		    "{\"error\":true,\"message\":\"the body: must be an object\","
		    "\"handler\":\"probe\",\"request_id\":\"rid-1\"}");
}

static void a_request_id_that_is_none_is_made_anew(void **state)
{
	(void)state;
	char *out = answer(&parsing, VARIABLES("REQUEST_METHOD=POST", "HTTP_X_REQUEST_ID=a\"b"),
			   (struct source){ .left = text_of("") });
	assert_null(strstr(out, "a\\\"b"));
	const char *id = strstr(out, "\"request_id\":\"");
	assert_non_null(id);
	assert_int_equal(strcspn(id + 14, "\""), 32);
	free(out);
}

#define QUEUE		  POST, "HTTP_X_TRIGGER=logs"
#define ITEM(id, payload) "{\"id\":\"" id "\",\"key\":\"k\",\"attempt\":1,\"payload\":" payload "}"

static void a_batch_that_is_done_has_no_failures(void **state)
{
	(void)state;
	expect_part(&fed, VARIABLES(QUEUE), "[" ITEM("a", "{}") "," ITEM("b", "null") "]",
		    "\r\n\r\n{\"error\":false,\"message\":\"2 of 2 done\"}");
	assert_int_equal(calls, 2);
}

static void what_fails_is_named_with_its_reason(void **state)
{
	(void)state;
	char body[512];
	snprintf(body, sizeof(body),
		 "[" ITEM("a", "%d") "," ITEM("b", "{}") "," ITEM("c", "%d") "]", ERROR_CONFLICT,
		 ERROR_INTERNAL);
	expect_part(&fed, VARIABLES(QUEUE), body,
		    "Status: 200\r\n\r\n{\"error\":false,\"message\":\"1 of 3 done\",\"failures\":["
		    "{\"id\":\"a\",\"permanent\":true,\"reason\":\"as asked\"},"
		    "{\"id\":\"c\",\"permanent\":false,\"reason\":\"as asked\"}]}");
}

static void a_peer_that_is_away_pauses_the_batch_before_its_first_item(void **state)
{
	(void)state;
	char body[512];
	snprintf(body, sizeof(body), "[" ITEM("a", "%d") "," ITEM("b", "{}") "]", ERROR_PEER_DOWN);
	expect_part(&fed, VARIABLES(QUEUE), body, "Retry-After: 1\r\nStatus: 503\r\n");
	assert_int_equal(calls, 1);
	snprintf(body, sizeof(body),
		 "[" ITEM("a", "{}") "," ITEM("b", "%d") "," ITEM("c", "{}") "]", ERROR_PEER_DOWN);
	expect_part(&fed, VARIABLES(QUEUE), body, "\"message\":\"1 of 3 done\"");
	assert_int_equal(calls, 2);
}

static void an_item_that_is_deferred_pauses_nobody_else(void **state)
{
	(void)state;
	char body[512];
	snprintf(body, sizeof(body), "[" ITEM("a", "%d") "," ITEM("b", "{}") "]", ERROR_DEFERRED);
	expect_part(&fed, VARIABLES(QUEUE), body,
		    "\"message\":\"1 of 2 done\",\"failures\":[{\"id\":\"a\",\"permanent\":false,");
	assert_int_equal(calls, 2);
}

static void a_batch_that_cannot_be_read_is_refused_whole(void **state)
{
	(void)state;
	expect_part(&fed, VARIABLES(QUEUE), "{}", "the body: must be an array of items");
	expect_part(&fed, VARIABLES(QUEUE), "[]", "the body: must hold 1 to 10000 items");
	expect_part(&fed, VARIABLES(QUEUE), "[" ITEM("a", "1") ",{\"id\":\"b\"}]",
		    "items[1].key: is missing");
	expect_part(&fed, VARIABLES(QUEUE), "[{\"id\":\"b\",\"key\":\"\",\"attempt\":0}]",
		    "items[0].attempt: must be a number from 1");
	expect_part(&fed, VARIABLES(QUEUE), "[{\"id\":\"b\",\"key\":\"\",\"attempt\":1}]",
		    "items[0].payload: is missing");
	assert_int_equal(calls, 0);
}

static void a_handler_that_only_a_queue_feeds_answers_nobody_else(void **state)
{
	(void)state;
	expect_part(&fed, VARIABLES(POST), "[]", "Status: 404\r\n");
	assert_int_equal(calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_utf8_whatever_a_handler_puts_into_it),
		cmocka_unit_test(an_answer_has_its_length_and_names_its_status_last),
		cmocka_unit_test(the_path_is_what_follows_the_name),
		cmocka_unit_test(a_path_below_is_404_unless_the_handler_takes_it),
		cmocka_unit_test(another_method_is_405_and_hears_what_is_taken),
		cmocka_unit_test(head_gets_the_headers_of_get_alone),
		cmocka_unit_test(a_body_that_breaks_off_is_never_acted_on),
		cmocka_unit_test(a_body_over_the_limit_is_413_and_read_to_its_end),
		cmocka_unit_test(an_error_names_the_handler_and_the_request),
		cmocka_unit_test(a_request_id_that_is_none_is_made_anew),
		cmocka_unit_test(a_batch_that_is_done_has_no_failures),
		cmocka_unit_test(what_fails_is_named_with_its_reason),
		cmocka_unit_test(a_peer_that_is_away_pauses_the_batch_before_its_first_item),
		cmocka_unit_test(an_item_that_is_deferred_pauses_nobody_else),
		cmocka_unit_test(a_batch_that_cannot_be_read_is_refused_whole),
		cmocka_unit_test(a_handler_that_only_a_queue_feeds_answers_nobody_else),
	};
	return RUN_SUITE(tests);
}
