/* The worker loop on a real socket. */
#include "suite.h"

#include "fastcgi.h"

static struct reply slow(struct request *rq)
{
	char byte = 0;
	if (write(told[1], "x", 1) == 1 && request_body(rq).n > 0 && request_body(rq).s[0] == 's')
		(void)!read(go_on[0], &byte, 1);
	return reply_ok(200, "done");
}

static void start(struct worker *w)
{
	start_worker(w, &(struct handler){ .call = slow });
}

static void requests_are_served_one_after_the_other(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	for (int i = 0; i < 50; i++) {
		int fd = connected(&w);
		send_request(fd, "1", "b", true, false);
		assert_true(
			answered(fd, "Status: 200\r\n\r\n{\"error\":false,\"message\":\"done\"}"));
	}
	kill(w.pid, SIGTERM);
	assert_int_equal(ended(&w), 0);
	finish(&w);
}

static void a_stopped_worker_finishes_the_request_in_hand(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	int fd = connected(&w);
	send_request(fd, "4", "slow", true, false);
	wait_until_told();
	kill(w.pid, SIGTERM);
	assert_int_equal(write(go_on[1], "x", 1), 1);
	assert_true(answered(fd, "\"done\""));
	assert_int_equal(ended(&w), 0);
	finish(&w);
}

static void a_body_that_is_cut_off_never_reaches_the_handler(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	int fd = connected(&w);
	send_request(fd, "10", "b", false, false);
	shutdown(fd, SHUT_WR);
	assert_true(answered(fd, "Status: 408\r\n"));
	fd = connected(&w);
	send_request(fd, "10", "b", true, false); /* ended well, and too short */
	assert_true(answered(fd, "Status: 408\r\n"));
	assert_false(was_called());
	fd = connected(&w);
	send_request(fd, "", "b", true, false);
	assert_true(answered(fd, "Status: 200\r\n"));
	kill(w.pid, SIGTERM);
	assert_int_equal(ended(&w), 0);
	finish(&w);
}

static void a_connection_is_not_kept_for_one_client(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	int fd = connected(&w);
	send_request(fd, "1", "b", true, true);
	assert_true(answered(fd, "Status: 200\r\n")); /* it reads until the worker closes */
	fd = connected(&w);
	send_request(fd, "1", "b", true, true);
	assert_true(answered(fd, "Status: 200\r\n"));
	kill(w.pid, SIGTERM);
	assert_int_equal(ended(&w), 0);
	finish(&w);
}

static void bytes_that_are_no_fastcgi_end_their_connection_alone(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	int fd = connected(&w);
	assert_int_equal(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	assert_false(answered(fd, "Status"));
	fd = connected(&w);
	close(fd);
	fd = connected(&w);
	send_request(fd, "1", "b", true, false);
	assert_true(answered(fd, "Status: 200\r\n"));
	kill(w.pid, SIGTERM);
	assert_int_equal(ended(&w), 0);
	finish(&w);
}

static void a_client_that_leaves_before_its_answer_harms_nobody(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	int fd = connected(&w);
	send_request(fd, "4", "slow", true, false);
	wait_until_told();
	close(fd);
	assert_int_equal(write(go_on[1], "x", 1), 1);
	fd = connected(&w);
	send_request(fd, "1", "b", true, false);
	assert_true(answered(fd, "Status: 200\r\n"));
	kill(w.pid, SIGTERM);
	assert_int_equal(ended(&w), 0);
	finish(&w);
}

/* Even where the next request waits already, and so the worker is never idle. */
static void a_stopped_worker_takes_no_more_requests(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	int first = connected(&w);
	send_request(first, "4", "slow", true, false);
	wait_until_told();
	int second = connected(&w);
	send_request(second, "1", "b", true, false);
	kill(w.pid, SIGTERM);
	assert_int_equal(write(go_on[1], "x", 1), 1);
	assert_true(answered(first, "\"done\""));
	assert_int_equal(ended(&w), 0);
	assert_false(was_called());
	close(second);
	finish(&w);
}

/* Before that a signal would end the worker. */
static void wait_until_it_serves(const struct worker *w)
{
	int fd = connected(w);
	send_request(fd, "1", "b", true, false);
	assert_true(answered(fd, "Status: 200"));
	wait_until_told();
}

/* Lets the worker's time for reading run out until it has answered. */
static bool answered_once_late(const struct worker *w, int fd, const char *part)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t deadline = clock_now_ms() + DEADLINE_MS;
	while (poll(&p, 1, 5) == 0 && clock_left_ms(deadline) > 0)
		kill(w->pid, SIGALRM);
	return answered(fd, part);
}

static void a_body_that_does_not_come_in_time_is_408(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	wait_until_it_serves(&w);
	int fd = connected(&w);
	send_request(fd, "10", "b", false, false);
	assert_true(answered_once_late(&w, fd, "Status: 408\r\n"));
	assert_false(was_called());
	kill(w.pid, SIGTERM);
	assert_int_equal(ended(&w), 0);
	finish(&w);
}

/* Reading never waits here: a signal alone would end nothing. */
static void a_body_without_an_end_is_ended_in_time(void **state)
{
	(void)state;
	struct worker w;
	static char part[60000];
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	start(&w);
	wait_until_it_serves(&w);
	int fd = connected(&w);
	send_request(fd, "", "b", false, false);
	add_record(&b, STDIN, part, sizeof(part));
	int64_t deadline = clock_now_ms() + DEADLINE_MS;
	struct timeval patience = { .tv_sec = DEADLINE_MS / 1000 };
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
	for (int i = 0; send(fd, b.bytes, b.size, MSG_NOSIGNAL) > 0; i++) {
		if (i % 100 == 50)
			kill(w.pid, SIGALRM);
		assert_int_not_equal(clock_left_ms(deadline), 0);
	}
	assert_true(answered(fd, "Status: 4"));
	assert_false(was_called());
	kill(w.pid, SIGTERM);
	assert_int_equal(ended(&w), 0);
	finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_served_one_after_the_other),
		cmocka_unit_test(a_stopped_worker_finishes_the_request_in_hand),
		cmocka_unit_test(a_stopped_worker_takes_no_more_requests),
		cmocka_unit_test(a_body_that_is_cut_off_never_reaches_the_handler),
		cmocka_unit_test(a_body_that_does_not_come_in_time_is_408),
		cmocka_unit_test(a_body_without_an_end_is_ended_in_time),
		cmocka_unit_test(a_connection_is_not_kept_for_one_client),
		cmocka_unit_test(bytes_that_are_no_fastcgi_end_their_connection_alone),
		cmocka_unit_test(a_client_that_leaves_before_its_answer_harms_nobody),
	};
	return RUN_SUITE(tests);
}
