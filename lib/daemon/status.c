/* status: a socket that says one line and closes. */
#include "daemon/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/config.h"
#include "core/log.h"

enum { BACKLOG = 16, LINE_BYTES = 256, PATH_BYTES = sizeof(((struct sockaddr_un *)0)->sun_path) };

static struct {
	uv_pipe_t listener;
	const char *name;
	const char *state;
} status = { .state = "starting" };

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

/* A line fits into the socket's buffer, so nobody is waited for. */
static void tell(uv_pipe_t *client)
{
	char line[LINE_BYTES];
	int n = snprintf(line, sizeof(line),
			 "{\"program\":\"%s\",\"version\":\"%s\",\"pid\":%ld,\"state\":\"%s\"}\n",
			 status.name, FLEXI_VERSION, (long)getpid(), status.state);
	uv_buf_t bytes = uv_buf_init(line, (unsigned)n);
	uv_try_write((uv_stream_t *)client, &bytes, 1);
}

static void on_connection(uv_stream_t *listener, int problem)
{
	uv_pipe_t *client = problem ? NULL : malloc(sizeof(*client));
	if (!client)
		return;
	uv_pipe_init(listener->loop, client, 0);
	if (uv_accept(listener, (uv_stream_t *)client) == 0)
		tell(client);
	uv_close((uv_handle_t *)client, on_closed);
}

static int bind_and_listen(const char *fresh, const char *path)
{
	unlink(fresh); /* of one that was killed at this very point */
	int problem = uv_pipe_bind(&status.listener, fresh);
	if (!problem)
		problem = uv_listen((uv_stream_t *)&status.listener, BACKLOG, on_connection);
	if (!problem && rename(fresh, path)) {
		unlink(fresh);
		problem = UV_EACCES;
	}
	return problem;
}

/* Bound under another name first, so that it takes the place of what is there in one step. */
void status_open(uv_loop_t *loop, const char *name)
{
	char path[PATH_BYTES];
	char fresh[PATH_BYTES];
	const char *directory = config()->run_dir;
	status.name = name;
	if (access(directory, F_OK))
		return;
	int n = snprintf(path, sizeof(path), "%s/%s.sock", directory, name);
	int m = snprintf(fresh, sizeof(fresh), "%s/%s.sock.new", directory, name);
	uv_pipe_init(loop, &status.listener, 0);
	uv_unref((uv_handle_t *)&status.listener);
	int problem =
		n < PATH_BYTES && m < PATH_BYTES ? bind_and_listen(fresh, path) : UV_ENAMETOOLONG;
	if (!problem)
		return;
	log_warning("nobody can ask for the status", LOG_TEXT("socket", path),
		    LOG_TEXT("reason", uv_strerror(problem)));
	uv_close((uv_handle_t *)&status.listener, NULL);
}

void status_say(const char *state)
{
	status.state = state;
}
