/*
 * fastcgi: a worker on a real socket, forked by a test, which then speaks to it
 * in FastCGI 1.0 records.
 */
#ifndef FLEXI_TESTS_FASTCGI_H
#define FLEXI_TESTS_FASTCGI_H

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

struct worker {
	char directory[32];
	char path[64];
	int listener;
	pid_t pid;
};

/* A worker of this handler. */
static inline void start_worker(struct worker *w, const struct handler *handler)
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
		_exit(handler_run(handler));
	}
}

/* The exit status of the worker, or -1 if it does not end in time. */
static inline int ended(struct worker *w)
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

static inline void finish(struct worker *w)
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

static inline int connected(const struct worker *w)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", w->path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static inline void add_record(struct buffer *b, unsigned char type, const void *content, size_t n)
{
	unsigned char head[8] = { 1, type, 0, 1, (unsigned char)(n >> 8), (unsigned char)n, 0, 0 };
	buffer_append(b, head, sizeof(head));
	buffer_append(b, content, n);
}

static inline void add_parameter(struct buffer *b, const char *name, const char *value)
{
	unsigned char lengths[2] = { (unsigned char)strlen(name), (unsigned char)strlen(value) };
	buffer_append(b, lengths, sizeof(lengths));
	buffer_append_string(b, name);
	buffer_append_string(b, value);
}

/* Appends a POST; with whole_body the stream on standard input is ended as it must be. */
static inline void add_request(struct buffer *b, const char *length, const char *body,
			       bool whole_body, bool keep)
{
	CLEANUP(buffer_finish) struct buffer parameters = { 0 };
	unsigned char begin[8] = { 0, RESPONDER, keep };
	add_parameter(&parameters, "REQUEST_METHOD", "POST");
	add_parameter(&parameters, "CONTENT_LENGTH", length);
	add_record(b, BEGIN, begin, sizeof(begin));
	add_record(b, PARAMS, parameters.bytes, parameters.size);
	add_record(b, PARAMS, "", 0);
	add_record(b, STDIN, body, strlen(body));
	if (whole_body)
		add_record(b, STDIN, "", 0);
}

static inline void send_request(int fd, const char *length, const char *body, bool whole_body,
				bool keep)
{
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	add_request(&b, length, body, whole_body, keep);
	assert_int_equal(write(fd, b.bytes, b.size), b.size);
}

enum { ANSWER_BYTES = 8192 };

/* Reads until the worker closes, and closes fd; returns how many bytes came. */
static inline size_t read_answer(int fd, char bytes[ANSWER_BYTES])
{
	size_t n = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	while (n < ANSWER_BYTES && poll(&p, 1, DEADLINE_MS) == 1) {
		ssize_t got = read(fd, bytes + n, ANSWER_BYTES - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	return n;
}

/* The same; returns whether what came holds part. */
static inline bool answered(int fd, const char *part)
{
	char bytes[ANSWER_BYTES];
	size_t n = read_answer(fd, bytes);
	return memmem(bytes, n, part, strlen(part)) != NULL;
}

static inline void wait_until_told(void)
{
	char byte;
	struct pollfd p = { .fd = told[0], .events = POLLIN };
	assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
	assert_int_equal(read(told[0], &byte, 1), 1);
}

static inline bool was_called(void)
{
	struct pollfd p = { .fd = told[0], .events = POLLIN };
	return poll(&p, 1, 0) == 1;
}

#endif
