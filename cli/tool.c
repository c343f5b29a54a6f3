/* tool: posix_spawn, a pipe, and a deadline. */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"

enum { READ_BYTES = 4096 };

static int spawn_with_output(const char *const *argv, int output, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	int failed = posix_spawn_file_actions_init(&actions);
	if (failed)
		return failed;
	failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!failed)
		failed = posix_spawn_file_actions_adddup2(&actions, output, 1);
	if (!failed)
		failed = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (!failed)
		failed = posix_spawnp(pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return failed;
}

/* Reads until the program closes its output; false if it does not in time. */
static bool read_output(int fd, struct buffer *out)
{
	int64_t deadline_ms = clock_now_ms() + TOOL_TIMEOUT_MS;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int left = clock_left_ms(deadline_ms);
		int ready = left > 0 ? poll(&p, 1, left) : 0;
		if (ready < 0 && errno == EINTR)
			continue;
		char *room = ready > 0 ? buffer_room(out, READ_BYTES) : NULL;
		if (!room)
			return false;
		ssize_t n = read(fd, room, READ_BYTES);
		if (n > 0)
			buffer_grew(out, (size_t)n);
		else if (n == 0)
			return true;
		else if (errno != EINTR)
			return false;
	}
}

static int wait_for(pid_t pid)
{
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

enum error_code tool_output(const char *const *argv, struct buffer *out, struct error *e)
{
	int ends[2];
	pid_t pid = 0;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return error_set(e, ERROR_INTERNAL, "pipe: %s", strerror(errno));
	int failed = spawn_with_output(argv, ends[1], &pid);
	close(ends[1]);
	enum error_code code = ERROR_NONE;
	if (failed) {
		code = error_set(e, failed == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL, "%s: %s",
				 argv[0], strerror(failed));
	} else {
		bool in_time = read_output(ends[0], out);
		if (!in_time)
			kill(pid, SIGKILL);
		int status = wait_for(pid);
		if (!in_time)
			code = error_set(e, ERROR_PEER_TIMEOUT, "%s: took too long", argv[0]);
		else if (status != 0)
			code = error_set(e, ERROR_PEER_ANSWER, "%s: failed", argv[0]);
	}
	close(ends[0]);
	return code;
}
