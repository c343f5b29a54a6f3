/* link: connects on a thread of libuv's pool, reads on the loop. */
#include "link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "transport/broker.h"

enum {
	LINK_CONNECT_TIMEOUT_MS = 10000,
	LINK_FIRST_WAIT_MS = 250,
	LINK_LONGEST_WAIT_MS = 10000,
	/* Heartbeats are sent and missed only when somebody looks. */
	LINK_TICK_MS = BROKER_HEARTBEAT_S * 1000 / 4,
	/* For the answer to a goodbye. */
	LINK_LEAVE_TIMEOUT_MS = 3000,
	/* How many frames are read before others get their turn. */
	LINK_FRAMES_AT_ONCE = 1024,
};

static void on_timer(uv_timer_t *timer);
static void connect_later(struct link *link);

/*
 * A short frame is sent without asking whether there is room. There is, unless
 * RabbitMQ reads nothing for long; then the kernel gives the connection up
 * rather than let the loop wait.
 */
static void bound_writes(amqp_connection_state_t connection)
{
	unsigned timeout_ms = (unsigned)config()->confirm_timeout_ms;
	if (setsockopt(amqp_get_sockfd(connection), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms,
		       sizeof(timeout_ms)) < 0)
		log_warning("no timeout on writes to RabbitMQ", LOG_ERRNO(errno));
}

static void work(uv_work_t *w)
{
	struct link *link = w->data;
	struct error *e = &link->error;
	*e = (struct error){ 0 };
	int64_t deadline = clock_now_ms() + LINK_CONNECT_TIMEOUT_MS;
	if (broker_connect(link->name, deadline, &link->fresh, e)) {
		link->fresh = NULL;
		return;
	}
	bound_writes(link->fresh);
	if (link->events->prepare(link->owner, link->fresh, e))
		broker_disconnect(&link->fresh);
}

static void on_handle_freed(uv_handle_t *handle)
{
	free(handle);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct link *link = handle->data;
	link->events->closed(link->owner);
}

static void stop_poll(struct link *link)
{
	if (!link->poll)
		return;
	uv_poll_stop(link->poll);
	uv_close((uv_handle_t *)link->poll, on_handle_freed);
	link->poll = NULL;
}

static void break_with(struct link *link, const char *what, int code, amqp_bytes_t text)
{
	char why[ERROR_TEXT_BYTES];
	snprintf(why, sizeof(why), "%s: %d %.*s", what, code, (int)text.len, (char *)text.bytes);
	link_break(link, why);
}

/* Whether the frame is about the connection itself, and not for the owner. */
static bool handle_own(struct link *link, const amqp_frame_t *frame)
{
	if (frame->frame_type != AMQP_FRAME_METHOD)
		return false;
	void *decoded = frame->payload.method.decoded;
	if (frame->payload.method.id == AMQP_CHANNEL_CLOSE_METHOD) {
		amqp_channel_close_t *close = decoded;
		break_with(link, "channel closed", close->reply_code, close->reply_text);
		return true;
	}
	if (frame->payload.method.id == AMQP_CONNECTION_CLOSE_METHOD) {
		amqp_connection_close_t *close = decoded;
		break_with(link, "connection closed", close->reply_code, close->reply_text);
		return true;
	}
	return false;
}

/* One frame, if there is one. Returns a status of rabbitmq-c. */
static int read_frame(struct link *link, amqp_frame_t *frame)
{
	static const struct timeval no_wait = { 0 };
	amqp_maybe_release_buffers(link->connection);
	return amqp_simple_wait_frame_noblock(link->connection, frame, &no_wait);
}

/* Hands over a turn's worth of frames. Returns whether there may be more. */
static bool hand_over(struct link *link)
{
	int status = AMQP_STATUS_OK;
	amqp_frame_t frame;
	for (int frames = 0; link_is_up(link) && frames < LINK_FRAMES_AT_ONCE; frames++) {
		status = read_frame(link, &frame);
		if (status != AMQP_STATUS_OK)
			break;
		if (!handle_own(link, &frame))
			link->events->frame(link->owner, &frame);
	}
	if (status == AMQP_STATUS_TIMEOUT)
		return false;
	return link_check(link, status, "read");
}

static void pump(struct link *link)
{
	bool more = link->events->frame && hand_over(link);
	if (!link_is_up(link))
		return;
	uv_timer_start(&link->timer, on_timer, more ? 0 : LINK_TICK_MS, 0);
	link->events->read(link->owner);
}

/* There is nothing to say to a connection that broke: a farewell could only block. */
static void drop_connection(struct link *link)
{
	stop_poll(link);
	if (link->connection)
		amqp_destroy_connection(link->connection);
	link->connection = NULL;
}

static void finish(struct link *link)
{
	drop_connection(link);
	uv_close((uv_handle_t *)&link->timer, on_timer_closed);
}

static void say_goodbye(struct link *link)
{
	amqp_connection_close_t close = { .reply_code = AMQP_REPLY_SUCCESS };
	link->state = LINK_LEAVING;
	uv_timer_start(&link->timer, on_timer, LINK_LEAVE_TIMEOUT_MS, 0);
	if (amqp_send_method(link->connection, 0, AMQP_CONNECTION_CLOSE_METHOD, &close) !=
	    AMQP_STATUS_OK)
		finish(link);
}

/* Reads until the goodbye is answered; what else still comes is not acked, and goes back. */
static void leave(struct link *link)
{
	amqp_frame_t frame;
	int status;
	while ((status = read_frame(link, &frame)) == AMQP_STATUS_OK) {
		if (frame.frame_type == AMQP_FRAME_METHOD &&
		    frame.payload.method.id == AMQP_CONNECTION_CLOSE_OK_METHOD)
			break;
	}
	if (status != AMQP_STATUS_TIMEOUT)
		finish(link);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct link *link = poll->data;
	if (status < 0) {
		link_break(link, uv_strerror(status));
		return;
	}
	if (link->state == LINK_LEAVING) {
		leave(link);
		return;
	}
	pump(link);
	if (events & UV_WRITABLE && link_is_up(link)) {
		uv_poll_start(poll, UV_READABLE, on_poll);
		link->events->writable(link->owner);
	}
}

static bool start_poll(struct link *link)
{
	link->poll = calloc(1, sizeof(*link->poll));
	if (!link->poll)
		return false;
	if (uv_poll_init(link->timer.loop, link->poll, amqp_get_sockfd(link->connection)) < 0) {
		free(link->poll);
		link->poll = NULL;
		return false;
	}
	link->poll->data = link;
	return uv_poll_start(link->poll, UV_READABLE, on_poll) == 0;
}

static void go_up(struct link *link)
{
	link->connection = link->fresh;
	link->fresh = NULL;
	link->epoch++;
	link->up_since_ms = clock_now_ms();
	link->state = LINK_UP;
	if (!start_poll(link)) {
		link_break(link, "out of memory");
		return;
	}
	log_info("connected to RabbitMQ", LOG_TEXT("connection", link->name));
	link->events->up(link->owner);
	/* Some frames may have come along with the last answer: nothing would tell of them. */
	if (link_is_up(link))
		uv_timer_start(&link->timer, on_timer, 0, 0);
}

static void after_work(uv_work_t *w, int status)
{
	(void)status;
	struct link *link = w->data;
	if (link->closing) {
		broker_disconnect(&link->fresh);
		finish(link);
	} else if (link->fresh) {
		go_up(link);
	} else {
		connect_later(link);
		log_warning("no connection to RabbitMQ", LOG_TEXT("connection", link->name),
			    LOG_REASON(&link->error), LOG_INT("again_in_ms", link->wait_ms));
	}
}

static void connect_now(struct link *link)
{
	link->state = LINK_CONNECTING;
	link->work.data = link;
	if (uv_queue_work(link->timer.loop, &link->work, work, after_work) < 0)
		connect_later(link);
}

static void connect_later(struct link *link)
{
	bool lasted = clock_now_ms() - link->up_since_ms > LINK_LONGEST_WAIT_MS;
	if (link->state == LINK_BROKEN && lasted)
		link->wait_ms = 0;
	link->state = LINK_WAITING;
	link->wait_ms = link->wait_ms ? link->wait_ms * 2 : LINK_FIRST_WAIT_MS;
	if (link->wait_ms > LINK_LONGEST_WAIT_MS)
		link->wait_ms = LINK_LONGEST_WAIT_MS;
	uv_timer_start(&link->timer, on_timer, (uint64_t)link->wait_ms, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct link *link = timer->data;
	if (link->closing && link->state == LINK_UP) {
		say_goodbye(link);
	} else if (link->closing) {
		finish(link);
	} else if (link->state == LINK_WAITING) {
		connect_now(link);
	} else if (link->state == LINK_UP) {
		pump(link);
	} else if (link->state == LINK_BROKEN) {
		drop_connection(link);
		connect_later(link);
		link->events->down(link->owner);
	}
}

void link_open(struct link *link, uv_loop_t *loop, const char *name,
	       const struct link_events *events, void *owner)
{
	*link = (struct link){ .name = name, .owner = owner, .events = events };
	uv_timer_init(loop, &link->timer);
	link->timer.data = link;
	connect_now(link);
}

bool link_is_up(const struct link *link)
{
	return link->state == LINK_UP && !link->closing;
}

bool link_can_write(struct link *link)
{
	if (!link_is_up(link))
		return false;
	struct pollfd fd = { .fd = amqp_get_sockfd(link->connection), .events = POLLOUT };
	if (poll(&fd, 1, 0) > 0)
		return true; /* or broken: then sending says so */
	uv_poll_start(link->poll, UV_READABLE | UV_WRITABLE, on_poll);
	return false;
}

void link_break(struct link *link, const char *why)
{
	if (!link_is_up(link))
		return;
	log_warning("connection to RabbitMQ given up", LOG_TEXT("connection", link->name),
		    LOG_TEXT("reason", why));
	link->state = LINK_BROKEN;
	uv_timer_start(&link->timer, on_timer, 0, 0);
}

bool link_check(struct link *link, int status, const char *what)
{
	if (status == AMQP_STATUS_OK)
		return true;
	char why[ERROR_TEXT_BYTES];
	snprintf(why, sizeof(why), "%s: %s", what, amqp_error_string2(status));
	link_break(link, why);
	return false;
}

void link_close(struct link *link)
{
	if (link->closing)
		return;
	link->closing = true;
	/* From the loop: the caller may be in the middle of what this would take away. */
	if (link->state != LINK_CONNECTING)
		uv_timer_start(&link->timer, on_timer, 0, 0);
}
