/* The worker loop on a real socket: a worker is forked, and spoken to in FastCGI 1.0 records. */
#include "suite.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "handler/handler.h"

enum { BEGIN = 1, PARAMS = 4, STDIN = 5, STDOUT = 6, RESPONDER = 1, DEADLINE_MS = 5000 };

/* The worker tells what it is doing here, and waits here to be told to go on. */
static int told[2], go_on[2];

static struct reply slow(struct request *rq)
{
	char byte = 0;
	if (write(told[1], "x", 1) == 1 && request_body(rq).n > 0 && request_body(rq).s[0] == 's')
		(void)!read(go_on[0], &byte, 1);
	return reply_ok(200, "done");
}

struct worker {
	char directory[32];
	char path[64];
	int listener;
	pid_t pid;
};

static void start(struct worker *w)
{
	memcpy(w->directory, "/tmp/flexi-worker-XXXXXX", sizeof("/tmp/flexi-worker-XXXXXX"));
	assert_non_null(mkdtemp(w->directory));
	snprintf(w->path, sizeof(w->path), "%s/s", w->directory);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", w->path);
	w->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(w->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(w->listener, 16), 0);
	assert_int_equal(pipe(told), 0);
	assert_int_equal(pipe(go_on), 0);
	w->pid = fork();
	if (w->pid == 0) {
		signal(SIGSEGV,
		       SIG_DFL); /* a crash of the worker is no failure within the test runner */
		signal(SIGABRT, SIG_DFL);
		dup2(w->listener, 0);
		setenv("LOG_LEVEL", "error", 1);
		_exit(handler_run(&(struct handler){ .call = slow }));
	}
}

/* The exit status of the worker, or -1 if it does not end in time. */
static int ended(struct worker *w)
{
	int status = -1;
	int64_t deadline = clock_now_ms() + DEADLINE_MS;
	while (waitpid(w->pid, &status, WNOHANG) == 0) {
		if (clock_left_ms(deadline) == 0)
			return -1;
		poll(NULL, 0, 2);
	}
	w->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void finish(struct worker *w)
{
	if (w->pid)
		kill(w->pid, SIGKILL);
	if (w->pid)
		waitpid(w->pid, NULL, 0);
	close(w->listener);
	for (int i = 0; i < 2; i++) {
		close(told[i]);
		close(go_on[i]);
	}
	unlink(w->path);
	rmdir(w->directory);
}

static int connected(const struct worker *w)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", w->path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void add_record(struct buffer *b, unsigned char type, const void *content, size_t n)
{
	unsigned char head[8] = { 1, type, 0, 1, (unsigned char)(n >> 8), (unsigned char)n, 0, 0 };
	buffer_append(b, head, sizeof(head));
	buffer_append(b, content, n);
}

static void add_parameter(struct buffer *b, const char *name, const char *value)
{
	unsigned char lengths[2] = { (unsigned char)strlen(name), (unsigned char)strlen(value) };
	buffer_append(b, lengths, sizeof(lengths));
	buffer_append_string(b, name);
	buffer_append_string(b, value);
}

/* Sends a POST; with whole_body the stream on standard input is ended as it must be. */
static void send_request(int fd, const char *length, const char *body, bool whole_body, bool keep)
{
	CLEANUP(buffer_finish) struct buffer parameters = { 0 };
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	unsigned char begin[8] = { 0, RESPONDER, keep };
	add_parameter(&parameters, "REQUEST_METHOD", "POST");
	add_parameter(&parameters, "CONTENT_LENGTH", length);
	add_record(&b, BEGIN, begin, sizeof(begin));
	add_record(&b, PARAMS, parameters.bytes, parameters.size);
	add_record(&b, PARAMS, "", 0);
	add_record(&b, STDIN, body, strlen(body));
	if (whole_body)
		add_record(&b, STDIN, "", 0);
	assert_int_equal(write(fd, b.bytes, b.size), b.size);
}

/* Reads until the worker closes; returns whether what came holds part. */
static bool answered(int fd, const char *part)
{
	char bytes[8192] = "";
	size_t n = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	while (n < sizeof(bytes) - 1 && poll(&p, 1, DEADLINE_MS) == 1) {
		ssize_t got = read(fd, bytes + n, sizeof(bytes) - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	return memmem(bytes, n, part, strlen(part)) != NULL;
}

static void wait_until_told(void)
{
	char byte;
	struct pollfd p = { .fd = told[0], .events = POLLIN };
	assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
	assert_int_equal(read(told[0], &byte, 1), 1);
}

static bool was_called(void)
{
	struct pollfd p = { .fd = told[0], .events = POLLIN };
	return poll(&p, 1, 0) == 1;
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
