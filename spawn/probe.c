/*
 * probe: asks a program whether it answers; the health check of every image.
 *
 *	probe [-t SECONDS] KIND ADDRESS [PATH]
 *
 *	probe fastcgi 127.0.0.1:9000      any FastCGI program: that a worker answers
 *	probe http 127.0.0.1:9081 /ping   200 to a GET
 *	probe rpc 127.0.0.1:5001          a server of Go's net/rpc
 *	probe grpc 127.0.0.1:50001        a server with grpc.health.v1.Health
 *	probe daemon RUN_DIR/NAME.sock    a daemon of ours, by its status
 *
 * ADDRESS is a numeric address and a port, or the path of a unix socket. It
 * waits up to 8 seconds, or as many as -t says. Exit status: 0 it answered, 1 it
 * did not, with a line that says why; 100 called wrongly. It needs no library but
 * libc, and as probe-static not even that one, so that it runs in any image.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/endpoint.h"
#include "probe_kinds.h"

enum {
	EXIT_UNWELL = 1,
	EXIT_MISUSE = 100,
	DEFAULT_WAIT_S = 8,
	MAX_WAIT_S = 3600,
	READ_BYTES = 4096,
	MAX_ANSWER_BYTES = 64 * 1024,
};

static const char usage[] = "usage: probe [-t SECONDS] fastcgi|http|rpc|grpc|daemon ADDRESS [PATH]";

struct probe {
	const struct probe_kind *kind;
	const char *where;
	const char *argument;
	long wait_s;
};

/* ---- the connection ---- */

static enum error_code find_address(const char *where, struct sockaddr_storage *out,
				    socklen_t *size, struct error *e)
{
	struct sockaddr_un *local = (struct sockaddr_un *)out;
	if (!strchr(where, '/')) {
		*size = sizeof(*out);
		return endpoint_read("ADDRESS", where, out, e);
	}
	size_t n = strlen(where);
	memset(out, 0, sizeof(*out));
	if (n >= sizeof(local->sun_path))
		return error_set(e, ERROR_CONFIG, "ADDRESS: a socket's path is too long");
	local->sun_family = AF_UNIX;
	memcpy(local->sun_path, where, n + 1);
	*size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	return ERROR_NONE;
}

static enum error_code wait_for(int fd, short events, int64_t deadline_ms, struct error *e)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;
	do {
		n = poll(&p, 1, clock_left_ms(deadline_ms));
	} while (n < 0 && errno == EINTR);
	return n > 0 ? ERROR_NONE : error_set(e, ERROR_PEER_TIMEOUT, "no answer in time");
}

static enum error_code dial(int fd, const struct sockaddr_storage *address, socklen_t size,
			    int64_t deadline_ms, struct error *e)
{
	int problem = 0;
	socklen_t n = sizeof(problem);
	if (connect(fd, (const struct sockaddr *)address, size) == 0)
		return ERROR_NONE;
	if (errno != EINPROGRESS)
		return error_set(e, ERROR_PEER_DOWN, "%s", strerror(errno));
	enum error_code code = wait_for(fd, POLLOUT, deadline_ms, e);
	if (code)
		return code;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &n);
	return problem ? error_set(e, ERROR_PEER_DOWN, "%s", strerror(problem)) : ERROR_NONE;
}

/* Every question fits into the socket's buffer. */
static enum error_code send_question(int fd, const struct probe *p, struct error *e)
{
	CLEANUP(buffer_finish) struct buffer question = { 0 };
	p->kind->ask(&question, p->argument);
	if (question.failed)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	if (question.size > 0 &&
	    send(fd, question.bytes, question.size, MSG_NOSIGNAL) != (ssize_t)question.size)
		return error_set(e, ERROR_PEER_DOWN, "%s", strerror(errno));
	return ERROR_NONE;
}

static enum error_code receive_some(int fd, struct buffer *answer, struct error *e)
{
	char *room = buffer_room(answer, READ_BYTES);
	if (!room || answer->size > MAX_ANSWER_BYTES)
		return error_set(e, ERROR_PEER_ANSWER, "too long an answer");
	ssize_t n = recv(fd, room, READ_BYTES, 0);
	if (n == 0)
		return error_set(e, ERROR_PEER_ANSWER, "it closed the connection");
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return error_set(e, ERROR_PEER_ANSWER, "%s", strerror(errno));
	buffer_grew(answer, n > 0 ? (size_t)n : 0);
	return ERROR_NONE;
}

static enum error_code talk(int fd, const struct probe *p, int64_t deadline_ms, struct error *e)
{
	CLEANUP(buffer_finish) struct buffer answer = { 0 };
	enum error_code code = send_question(fd, p, e);
	enum probe_verdict verdict = PROBE_MORE;
	while (!code && verdict == PROBE_MORE) {
		code = wait_for(fd, POLLIN, deadline_ms, e);
		if (!code)
			code = receive_some(fd, &answer, e);
		if (!code)
			verdict = p->kind->judge(buffer_text(&answer));
	}
	if (verdict == PROBE_UNWELL)
		code = error_set(e, ERROR_PEER_ANSWER, "it answered what it should not");
	return code;
}

static enum error_code ask(const struct probe *p, struct error *e)
{
	struct sockaddr_storage address;
	socklen_t size = 0;
	int64_t deadline_ms = clock_now_ms() + p->wait_s * 1000;
	enum error_code code = find_address(p->where, &address, &size, e);
	if (code)
		return code;
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(e, ERROR_INTERNAL, "%s", strerror(errno));
	code = dial(fd, &address, size, deadline_ms, e);
	if (!code)
		code = talk(fd, p, deadline_ms, e);
	close(fd);
	return code;
}

/* ---- the command line ---- */

static bool read_wait(const char *text, long *seconds)
{
	char *end;
	errno = 0;
	*seconds = strtol(text, &end, 10);
	return !errno && end != text && !*end && *seconds >= 1 && *seconds <= MAX_WAIT_S;
}

static bool read_arguments(int argc, char **argv, struct probe *p)
{
	int letter;
	p->wait_s = DEFAULT_WAIT_S;
	while ((letter = getopt(argc, argv, "+t:")) != -1) {
		if (letter != 't' || !read_wait(optarg, &p->wait_s))
			return false;
	}
	int words = argc - optind;
	p->kind = words >= 2 ? probe_kind(argv[optind]) : NULL;
	if (!p->kind || words != (p->kind->argument ? 3 : 2))
		return false;
	p->where = argv[optind + 1];
	p->argument = argv[optind + 2]; /* NULL if there is none */
	return true;
}

int main(int argc, char **argv)
{
	struct probe p;
	struct error e;
	if (!read_arguments(argc, argv, &p)) {
		fprintf(stderr, "%s\n", usage);
		return EXIT_MISUSE;
	}
	enum error_code code = ask(&p, &e);
	if (!code)
		return EXIT_SUCCESS;
	fprintf(stderr, "probe: %s %s: %s\n", p.kind->name, p.where, e.text);
	return code == ERROR_CONFIG ? EXIT_MISUSE : EXIT_UNWELL;
}
