/* connection: reading while there is room for what is read, writing what is answered. */
#include "connection.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "limits.h"
#include "service.h"

enum { ADDRESS_BYTES = 64 };

static struct connection_list changed = TAILQ_HEAD_INITIALIZER(changed);
static size_t held;

/* Whatever is read is taken out of here before anything else is read. */
static char read_bytes[READ_BYTES];

static void update(struct connection *c);

size_t connections_held(void)
{
	return held;
}

static void count_held(struct connection *c)
{
	size_t now =
		c->in.size + c->out.size + c->sending.size + c->call_bytes + c->reader.types.bytes;
	held += now - c->held;
	c->held = now;
}

/* ---- the end of a connection ---- */

static void connection_destroy(struct connection *c)
{
	c->events->gone(c);
	free(c);
}

static void free_buffers(struct connection *c)
{
	buffer_finish(&c->in);
	buffer_finish(&c->out);
	buffer_finish(&c->sending);
	rpc_reader_finish(&c->reader);
	count_held(c);
}

static void on_closed(uv_handle_t *handle)
{
	struct connection *c = handle->data;
	free_buffers(c);
	handle->data = NULL;
	if (c->calls == 0)
		connection_destroy(c);
}

static void log_end(const struct connection *c, const char *why)
{
	struct sockaddr_storage peer;
	int size = sizeof(peer);
	char address[ADDRESS_BYTES] = "";
	if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &size) == 0)
		uv_ip_name((struct sockaddr *)&peer, address, sizeof(address));
	log_warning("a connection is closed", LOG_TEXT("peer", address), LOG_TEXT("reason", why));
}

void connection_close(struct connection *c, const char *why)
{
	if (c->state == CONNECTION_CLOSED)
		return;
	if (why)
		log_end(c, why);
	c->state = CONNECTION_CLOSED;
	if (c->is_changed)
		TAILQ_REMOVE(&changed, c, changed);
	c->is_changed = false;
	uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void connection_end(struct connection *c)
{
	if (c->state != CONNECTION_OPEN)
		return;
	c->state = CONNECTION_ENDING;
	c->begun_ms = 0;
	buffer_finish(&c->in);
	update(c);
}

static void on_shut_down(uv_shutdown_t *shutdown, int status)
{
	struct connection *c = shutdown->data;
	if (status < 0)
		connection_close(c, NULL);
}

/*
 * A socket that is closed with something unread in it takes its last answers
 * along: so what still comes is read until the client ends, too.
 */
static void leave(struct connection *c)
{
	c->state = CONNECTION_LEFT;
	c->active_ms = clock_now_ms();
	c->shutdown.data = c;
	if (c->has_ended || uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shut_down))
		connection_close(c, NULL);
}

/* ---- reading ---- */

static bool has_room(const struct connection *c)
{
	return c->calls < MAX_CALLS && c->call_bytes < MAX_CALL_BYTES &&
	       c->out.size + c->sending.size < MAX_UNSENT_BYTES;
}

/* Takes calls off a stream while there is room for them. Returns what was taken of it. */
static size_t take_calls(struct connection *c, struct text stream)
{
	size_t taken = 0;
	while (c->state == CONNECTION_OPEN && has_room(c)) {
		struct text rest = { stream.s + taken, stream.n - taken };
		struct rpc_message call;
		struct error e;
		size_t used;
		bool whole;
		enum error_code code = rpc_read_call(&c->reader, rest, &used, &whole, &call, &e);
		taken += used;
		if (!code && whole) {
			c->has_called = true;
			c->active_ms = clock_now_ms();
			code = service_call(c, &call, &e);
		}
		if (code)
			connection_close(c, e.text);
		if (code || !whole)
			break;
	}
	return taken;
}

static void forget(struct buffer *b, size_t n)
{
	memmove(b->bytes, b->bytes + n, b->size - n);
	b->size -= n;
	if (b->size == 0 && b->room > KEPT_BUFFER_BYTES)
		buffer_finish(b);
}

/* What waits for more of itself, and not for room with us, is timed. */
static void time_message(struct connection *c, size_t taken)
{
	bool waits = (c->in.size > 0 || c->reader.has_header) && has_room(c);
	if (!waits)
		c->begun_ms = 0;
	else if (taken > 0 || c->begun_ms == 0)
		c->begun_ms = clock_now_ms();
}

static void take_more(struct connection *c)
{
	if (c->in.size == 0)
		return;
	size_t taken = take_calls(c, buffer_text(&c->in));
	if (taken > 0)
		forget(&c->in, taken);
	time_message(c, taken);
}

/* Most of the time what comes is whole, and is taken where it lies. */
static void take_bytes(struct connection *c, struct text bytes)
{
	if (c->in.size > 0) {
		buffer_append_text(&c->in, bytes);
		take_more(c);
	} else {
		size_t taken = take_calls(c, bytes);
		if (taken < bytes.n)
			buffer_append(&c->in, bytes.s + taken, bytes.n - taken);
		time_message(c, taken);
	}
	if (c->in.failed)
		connection_close(c, "out of memory");
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	(void)handle;
	(void)suggested;
	*buf = uv_buf_init(read_bytes, sizeof(read_bytes));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct connection *c = stream->data;
	if (n < 0) {
		/* Who has said all may still wait for answers. */
		c->has_ended = true;
		if (n != UV_EOF || c->state == CONNECTION_LEFT)
			connection_close(c, NULL);
		else if (c->state == CONNECTION_OPEN)
			connection_end(c);
		return;
	}
	if (c->state == CONNECTION_OPEN && n > 0)
		take_bytes(c, (struct text){ buf->base, (size_t)n });
	update(c);
	if (held > MAX_HELD_BYTES)
		c->events->crowded();
}

/* Reads if there is room for what comes; the rest waits in the kernel, and then with the client. */
static void set_reading(struct connection *c)
{
	bool wanted = c->state == CONNECTION_LEFT || (c->state == CONNECTION_OPEN && has_room(c));
	wanted = wanted && !c->has_ended;
	if (wanted && !c->is_reading)
		uv_read_start((uv_stream_t *)&c->tcp, on_allocate, on_read);
	else if (!wanted && c->is_reading)
		uv_read_stop((uv_stream_t *)&c->tcp);
	c->is_reading = wanted;
}

/* What follows from any change. */
static void update(struct connection *c)
{
	if (c->state == CONNECTION_CLOSED)
		return;
	if (c->state == CONNECTION_ENDING && c->calls == 0 && !c->is_writing && c->out.size == 0)
		leave(c);
	if (c->state == CONNECTION_CLOSED)
		return;
	set_reading(c);
	count_held(c);
}

/* ---- writing ---- */

/* Answers of one turn of the loop are sent together, and never from within a call. */
static void note_change(struct connection *c)
{
	if (c->is_changed)
		return;
	c->is_changed = true;
	TAILQ_INSERT_TAIL(&changed, c, changed);
}

static void on_written(uv_write_t *write, int status)
{
	struct connection *c = write->data;
	c->is_writing = false;
	if (c->state == CONNECTION_CLOSED)
		return;
	if (status < 0) {
		connection_close(c, NULL);
		return;
	}
	forget(&c->sending, c->sending.size);
	note_change(c);
}

static void send_answers(struct connection *c)
{
	struct buffer spare = c->sending;
	c->sending = c->out;
	c->out = spare;
	c->is_writing = true;
	c->sent_ms = clock_now_ms();
	c->queued = c->sending.size;
	c->write.data = c;
	uv_buf_t buf = uv_buf_init(c->sending.bytes, (unsigned)c->sending.size);
	if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written)) {
		c->is_writing = false;
		connection_close(c, NULL);
	}
}

void connections_flush(void)
{
	struct connection *c;
	while ((c = TAILQ_FIRST(&changed))) {
		TAILQ_REMOVE(&changed, c, changed);
		c->is_changed = false;
		take_more(c);
		if (!c->is_writing && c->out.size > 0 && c->state != CONNECTION_CLOSED)
			send_answers(c);
		update(c);
	}
}

void connection_begin_call(struct connection *c, size_t bytes)
{
	c->calls++;
	c->call_bytes += bytes;
}

/* Returns whether there is still somebody to answer. */
static bool end_call(struct connection *c, size_t bytes)
{
	c->calls--;
	c->call_bytes -= bytes;
	if (c->state != CONNECTION_CLOSED)
		return true;
	if (!c->tcp.data && c->calls == 0)
		connection_destroy(c);
	return false;
}

static void answered(struct connection *c)
{
	if (c->out.failed) {
		connection_close(c, "out of memory");
		return;
	}
	c->active_ms = clock_now_ms();
	note_change(c);
}

void connection_answer(struct connection *c, size_t bytes, struct text method, uint64_t seq,
		       struct text result)
{
	if (!end_call(c, bytes))
		return;
	rpc_write_result(&c->writer, &c->out, method, seq, result);
	answered(c);
}

void connection_fail(struct connection *c, size_t bytes, struct text method, uint64_t seq,
		     struct text error)
{
	if (!end_call(c, bytes))
		return;
	rpc_write_error(&c->writer, &c->out, method, seq, error);
	answered(c);
}

/* ---- time ---- */

static bool is_over(int64_t since_ms, int64_t limit_ms, int64_t now_ms)
{
	return now_ms - since_ms >= limit_ms;
}

/* A client that takes a little now and then is slow, not gone. */
static void look_at_sending(struct connection *c, int64_t now_ms)
{
	size_t queued = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
	if (queued != c->queued)
		c->sent_ms = now_ms;
	c->queued = queued;
}

void connection_tick(struct connection *c, int64_t now_ms)
{
	if (c->state == CONNECTION_CLOSED)
		return;
	look_at_sending(c, now_ms);
	if (c->begun_ms > 0 && is_over(c->begun_ms, MESSAGE_TIMEOUT_MS, now_ms))
		connection_close(c, "a message did not come whole in time");
	else if (c->is_writing && is_over(c->sent_ms, WRITE_TIMEOUT_MS, now_ms))
		connection_close(c, "answers were not taken in time");
	else if (c->state == CONNECTION_LEFT && is_over(c->active_ms, FAREWELL_MS, now_ms))
		connection_close(c, NULL);
	else if (c->calls == 0 && is_over(c->active_ms, config()->log_rpc_idle_timeout_ms, now_ms))
		connection_end(c);
}

/* ---- the beginning ---- */

static void on_unborn_closed(uv_handle_t *handle)
{
	free(handle->data);
}

struct connection *connection_accept(uv_stream_t *listener, const struct connection_events *events)
{
	struct connection *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	uv_tcp_init(listener->loop, &c->tcp);
	c->tcp.data = c;
	c->events = events;
	c->active_ms = clock_now_ms();
	c->reader.max_bytes = (size_t)config()->log_rpc_max_message_bytes;
	if (uv_accept(listener, (uv_stream_t *)&c->tcp)) {
		uv_close((uv_handle_t *)&c->tcp, on_unborn_closed);
		return NULL;
	}
	uv_tcp_nodelay(&c->tcp, 1);
	uv_tcp_keepalive(&c->tcp, 1, KEEPALIVE_S);
	update(c);
	return c;
}
