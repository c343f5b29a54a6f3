/* Calls to other handlers: what goes out, and what each answer or failure means. */
#include "suite.h"

#include <unistd.h>

#include "call/call.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/limits.h"
#include "core/log.h"
#include "http_peer.h"

enum { ENOUGH_MS = 5000 };

#define WORKER "X-Handler: log\r\n"
#define OK202  "HTTP/1.1 202 Accepted\r\n" WORKER "Content-Length: 2\r\n\r\n{}"

static struct http_peer peer;
static char site[64];

static int64_t soon(void)
{
	return clock_now_ms() + ENOUGH_MS;
}

static enum error_code call(struct call_answer *answer, struct error *e)
{
	return call_post(site, "/log", text_of("{\"a\":1}"), soon(), answer, e);
}

static void an_answer_comes_back_whole(void **state)
{
	(void)state;
	struct call_answer answer;
	struct error e;
	http_peer_answers(&peer, OK202);
	assert_int_equal(call(&answer, &e), ERROR_NONE);
	assert_int_equal(answer.status, 202);
	assert_true(answer.worker);
	assert_int_equal(answer.size, 2);
	assert_string_equal(answer.body, "{}");
	call_answer_finish(&answer);
	assert_null(answer.body);
}

static void a_request_is_json_with_the_ids_of_what_is_worked_on(void **state)
{
	(void)state;
	struct call_answer answer;
	http_peer_answers(&peer, OK202);
	log_set_context("request-9", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
	assert_int_equal(call(&answer, NULL), ERROR_NONE);
	call_answer_finish(&answer);
	log_set_context("", "");
	const char *request = http_peer_request(&peer);
	assert_int_equal(strncmp(request, "POST /log HTTP/1.1\r\n", 20), 0);
	assert_non_null(strstr(request, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(request, "\r\nX-Request-Id: request-9\r\n"));
	assert_non_null(strstr(request, "\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-"));
	assert_null(strcasestr(request, "\r\nExpect:"));
	assert_non_null(strstr(request, "\r\n\r\n{\"a\":1}"));
}

static void an_id_that_would_break_the_line_is_left_out(void **state)
{
	(void)state;
	struct call_answer answer;
	http_peer_answers(&peer, OK202);
	log_set_context("x\r\nX-Evil: 1", "");
	assert_int_equal(call(&answer, NULL), ERROR_NONE);
	call_answer_finish(&answer);
	log_set_context("", "");
	assert_null(strstr(http_peer_request(&peer), "X-Evil"));
	assert_null(strstr(http_peer_request(&peer), "X-Request-Id"));
}

static void a_connection_is_kept_between_calls_and_remade_when_it_is_gone(void **state)
{
	(void)state;
	struct call_answer answer;
	http_peer_answers(&peer, OK202);
	assert_int_equal(call(&answer, NULL), ERROR_NONE);
	call_answer_finish(&answer);
	int connections = http_peer_connections(&peer);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(call(&answer, NULL), ERROR_NONE);
		call_answer_finish(&answer);
	}
	assert_int_equal(http_peer_connections(&peer), connections);
	http_peer_closes(&peer, OK202);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(call(&answer, NULL), ERROR_NONE);
		call_answer_finish(&answer);
		http_peer_await_closed(&peer);
	}
	assert_in_range(http_peer_connections(&peer), connections + 2, connections + 3);
}

static void a_request_is_never_sent_twice(void **state)
{
	(void)state;
	struct call_answer answer;
	struct error e;
	http_peer_answers(&peer, OK202);
	assert_int_equal(call(&answer, NULL), ERROR_NONE);
	call_answer_finish(&answer);
	int requests = http_peer_requests(&peer);
	/* On the kept connection, after a request that was taken whole. */
	http_peer_closes(&peer, "");
	assert_int_equal(call(&answer, &e), ERROR_PEER_ANSWER);
	assert_int_equal(http_peer_requests(&peer), requests + 1);
}

static void a_large_body_leaves_at_once_and_whole(void **state)
{
	(void)state;
	size_t n = 2097152;
	char *body = malloc(n);
	struct call_answer answer;
	assert_non_null(body);
	memset(body, 'b', n);
	http_peer_answers(&peer, OK202);
	int64_t began = clock_now_ms();
	assert_int_equal(call_post(site, "/log", (struct text){ body, n }, soon(), &answer, NULL),
			 ERROR_NONE);
	assert_in_range(clock_now_ms() - began, 0, 900); /* no wait for 100 Continue */
	call_answer_finish(&answer);
	assert_true(peer.request.size > n);
	free(body);
}

static void an_answer_without_x_handler_is_no_workers(void **state)
{
	(void)state;
	struct call_answer answer;
	http_peer_answers(&peer, "HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(call(&answer, NULL), ERROR_NONE);
	assert_int_equal(answer.status, 502);
	assert_false(answer.worker);
	assert_string_equal(answer.body, "");
	call_answer_finish(&answer);
	http_peer_answers(&peer, "HTTP/1.1 103 X\r\n" WORKER "\r\n"
				 "HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(call(&answer, NULL), ERROR_NONE);
	assert_false(answer.worker);
	call_answer_finish(&answer);
}

static void a_redirection_is_an_answer_and_not_followed(void **state)
{
	(void)state;
	struct call_answer answer;
	int requests = http_peer_requests(&peer);
	http_peer_answers(&peer, "HTTP/1.1 302 X\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(call(&answer, NULL), ERROR_NONE);
	assert_int_equal(answer.status, 302);
	call_answer_finish(&answer);
	assert_int_equal(http_peer_requests(&peer), requests + 1);
}

static void a_peer_that_is_not_there_is_down(void **state)
{
	(void)state;
	struct call_answer answer;
	struct error e;
	assert_int_equal(
		call_post("unix:/nonexistent/x.sock", "/log", text_of("{}"), soon(), &answer, &e),
		ERROR_PEER_DOWN);
	assert_null(answer.body);
	int port = peer.port; /* of a listener that is closed again */
	struct http_peer gone;
	http_peer_start(&gone, NULL);
	port = gone.port;
	http_peer_stop(&gone);
	char name[64];
	snprintf(name, sizeof(name), "http://127.0.0.1:%d", port);
	assert_int_equal(call_post(name, "/log", text_of("{}"), soon(), &answer, &e),
			 ERROR_PEER_DOWN);
}

static void a_peer_that_is_silent_is_a_timeout_in_time(void **state)
{
	(void)state;
	struct call_answer answer;
	struct error e;
	http_peer_answers(&peer, "");
	int64_t began = clock_now_ms();
	assert_int_equal(call_post(site, "/log", text_of("{}"), began + 200, &answer, &e),
			 ERROR_PEER_TIMEOUT);
	assert_in_range(clock_now_ms() - began, 195, 1500);
	began = clock_now_ms();
	assert_int_not_equal(call_post(site, "/log", text_of("{}"), began - 1, &answer, &e),
			     ERROR_NONE);
	assert_in_range(clock_now_ms() - began, 0, 1000);
}

static void what_is_no_http_or_too_long_or_cut_is_a_wrong_answer(void **state)
{
	(void)state;
	static const char *const answers[] = {
		"SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"",
		"HTTP/1.1 202 X\r\nContent-Length: 9\r\n\r\nshort",
		"HTTP/1.1 202 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
	};
	struct call_answer answer;
	struct error e;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		http_peer_closes(&peer, answers[i]);
		assert_int_equal(call(&answer, &e), ERROR_PEER_ANSWER);
		assert_null(answer.body);
	}
	http_peer_closes(&peer, "HTTP/1.1 200 X\r\n" WORKER "\r\n");
	http_peer_pads(&peer, MAX_BODY_BYTES + 1);
	assert_int_equal(call(&answer, &e), ERROR_PEER_ANSWER);
	http_peer_closes(&peer, "HTTP/1.1 200 X\r\n" WORKER "\r\n");
	http_peer_pads(&peer, MAX_BODY_BYTES);
	assert_int_equal(call(&answer, &e), ERROR_NONE);
	assert_int_equal(answer.size, MAX_BODY_BYTES);
	call_answer_finish(&answer);
}

static void a_unix_socket_may_have_spaces_in_its_path(void **state)
{
	(void)state;
	char directory[] = "/tmp/call test XXXXXX";
	char path[64], name[80];
	struct http_peer local;
	struct call_answer answer;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/a b.sock", directory);
	snprintf(name, sizeof(name), "unix:%s", path);
	http_peer_start(&local, path);
	http_peer_answers(&local, OK202);
	assert_int_equal(call_post(name, "/log", text_of("{}"), soon(), &answer, NULL), ERROR_NONE);
	assert_int_equal(answer.status, 202);
	call_answer_finish(&answer);
	http_peer_stop(&local);
	unlink(path);
	rmdir(directory);
}

static void a_site_that_cannot_be_is_a_wrong_setting(void **state)
{
	(void)state;
	static const char *const names[] = { "", "unix:", "https://x", "ftp://x",
					     "file:///etc/passwd" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct call_answer answer;
		struct error e;
		assert_int_equal(call_post(names[i], "/log", text_of("{}"), soon(), &answer, &e),
				 ERROR_CONFIG);
		assert_int_equal(call_post(names[i], "/log", text_of("{}"), soon(), &answer, NULL),
				 ERROR_CONFIG);
	}
}

static void more_sites_than_there_are_places_are_served_in_turn(void **state)
{
	(void)state;
	struct http_peer peers[6];
	struct call_answer answer;
	for (int i = 0; i < 6; i++) {
		http_peer_start(&peers[i], NULL);
		http_peer_answers(&peers[i], OK202);
	}
	for (int round = 0; round < 12; round++) {
		char name[64];
		snprintf(name, sizeof(name), "http://127.0.0.1:%d/", peers[round % 6].port);
		assert_int_equal(call_post(name, "/log", text_of("{}"), soon(), &answer, NULL),
				 ERROR_NONE);
		call_answer_finish(&answer);
	}
	for (int i = 0; i < 6; i++) {
		assert_int_equal(http_peer_requests(&peers[i]), 2);
		http_peer_stop(&peers[i]);
	}
}

/* ---- the internal site ---- */

static void an_internal_answer_becomes_an_error_of_its_status(void **state)
{
	(void)state;
	static const struct {
		const char *answer;
		enum error_code code;
		const char *sentence;
	} answers[] = {
		{ "HTTP/1.1 401 X\r\n" WORKER
		  "Content-Length: 46\r\n\r\n{\"error\":true,\"message\":\"invalid credentials\"}",
		  ERROR_CREDENTIALS, "invalid credentials" },
		{ "HTTP/1.1 409 X\r\n" WORKER "Content-Length: 15\r\n\r\n{\"message\":\"x\"}",
		  ERROR_CONFLICT, "x" },
		{ "HTTP/1.1 422 X\r\n" WORKER "Content-Length: 4\r\n\r\nnull", ERROR_UNPROCESSABLE,
		  "/log answered 422" },
		{ "HTTP/1.1 500 X\r\n" WORKER "Content-Length: 7\r\n\r\n<html/>", ERROR_PEER_ANSWER,
		  "/log answered 500" },
		{ "HTTP/1.1 503 X\r\n" WORKER "Content-Length: 15\r\n\r\n{\"message\":\"y\"}",
		  ERROR_PEER_DOWN, "y" },
		{ "HTTP/1.1 504 X\r\n" WORKER "Content-Length: 15\r\n\r\n{\"message\":\"z\"}",
		  ERROR_PEER_TIMEOUT, "z" },
		{ "HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n", ERROR_PEER_DOWN,
		  "there is no handler /log" },
		{ "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", ERROR_PEER_DOWN,
		  "the handler /log is not running" },
		{ "HTTP/1.1 504 X\r\nContent-Length: 0\r\n\r\n", ERROR_PEER_TIMEOUT, "in time" },
		{ "HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n", ERROR_PEER_ANSWER,
		  "no worker of /log answered (502)" },
		/* The worst: a clean 202 that no worker gave. */
		{ "HTTP/1.1 202 X\r\nContent-Length: 0\r\n\r\n", ERROR_PEER_ANSWER, "(202)" },
	};
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct call_answer answer;
		struct error e = { 0 };
		http_peer_answers(&peer, answers[i].answer);
		assert_int_equal(call_internal("/log", text_of("{}"), soon(), &answer, &e),
				 answers[i].code);
		if (!strstr(e.text, answers[i].sentence))
			fail_msg("\"%s\" is not \"%s\"", e.text, answers[i].sentence);
		assert_null(answer.body);
	}
}

static void an_internal_success_comes_back_as_it_is(void **state)
{
	(void)state;
	struct call_answer answer;
	http_peer_answers(&peer, OK202);
	assert_int_equal(call_internal("/log", text_of("{}"), soon(), &answer, NULL), ERROR_NONE);
	assert_string_equal(answer.body, "{}");
	call_answer_finish(&answer);
}

static int start(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR);
	http_peer_start(&peer, NULL);
	snprintf(site, sizeof(site), "http://127.0.0.1:%d", peer.port);
	setenv("INTERNAL_URL", site, 1);
	return config_load(NULL) ? -1 : 0;
}

static int stop(void **state)
{
	(void)state;
	http_peer_stop(&peer);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_comes_back_whole),
		cmocka_unit_test(a_request_is_json_with_the_ids_of_what_is_worked_on),
		cmocka_unit_test(an_id_that_would_break_the_line_is_left_out),
		cmocka_unit_test(a_connection_is_kept_between_calls_and_remade_when_it_is_gone),
		cmocka_unit_test(a_request_is_never_sent_twice),
		cmocka_unit_test(a_large_body_leaves_at_once_and_whole),
		cmocka_unit_test(an_answer_without_x_handler_is_no_workers),
		cmocka_unit_test(a_redirection_is_an_answer_and_not_followed),
		cmocka_unit_test(a_peer_that_is_not_there_is_down),
		cmocka_unit_test(a_peer_that_is_silent_is_a_timeout_in_time),
		cmocka_unit_test(what_is_no_http_or_too_long_or_cut_is_a_wrong_answer),
		cmocka_unit_test(a_unix_socket_may_have_spaces_in_its_path),
		cmocka_unit_test(a_site_that_cannot_be_is_a_wrong_setting),
		cmocka_unit_test(more_sites_than_there_are_places_are_served_in_turn),
		cmocka_unit_test(an_internal_answer_becomes_an_error_of_its_status),
		cmocka_unit_test(an_internal_success_comes_back_as_it_is),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
