/* A worker whose reads and writes do a few bytes each, or are interrupted: it answers whole, or no success. */
#include "suite.h"

#include "failing.h"

#include "fastcgi.h"

enum { REQUESTS = 40, BODY_BYTES = 3000 };

static char body[BODY_BYTES + 1];

/* It acts only on a body that came as it was sent. */
static struct reply compare(struct request *rq)
{
	struct text got = request_body(rq);
	bool same = text_equal(got, text_of(body));
	return reply_ok(same ? 200 : 299, "%zu bytes", got.n);
}

static void start(struct worker *w, enum failing_io io)
{
	for (size_t i = 0; i < BODY_BYTES; i++)
		body[i] = (char)('a' + i % 23);
	failing.io = io; /* for the child */
	start_worker(w, &(struct handler){ .call = compare });
	failing.io = IO_WHOLE;
}

#define SUCCESS "Status: 200\r\n\r\n{\"error\":false,\"message\":\"3000 bytes\"}"

/* Sends it, as far as the worker takes it, and reads what comes. */
static size_t exchange(const struct worker *w, const char *sent, bool whole_body,
		       char answer[ANSWER_BYTES])
{
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	int fd = connected(w);
	add_request(&b, "3000", sent, whole_body, false);
	send(fd, b.bytes, b.size, MSG_NOSIGNAL);
	if (!whole_body)
		shutdown(fd, SHUT_WR);
	return read_answer(fd, answer);
}

/* Returns whether the answer to a whole request is a success; it is never one by mistake. */
static bool ask(const struct worker *w)
{
	char bytes[ANSWER_BYTES];
	size_t n = exchange(w, body, true, bytes);
	assert_null(memmem(bytes, n, "Status: 299", strlen("Status: 299")));
	return memmem(bytes, n, SUCCESS, strlen(SUCCESS)) != NULL;
}

/* Part of a body is nothing that a handler gets to see. */
static void ask_in_part(const struct worker *w)
{
	char bytes[ANSWER_BYTES];
	size_t n = exchange(w, "aaa", false, bytes);
	assert_null(memmem(bytes, n, "Status: 2", strlen("Status: 2")));
}

static void stop(struct worker *w)
{
	kill(w->pid, SIGTERM);
	assert_int_equal(ended(w), 0);
	finish(w);
}

static void short_reads_and_writes_change_nothing(void **state)
{
	(void)state;
	struct worker w;
	start(&w, IO_SHORT);
	for (int i = 0; i < REQUESTS; i++) {
		assert_true(ask(&w));
		ask_in_part(&w);
	}
	stop(&w);
}

/* libfcgi takes an interrupted call for the end of the connection; a worker meets none but its own alarm. */
static void interrupted_reads_and_writes_are_no_success_and_no_end_of_the_worker(void **state)
{
	(void)state;
	struct worker w;
	start(&w, IO_INTERRUPTED);
	for (int i = 0; i < REQUESTS; i++) {
		ask(&w);
		ask_in_part(&w);
	}
	stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_reads_and_writes_change_nothing),
		cmocka_unit_test(
			interrupted_reads_and_writes_are_no_success_and_no_end_of_the_worker),
	};
	return RUN_SUITE(tests);
}
