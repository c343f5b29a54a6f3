/* standin: accepts on fd 0, reads each request to its end, refuses it. */
#include "pool_standin.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/limits.h"
#include "core/log.h"
#include "pool_fastcgi.h"

enum { READ_BYTES = 65536, MOST_CONNECTIONS = 64 };

struct connection {
	uv_pipe_t stream;
	uv_timer_t timer;
	uv_write_t write;
	struct fastcgi request;
	struct buffer answer;
	int open; /* handles */
};

static struct {
	uv_loop_t *loop;
	const char *name;
	uv_poll_t listener;
	bool serving;
	int connections;
} standin;

static void listen_if_there_is_room(void);

static void on_closed(uv_handle_t *handle)
{
	struct connection *c = handle->data;
	if (--c->open > 0)
		return;
	fastcgi_finish(&c->request);
	buffer_finish(&c->answer);
	free(c);
	standin.connections--;
	listen_if_there_is_room();
}

static void end(struct connection *c)
{
	if (uv_is_closing((uv_handle_t *)&c->stream))
		return;
	uv_close((uv_handle_t *)&c->stream, on_closed);
	uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void on_written(uv_write_t *write, int status)
{
	(void)status; /* a client that went away needs no answer */
	end(write->data);
}

static void on_timeout(uv_timer_t *timer)
{
	end(timer->data);
}

static bool is_request_id(struct text t)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
	size_t i = 0;
	while (i < t.n && memchr(letters, t.s[i], sizeof(letters) - 1))
		i++;
	return i == t.n && t.n > 0 && t.n <= MAX_REQUEST_ID_BYTES;
}

static void answer(struct connection *c)
{
	CLEANUP(buffer_finish) struct buffer body = { 0 };
	CLEANUP(buffer_finish) struct buffer output = { 0 };
	struct text id;
	buffer_printf(&body,
		      "{\"error\":true,\"message\":\"the handler's workers end soon after their "
		      "start\",\"handler\":\"%s\"",
		      standin.name);
	if (fastcgi_parameter(&c->request, "HTTP_X_REQUEST_ID", &id) && is_request_id(id))
		buffer_printf(&body, ",\"request_id\":\"%.*s\"", (int)id.n, id.s);
	buffer_append_string(&body, "}");
	buffer_printf(&output,
		      "Content-Type: application/json\r\nCache-Control: no-store\r\n"
		      "Retry-After: %d\r\nContent-Length: %zu\r\nStatus: 503\r\n\r\n",
		      RETRY_AFTER_S, body.size);
	buffer_append_text(&output, buffer_text(&body));
	fastcgi_answer(&c->request, buffer_text(&output), &c->answer);
	if (body.failed || output.failed || c->answer.failed) {
		end(c);
		return;
	}
	uv_buf_t bytes = uv_buf_init(c->answer.bytes, (unsigned)c->answer.size);
	c->write.data = c;
	uv_read_stop((uv_stream_t *)&c->stream);
	if (uv_write(&c->write, (uv_stream_t *)&c->stream, &bytes, 1, on_written))
		end(c);
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *buffer)
{
	static char bytes[READ_BYTES]; /* what is read is looked at before the next read */
	(void)handle;
	(void)wanted;
	*buffer = uv_buf_init(bytes, sizeof(bytes));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
	struct connection *c = stream->data;
	if (n < 0 || !fastcgi_feed(&c->request, buffer->base, (size_t)n))
		end(c);
	else if (c->request.complete)
		answer(c);
}

static void begin(int fd)
{
	struct connection *c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	standin.connections++;
	c->open = 2;
	c->stream.data = c->timer.data = c;
	uv_pipe_init(standin.loop, &c->stream, 0);
	uv_timer_init(standin.loop, &c->timer);
	uv_timer_start(&c->timer, on_timeout, WORKER_IO_TIMEOUT_MS, 0);
	if (uv_pipe_open(&c->stream, fd)) {
		close(fd);
		end(c);
		return;
	}
	if (uv_read_start((uv_stream_t *)&c->stream, on_room, on_read))
		end(c);
}

/* The socket's O_NONBLOCK is the workers' affair: it is put back. */
static int accept_now(void)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof(peer);
	int flags = fcntl(STDIN_FILENO, F_GETFL);
	if (flags < 0)
		return -1;
	fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK);
	int fd = accept4(STDIN_FILENO, (struct sockaddr *)&peer, &size,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);
	fcntl(STDIN_FILENO, F_SETFL, flags);
	return fd;
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	(void)poll;
	(void)status;
	(void)events;
	int fd = accept_now();
	if (fd >= 0)
		begin(fd);
	listen_if_there_is_room();
}

static void listen_if_there_is_room(void)
{
	if (standin.serving && standin.connections < MOST_CONNECTIONS)
		uv_poll_start(&standin.listener, UV_READABLE, on_connection);
	else
		uv_poll_stop(&standin.listener);
}

void standin_serve(bool serve)
{
	if (serve == standin.serving)
		return;
	standin.serving = serve;
	listen_if_there_is_room();
}

void standin_init(uv_loop_t *loop, const char *name)
{
	standin.loop = loop;
	standin.name = name;
	int flags = fcntl(STDIN_FILENO, F_GETFL);
	uv_poll_init(loop, &standin.listener, STDIN_FILENO); /* sets O_NONBLOCK */
	if (flags >= 0)
		fcntl(STDIN_FILENO, F_SETFL, flags);
}
