/* source: puts deliveries together from frames, without ever waiting for one. */
#include "source.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/config.h"
#include "core/log.h"
#include "transport/broker.h"

#define CONSUMER_TAG "listener"

static enum error_code prepare(void *owner, amqp_connection_state_t connection, struct error *e)
{
	struct source *s = owner;
	struct triggers one = { .list = (struct trigger *)s->trigger, .count = 1 };
	enum error_code code = broker_declare(connection, &one, e);
	if (code)
		return code;
	amqp_basic_qos(connection, BROKER_CHANNEL, 0, (uint16_t)s->prefetch, false);
	code = broker_check(amqp_get_rpc_reply(connection), "set the prefetch", e);
	if (code)
		return code;
	amqp_basic_consume(connection, BROKER_CHANNEL, amqp_cstring_bytes(s->trigger->queue),
			   amqp_cstring_bytes(CONSUMER_TAG), false, false, false, amqp_empty_table);
	return broker_check(amqp_get_rpc_reply(connection), "consume", e);
}

static void on_up(void *owner)
{
	struct source *s = owner;
	s->events->ready(s->owner);
}

static void forget_coming(struct source *s)
{
	if (s->coming.message)
		source_drop(s, s->coming.message);
	memset(&s->coming, 0, sizeof(s->coming));
}

static void on_down(void *owner)
{
	struct source *s = owner;
	forget_coming(s);
	s->shed_count = 0;
	s->returning_bytes = 0;
	s->events->lost(s->owner);
}

static void on_closed(void *owner)
{
	struct source *s = owner;
	forget_coming(s);
	free(s->shed);
	s->shed = NULL;
	s->events->closed(s->owner);
}

static void begin(struct source *s, const amqp_basic_deliver_t *deliver)
{
	forget_coming(s);
	s->coming.expected = true;
	s->coming.tag = deliver->delivery_tag;
	s->coming.redelivered = deliver->redelivered;
	size_t n = deliver->routing_key.len;
	if (n > sizeof(s->coming.key_bytes))
		n = sizeof(s->coming.key_bytes);
	if (n > 0)
		memcpy(s->coming.key_bytes, deliver->routing_key.bytes, n);
	s->coming.key = (amqp_bytes_t){ n, s->coming.key_bytes };
}

static void shed(struct source *s)
{
	if (s->shed_count == s->prefetch) {
		link_break(&s->link, "more messages than the prefetch allows");
		return;
	}
	s->shed[s->shed_count++] = (struct parcel){ s->coming.tag, s->coming.body_size };
}

static void finish(struct source *s)
{
	struct message *m = s->coming.message;
	uint64_t tag = s->coming.tag;
	s->coming.message = NULL;
	if (m) {
		m->tag = tag;
		m->epoch = s->link.epoch;
		s->events->message(s->owner, m);
	} else if (s->coming.rejected) {
		/* Its queue's dead-lettering takes it, with all its bytes. */
		link_check(&s->link,
			   amqp_basic_reject(s->link.connection, BROKER_CHANNEL, tag, false),
			   "reject");
	} else {
		shed(s);
	}
	s->coming.expected = false;
}

static void keep(struct source *s, const amqp_frame_t *header)
{
	struct message *m = message_new(header, s->coming.key);
	if (!m)
		return; /* memory is short now, and may not be later */
	s->coming.message = m;
	s->held_bytes += m->size;
}

static void on_header(struct source *s, const amqp_frame_t *frame)
{
	if (!s->coming.expected)
		return;
	size_t size = frame->payload.properties.body_size;
	s->coming.body_size = size;
	if (s->coming.redelivered)
		s->returning_bytes -= size < s->returning_bytes ? size : s->returning_bytes;
	s->coming.rejected = size > MAX_BODY_BYTES;
	if (s->coming.rejected)
		log_warning("message is larger than any handler takes: dead letter",
			    LOG_TEXT("queue", s->trigger->queue), LOG_INT("bytes", size));
	else if (s->held_bytes == 0 || s->held_bytes + size <= s->max_held_bytes)
		keep(s, frame);
	if (size == 0)
		finish(s);
}

static void on_body(struct source *s, amqp_bytes_t part)
{
	if (!s->coming.expected)
		return;
	if (part.len > s->coming.body_size - s->coming.got) {
		link_break(&s->link, "a body is longer than announced");
		return;
	}
	if (s->coming.message && part.len > 0)
		memcpy((char *)s->coming.message->body.s + s->coming.got, part.bytes, part.len);
	s->coming.got += part.len;
	if (s->coming.got == s->coming.body_size)
		finish(s);
}

static void on_method(struct source *s, const amqp_method_t *method)
{
	if (method->id == AMQP_BASIC_DELIVER_METHOD)
		begin(s, method->decoded);
	else if (method->id == AMQP_BASIC_CANCEL_METHOD)
		link_break(&s->link, "RabbitMQ ended the consumer: its queue is gone or has moved");
}

static void on_frame(void *owner, const amqp_frame_t *frame)
{
	struct source *s = owner;
	if (frame->channel != BROKER_CHANNEL)
		return;
	if (frame->frame_type == AMQP_FRAME_METHOD)
		on_method(s, &frame->payload.method);
	else if (frame->frame_type == AMQP_FRAME_HEADER)
		on_header(s, frame);
	else if (frame->frame_type == AMQP_FRAME_BODY)
		on_body(s, frame->payload.body_fragment);
}

/* Gives back what fits now, the oldest first. */
static void give_back(struct source *s)
{
	int given = 0;
	if (s->held_bytes == 0)
		s->returning_bytes = 0; /* somebody else may have got them */
	while (given < s->shed_count && link_is_up(&s->link)) {
		struct parcel p = s->shed[given];
		size_t expected = s->held_bytes + s->returning_bytes;
		if (expected > 0 && expected + p.size > s->max_held_bytes)
			break;
		if (!link_check(
			    &s->link,
			    amqp_basic_nack(s->link.connection, BROKER_CHANNEL, p.tag, false, true),
			    "return a message"))
			break;
		s->returning_bytes += p.size;
		given++;
	}
	s->shed_count -= given;
	memmove(s->shed, s->shed + given, (size_t)s->shed_count * sizeof(*s->shed));
}

static void on_read(void *owner)
{
	struct source *s = owner;
	give_back(s);
	s->events->read(s->owner);
}

static const struct link_events link_events = {
	.prepare = prepare,
	.up = on_up,
	.frame = on_frame,
	.read = on_read,
	.down = on_down,
	.closed = on_closed,
};

bool source_open(struct source *s, uv_loop_t *loop, const struct trigger *trigger,
		 const struct source_events *events, void *owner)
{
	*s = (struct source){ .trigger = trigger, .events = events, .owner = owner };
	/* One batch gathers while the others are under way. */
	int batches = trigger->max_concurrency + 1;
	s->prefetch = trigger->batch_size * batches;
	if (s->prefetch > UINT16_MAX)
		s->prefetch = UINT16_MAX;
	s->max_held_bytes = (size_t)config()->max_batch_bytes * (size_t)batches;
	s->shed = calloc((size_t)s->prefetch, sizeof(*s->shed));
	if (!s->shed)
		return false;
	snprintf(s->name, sizeof(s->name), "listener: %s", trigger->queue);
	link_open(&s->link, loop, s->name, &link_events, s);
	return true;
}

bool source_holds(const struct source *s, const struct message *m)
{
	return m->epoch == s->link.epoch && link_is_up(&s->link);
}

void source_drop(struct source *s, struct message *m)
{
	s->held_bytes -= m->size;
	free(m);
}

void source_ack(struct source *s, struct message *m)
{
	if (source_holds(s, m))
		link_check(&s->link,
			   amqp_basic_ack(s->link.connection, BROKER_CHANNEL, m->tag, false),
			   "ack");
	source_drop(s, m);
	give_back(s);
}

void source_return(struct source *s, struct message *m)
{
	if (source_holds(s, m))
		link_check(&s->link,
			   amqp_basic_nack(s->link.connection, BROKER_CHANNEL, m->tag, false, true),
			   "return a message");
	source_drop(s, m);
}

void source_cancel(struct source *s)
{
	if (!link_is_up(&s->link))
		return;
	amqp_basic_cancel_t cancel = { .consumer_tag = amqp_cstring_bytes(CONSUMER_TAG),
				       .nowait = true };
	link_check(&s->link,
		   amqp_send_method(s->link.connection, BROKER_CHANNEL, AMQP_BASIC_CANCEL_METHOD,
				    &cancel),
		   "cancel");
}

void source_close(struct source *s)
{
	link_close(&s->link);
}
