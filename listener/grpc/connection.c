/* connection: reads into one buffer and writes from another, which all connections share. */
#include "connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "limits.h"

enum { READ_BYTES = 64 * 1024, WRITE_BYTES = 2 * SESSION_ROOM_BYTES, KEEPALIVE_S = 60 };

static char read_room[READ_BYTES];
static char write_room[WRITE_BYTES];
static struct connection_list dirty = TAILQ_HEAD_INITIALIZER(dirty);

static void start_reading(struct connection *c);

/* ---- the end ---- */

static void on_handle_closed(uv_handle_t *handle)
{
	struct connection *c = handle->data;
	if (--c->handles > 0)
		return;
	if (c->session.http2)
		session_finish(&c->session);
	c->gone(c);
	free(c->unwritten);
	free(c);
}

static void mark_clean(struct connection *c)
{
	if (c->is_dirty)
		TAILQ_REMOVE(&dirty, c, dirty);
	c->is_dirty = false;
}

void connection_close(struct connection *c)
{
	if (c->is_closing)
		return;
	mark_clean(c);
	c->is_closing = true;
	uv_close((uv_handle_t *)&c->tcp, on_handle_closed);
	uv_close((uv_handle_t *)&c->timer, on_handle_closed);
}

static void give_up(struct connection *c, const char *why)
{
	if (!c->is_closing)
		log_info("a connection is given up", LOG_TEXT("reason", why));
	connection_close(c);
}

/* ---- writing ---- */

static void on_session_wake(void *owner)
{
	struct connection *c = owner;
	if (c->is_dirty || c->is_closing)
		return;
	c->is_dirty = true;
	TAILQ_INSERT_TAIL(&dirty, c, dirty);
}

static void on_written(uv_write_t *write, int status)
{
	struct connection *c = write->data;
	free(c->unwritten);
	c->unwritten = NULL;
	if (status < 0) {
		connection_close(c);
		return;
	}
	start_reading(c);
	on_session_wake(c);
}

/* Keeps what the socket did not take, and reads no more until it has. */
static bool write_rest(struct connection *c, const char *bytes, size_t size)
{
	c->unwritten = malloc(size);
	if (!c->unwritten)
		return false;
	memcpy(c->unwritten, bytes, size);
	c->unwritten_ms = clock_now_ms();
	c->write.data = c;
	uv_read_stop((uv_stream_t *)&c->tcp);
	uv_buf_t rest = uv_buf_init(c->unwritten, (unsigned)size);
	return uv_write(&c->write, (uv_stream_t *)&c->tcp, &rest, 1, on_written) == 0;
}

/* Returns whether all of it was taken; otherwise the connection waits, or is closing. */
static bool write_now(struct connection *c, size_t size)
{
	uv_buf_t all = uv_buf_init(write_room, (unsigned)size);
	int n = uv_try_write((uv_stream_t *)&c->tcp, &all, 1);
	if (n == UV_EAGAIN)
		n = 0;
	if (n < 0 || ((size_t)n < size && !write_rest(c, write_room + n, size - (size_t)n))) {
		connection_close(c);
		return false;
	}
	return (size_t)n == size;
}

static void on_timer(uv_timer_t *timer);

/* A turn of the loop is no time: the timer's own clock may be that much behind. */
static void arm_timer(struct connection *c)
{
	int64_t due = c->session.due_ms;
	if (due == c->armed_ms)
		return;
	c->armed_ms = due;
	if (due == INT64_MAX)
		uv_timer_stop(&c->timer);
	else
		uv_timer_start(&c->timer, on_timer, (uint64_t)clock_left_ms(due) + 1, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct connection *c = timer->data;
	c->armed_ms = INT64_MAX;
	session_expire(&c->session, clock_now_ms());
	arm_timer(c);
}

static void flush(struct connection *c)
{
	if (c->unwritten)
		return;
	ssize_t n;
	while ((n = session_produce(&c->session, write_room, sizeof(write_room))) > 0) {
		if (!write_now(c, (size_t)n))
			return;
	}
	if (n < 0 || session_is_over(&c->session))
		connection_close(c);
	else
		arm_timer(c);
}

void connections_flush(void)
{
	struct connection *c;
	while ((c = TAILQ_FIRST(&dirty))) {
		mark_clean(c);
		flush(c);
	}
}

/* ---- reading ---- */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
	(void)handle;
	(void)suggested;
	*room = uv_buf_init(read_room, sizeof(read_room));
}

static void on_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct connection *c = stream->data;
	if (n == 0)
		return;
	if (n < 0) {
		connection_close(c);
		return;
	}
	const char *bad = session_receive(&c->session, (struct text){ bytes->base, (size_t)n });
	if (bad)
		give_up(c, bad);
	else
		on_session_wake(c);
}

static void start_reading(struct connection *c)
{
	if (!c->is_closing)
		uv_read_start((uv_stream_t *)&c->tcp, on_room, on_bytes);
}

/* ---- the beginning, and looking after ---- */

/* What the kernel has taken and the peer does not acknowledge is no more patient than we are. */
static void set_options(struct connection *c)
{
	int fd = -1;
	unsigned timeout_ms = WRITE_TIMEOUT_MS;
	uv_tcp_nodelay(&c->tcp, 1);
	uv_tcp_keepalive(&c->tcp, 1, KEEPALIVE_S);
	if (uv_fileno((uv_handle_t *)&c->tcp, &fd) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms)))
		log_warning("no timeout on writes", LOG_ERRNO(errno));
}

struct connection *connection_accept(uv_stream_t *listener,
				     void (*gone)(struct connection *connection))
{
	struct connection *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->gone = gone;
	c->armed_ms = INT64_MAX;
	c->began_ms = clock_now_ms();
	c->handles = 2;
	uv_tcp_init(listener->loop, &c->tcp);
	uv_timer_init(listener->loop, &c->timer);
	c->tcp.data = c->timer.data = c;
	if (uv_accept(listener, (uv_stream_t *)&c->tcp) ||
	    !session_init(&c->session, on_session_wake, c)) {
		connection_close(c);
		return c;
	}
	set_options(c);
	start_reading(c);
	on_session_wake(c);
	return c;
}

void connection_announce_end(struct connection *c)
{
	if (c->is_closing)
		return;
	c->has_farewell = true;
	session_announce_end(&c->session);
}

void connection_refuse_more(struct connection *c)
{
	if (!c->is_closing)
		session_refuse_more(&c->session);
}

void connection_tick(struct connection *c, int64_t now_ms)
{
	if (c->is_closing)
		return;
	int64_t idle_since = c->session.changed_ms;
	bool idle = TAILQ_EMPTY(&c->session.calls) &&
		    now_ms - idle_since > config()->log_grpc_idle_timeout_ms;
	if (c->unwritten && now_ms - c->unwritten_ms > WRITE_TIMEOUT_MS)
		give_up(c, "it does not take what is sent");
	else if (!c->session.is_greeted && now_ms - c->began_ms > GREETING_TIMEOUT_MS)
		give_up(c, "it said nothing");
	else if (idle && !c->has_farewell)
		connection_announce_end(c);
	else if (idle &&
		 now_ms - idle_since > config()->log_grpc_idle_timeout_ms + FAREWELL_PAUSE_MS)
		connection_refuse_more(c);
}
