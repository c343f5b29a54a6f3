/* publish: sends letters frame by frame where there is room, and matches confirms to them. */
#include "publish.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "letter.h"
#include "link.h"
#include "transport/broker.h"

enum {
	/* Sent, and not confirmed yet. */
	MAX_UNCONFIRMED = 256,
	/* After a refusal. */
	REFUSED_WAIT_MS = 1000,
};

static struct {
	struct link link;
	const struct publish_events *events;
	void (*closed)(void);
	uv_timer_t timer;	    /* the oldest confirm is due, or a refusal is waited out */
	struct letter_list waiting; /* the first may be partly sent: see step, sent */
	struct letter_list sent;    /* in the order of their sequence */
	int unconfirmed;
	uint64_t sequence;     /* of the last that was sent whole */
	enum letter_step step; /* of the first that waits: what of it goes next */
	size_t sent_bytes;     /* and how much of its body is gone */
	int64_t refused_until_ms;
	bool blocked;	/* RabbitMQ asked for silence */
	bool returning; /* the header of a returned message comes next */
} publisher;

static void send_letters(void);
static void on_timer(uv_timer_t *timer);

static enum error_code prepare(void *owner, amqp_connection_state_t connection, struct error *e)
{
	(void)owner;
	amqp_confirm_select(connection, BROKER_CHANNEL);
	return broker_check(amqp_get_rpc_reply(connection), "ask for confirms", e);
}

static void arm_timer(void)
{
	const struct letter *oldest = TAILQ_FIRST(&publisher.sent);
	int64_t until = publisher.refused_until_ms;
	if (oldest && !publisher.blocked && (until == 0 || oldest->deadline_ms < until))
		until = oldest->deadline_ms;
	if (until == 0)
		uv_timer_stop(&publisher.timer);
	else
		uv_timer_start(&publisher.timer, on_timer, (uint64_t)clock_left_ms(until), 0);
}

static void on_timer(uv_timer_t *timer)
{
	(void)timer;
	const struct letter *oldest = TAILQ_FIRST(&publisher.sent);
	int64_t now = clock_now_ms();
	if (oldest && !publisher.blocked && oldest->deadline_ms <= now)
		link_break(&publisher.link, "no confirm in time");
	if (publisher.refused_until_ms <= now)
		publisher.refused_until_ms = 0;
	send_letters();
}

static void settle(struct letter *l, struct letter_list *from)
{
	struct message *m = l->message;
	TAILQ_REMOVE(from, l, next);
	free(l);
	publisher.events->settled(m);
}

/* Sends the next part of l. Returns whether the link is still up. */
static bool send_part(struct letter *l)
{
	amqp_connection_state_t connection = publisher.link.connection;
	int status = AMQP_STATUS_OK;
	switch (publisher.step) {
	case LETTER_METHOD:
		status = letter_send_method(l, connection);
		break;
	case LETTER_HEADER:
		status = letter_send_header(l, connection);
		break;
	case LETTER_BODY:
		status = letter_send_body(l, connection, &publisher.sent_bytes);
		break;
	}
	return link_check(&publisher.link, status, "publish");
}

/* Moves on to what follows the part that was sent. Returns whether l is whole now. */
static bool step_on(const struct letter *l)
{
	if (publisher.step == LETTER_METHOD) {
		publisher.step = LETTER_HEADER;
		return false;
	}
	publisher.step = LETTER_BODY;
	if (publisher.sent_bytes < l->message->body.n)
		return false;
	publisher.step = LETTER_METHOD;
	publisher.sent_bytes = 0;
	return true;
}

static void send_letters(void)
{
	struct letter *l;
	while (publisher.unconfirmed < MAX_UNCONFIRMED && !publisher.blocked &&
	       publisher.refused_until_ms == 0 && (l = TAILQ_FIRST(&publisher.waiting))) {
		if (publisher.step == LETTER_METHOD && !publisher.events->holds(l->message)) {
			settle(l, &publisher.waiting);
			continue;
		}
		if (!link_can_write(&publisher.link) || !send_part(l))
			break;
		if (!step_on(l))
			continue;
		l->sequence = ++publisher.sequence;
		l->deadline_ms = clock_now_ms() + config()->confirm_timeout_ms;
		TAILQ_REMOVE(&publisher.waiting, l, next);
		TAILQ_INSERT_TAIL(&publisher.sent, l, next);
		publisher.unconfirmed++;
	}
	arm_timer();
}

/* Sent, and refused: it waits for its next turn. */
static void take_back(struct letter *l, bool was_returned)
{
	log_warning("RabbitMQ did not take a message", LOG_TEXT("queue", l->queue),
		    LOG_TEXT("id", l->message->id),
		    LOG_TEXT("reason", was_returned ? "the queue is not there" : "refused"));
	l->returned = false;
	TAILQ_REMOVE(&publisher.sent, l, next);
	TAILQ_INSERT_TAIL(&publisher.waiting, l, next);
	publisher.refused_until_ms = clock_now_ms() + REFUSED_WAIT_MS;
	if (was_returned)
		publisher.events->missing(l->message);
}

static void confirm(uint64_t sequence, bool multiple, bool taken)
{
	struct letter *l;
	struct letter *after;
	for (l = TAILQ_FIRST(&publisher.sent); l && l->sequence <= sequence; l = after) {
		after = TAILQ_NEXT(l, next);
		if (!multiple && l->sequence != sequence)
			continue;
		publisher.unconfirmed--;
		if (taken && !l->returned)
			settle(l, &publisher.sent);
		else
			take_back(l, l->returned);
	}
}

static void on_method(const amqp_method_t *method)
{
	if (method->id == AMQP_BASIC_ACK_METHOD) {
		const amqp_basic_ack_t *ack = method->decoded;
		confirm(ack->delivery_tag, ack->multiple, true);
	} else if (method->id == AMQP_BASIC_NACK_METHOD) {
		const amqp_basic_nack_t *nack = method->decoded;
		confirm(nack->delivery_tag, nack->multiple, false);
	} else if (method->id == AMQP_BASIC_RETURN_METHOD) {
		publisher.returning = true;
	} else if (method->id == AMQP_CONNECTION_BLOCKED_METHOD) {
		log_warning("RabbitMQ is short of memory or disk: retries and dead letters wait");
		publisher.blocked = true;
	} else if (method->id == AMQP_CONNECTION_UNBLOCKED_METHOD) {
		log_info("RabbitMQ takes messages again");
		publisher.blocked = false;
		for (struct letter *l = TAILQ_FIRST(&publisher.sent); l; l = TAILQ_NEXT(l, next))
			l->deadline_ms = clock_now_ms() + config()->confirm_timeout_ms;
	}
}

/* The confirm that follows a return says nothing of it: note which letter it was. */
static void on_returned(const amqp_basic_properties_t *properties)
{
	struct letter *l;
	publisher.returning = false;
	TAILQ_FOREACH(l, &publisher.sent, next)
	{
		if (letter_is(l, properties))
			l->returned = true;
	}
}

static void on_frame(void *owner, const amqp_frame_t *frame)
{
	(void)owner;
	if (frame->frame_type == AMQP_FRAME_METHOD)
		on_method(&frame->payload.method);
	else if (frame->frame_type == AMQP_FRAME_HEADER && publisher.returning)
		on_returned(frame->payload.properties.decoded);
}

static void on_ready(void *owner)
{
	(void)owner;
	send_letters();
}

/* Nobody will confirm what was sent: it is sent again, in its old order. */
static void on_down(void *owner)
{
	(void)owner;
	TAILQ_CONCAT(&publisher.sent, &publisher.waiting, next);
	TAILQ_CONCAT(&publisher.waiting, &publisher.sent, next);
	struct letter *l;
	TAILQ_FOREACH(l, &publisher.waiting, next)
	l->returned = false;
	publisher.unconfirmed = 0;
	publisher.sequence = 0;
	publisher.step = LETTER_METHOD;
	publisher.sent_bytes = 0;
	publisher.refused_until_ms = 0;
	publisher.blocked = false;
	publisher.returning = false;
	arm_timer();
}

static void on_timer_closed(uv_handle_t *handle)
{
	(void)handle;
	publisher.closed();
}

static void forget(struct letter_list *list)
{
	struct letter *l;
	while ((l = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, l, next);
		free(l);
	}
}

static void on_closed(void *owner)
{
	(void)owner;
	forget(&publisher.sent);
	forget(&publisher.waiting);
	uv_close((uv_handle_t *)&publisher.timer, on_timer_closed);
}

static const struct link_events link_events = {
	.prepare = prepare,
	.up = on_ready,
	.frame = on_frame,
	.read = on_ready,
	.writable = on_ready,
	.down = on_down,
	.closed = on_closed,
};

void publish_open(uv_loop_t *loop, const struct publish_events *events)
{
	publisher.events = events;
	TAILQ_INIT(&publisher.waiting);
	TAILQ_INIT(&publisher.sent);
	uv_timer_init(loop, &publisher.timer);
	link_open(&publisher.link, loop, "listener: retries and dead letters", &link_events, NULL);
}

static bool post(struct letter *l)
{
	if (!l)
		return false;
	TAILQ_INSERT_TAIL(&publisher.waiting, l, next);
	/* From the timer, not from here: it may settle letters, and the caller is not ready. */
	uv_timer_start(&publisher.timer, on_timer, 0, 0);
	return true;
}

bool publish_retry(struct message *m, const char *queue)
{
	return post(letter_new_retry(m, queue));
}

bool publish_dead(struct message *m, const char *from_queue, const char *handler,
		  struct text reason)
{
	return post(letter_new_dead(m, from_queue, handler, reason));
}

void publish_close(void (*closed)(void))
{
	publisher.closed = closed;
	link_close(&publisher.link);
}
