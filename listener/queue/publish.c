/* publish: letters in flight, and those that wait for their turn. */
#include "publish.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "letter.h"
#include "link.h"
#include "transport/confirm.h"

enum {
	/* Sent, and not confirmed yet. */
	MAX_UNCONFIRMED = 256,
	/* After a refusal. */
	REFUSED_WAIT_MS = 1000,
};

static struct {
	struct link link;
	struct confirms confirms; /* of the link's connection */
	const struct publish_events *events;
	void (*closed)(void);
	uv_timer_t timer;	    /* the oldest confirm is due, or a refusal is waited out */
	struct letter_list waiting; /* to be sent */
	struct letter_list sent;    /* and not confirmed, the oldest first */
	int64_t refused_until_ms;
} publisher;

static void on_timer(uv_timer_t *timer);
static confirms_settled on_settled;

/* On a thread, while nobody else touches the confirms: the link is not up. */
static enum error_code prepare(void *owner, amqp_connection_state_t connection, struct error *e)
{
	(void)owner;
	return confirms_open(&publisher.confirms, connection, MAX_UNCONFIRMED, on_settled, NULL, e);
}

static void arm_timer(void)
{
	const struct letter *oldest = TAILQ_FIRST(&publisher.sent);
	int64_t until = publisher.refused_until_ms;
	if (oldest && !publisher.confirms.blocked && (until == 0 || oldest->deadline_ms < until))
		until = oldest->deadline_ms;
	if (until == 0)
		uv_timer_stop(&publisher.timer);
	else
		uv_timer_start(&publisher.timer, on_timer, (uint64_t)clock_left_ms(until), 0);
}

static void settle(struct letter *l, struct letter_list *from)
{
	struct message *m = l->message;
	TAILQ_REMOVE(from, l, next);
	free(l);
	publisher.events->settled(m);
}

/* Sent, and refused: it waits for its next turn. */
static void take_back(struct letter *l, const struct error *e)
{
	log_warning("RabbitMQ did not take a message", LOG_TEXT("to", l->queue),
		    LOG_TEXT("id", l->message->id), LOG_REASON(e));
	TAILQ_REMOVE(&publisher.sent, l, next);
	TAILQ_INSERT_TAIL(&publisher.waiting, l, next);
	publisher.refused_until_ms = clock_now_ms() + REFUSED_WAIT_MS;
	if (e->code == ERROR_CONFIG)
		publisher.events->missing(l->message);
}

/* What is unknown stays among what was sent: see on_down. */
static void on_settled(void *context, void *what, enum outcome outcome, const struct error *e)
{
	(void)context;
	if (outcome == OUTCOME_STORED)
		settle(what, &publisher.sent);
	else if (outcome == OUTCOME_NOT_STORED)
		take_back(what, e);
}

static bool may_send(void)
{
	return publisher.refused_until_ms == 0 && link_can_write(&publisher.link) &&
	       !publisher.confirms.blocked && publisher.confirms.count < MAX_UNCONFIRMED;
}

static void send_letters(void)
{
	struct letter *l;
	struct error e;
	while ((l = TAILQ_FIRST(&publisher.waiting)) && may_send()) {
		if (!publisher.events->holds(l->message)) {
			settle(l, &publisher.waiting);
			continue;
		}
		TAILQ_REMOVE(&publisher.waiting, l, next);
		TAILQ_INSERT_TAIL(&publisher.sent, l, next);
		if (letter_publish(l, &publisher.confirms, &e))
			link_break(&publisher.link, e.text);
	}
	arm_timer();
}

static void on_timer(uv_timer_t *timer)
{
	(void)timer;
	const struct letter *oldest = TAILQ_FIRST(&publisher.sent);
	int64_t now = clock_now_ms();
	if (oldest && !publisher.confirms.blocked && oldest->deadline_ms <= now)
		link_break(&publisher.link, "no confirm in time");
	if (publisher.refused_until_ms <= now)
		publisher.refused_until_ms = 0;
	send_letters();
}

static void on_ready(void *owner)
{
	(void)owner;
	send_letters();
}

static void on_read(void *owner)
{
	(void)owner;
	struct error e;
	struct letter *l;
	bool was_blocked = publisher.confirms.blocked;
	if (confirms_pump(&publisher.confirms, &e))
		link_break(&publisher.link, e.text);
	if (was_blocked && !publisher.confirms.blocked) {
		for (l = TAILQ_FIRST(&publisher.sent); l; l = TAILQ_NEXT(l, next))
			l->deadline_ms = clock_now_ms() + config()->confirm_timeout_ms;
	}
	send_letters();
}

/* Nobody will confirm what was sent: it is sent again, in its old order. */
static void on_down(void *owner)
{
	(void)owner;
	confirms_finish(&publisher.confirms);
	TAILQ_CONCAT(&publisher.sent, &publisher.waiting, next);
	TAILQ_CONCAT(&publisher.waiting, &publisher.sent, next);
	publisher.refused_until_ms = 0;
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
	confirms_finish(&publisher.confirms);
	forget(&publisher.sent);
	forget(&publisher.waiting);
	uv_close((uv_handle_t *)&publisher.timer, on_timer_closed);
}

static const struct link_events link_events = {
	.prepare = prepare,
	.up = on_ready,
	.read = on_read,
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
