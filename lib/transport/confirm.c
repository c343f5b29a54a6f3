/* confirm: publishes frame by frame, and reads every frame that may come back. */
#include "transport/confirm.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/log.h"
#include "transport/broker.h"

enum {
	DELIVERY_PERSISTENT = 2,
};

/* In a window of more than one, tells which publication it is that came back. */
static const char sequence_header[] = "x-publication";

/* ---- settling ---- */

static void settle(struct confirms *c, int i, enum outcome outcome, const struct error *e)
{
	struct in_flight settled = c->list[i];
	c->count--;
	memmove(&c->list[i], &c->list[i + 1], (size_t)(c->count - i) * sizeof(*c->list));
	c->settled(c->context, settled.what, outcome, e);
}

void confirms_give_up(struct confirms *c, const struct error *why)
{
	while (c->count > 0)
		settle(c, 0, OUTCOME_UNKNOWN, why);
}

static enum error_code lose(struct confirms *c, struct error *e)
{
	c->lost = true;
	confirms_give_up(c, e);
	return e->code;
}

static void settle_one(struct confirms *c, int i, bool stored)
{
	struct error e = { 0 };
	if (c->list[i].returned) {
		error_set(&e, ERROR_CONFIG, "RabbitMQ has no queue for it");
		settle(c, i, OUTCOME_NOT_STORED, &e);
	} else if (!stored) {
		error_set(&e, ERROR_PEER_FULL, "RabbitMQ takes nothing more now");
		settle(c, i, OUTCOME_NOT_STORED, &e);
	} else {
		settle(c, i, OUTCOME_STORED, NULL);
	}
}

/* A confirm for a sequence that is not in flight is for one that was given up. */
static void confirm(struct confirms *c, uint64_t sequence, bool multiple, bool stored)
{
	int i = 0;
	while (i < c->count && c->list[i].sequence <= sequence) {
		if (multiple || c->list[i].sequence == sequence)
			settle_one(c, i, stored);
		else
			i++;
	}
}

/* ---- what comes in ---- */

/* The publication that properties of a returned message belong to. */
static void mark_returned(struct confirms *c, const amqp_basic_properties_t *properties)
{
	if (c->window == 1 && c->count == 1) {
		c->list[0].returned = true;
		return;
	}
	if (!(properties->_flags & AMQP_BASIC_HEADERS_FLAG))
		return;
	for (int h = 0; h < properties->headers.num_entries; h++) {
		const amqp_table_entry_t *entry = &properties->headers.entries[h];
		struct text key = { entry->key.bytes, entry->key.len };
		if (!text_equal(key, text_of(sequence_header)) ||
		    entry->value.kind != AMQP_FIELD_KIND_I64)
			continue;
		for (int i = 0; i < c->count; i++) {
			if (c->list[i].sequence == (uint64_t)entry->value.value.i64)
				c->list[i].returned = true;
		}
	}
}

static enum error_code on_return(struct confirms *c, const amqp_method_t *method, struct error *e)
{
	(void)e;
	const amqp_basic_return_t *returned = method->decoded;
	log_warning("RabbitMQ returned a message", LOG_INT("code", returned->reply_code));
	c->returning = true;
	c->returning_rest = 0;
	return ERROR_NONE;
}

static enum error_code on_ack(struct confirms *c, const amqp_method_t *method, struct error *e)
{
	(void)e;
	const amqp_basic_ack_t *ack = method->decoded;
	confirm(c, ack->delivery_tag, ack->multiple, true);
	return ERROR_NONE;
}

static enum error_code on_nack(struct confirms *c, const amqp_method_t *method, struct error *e)
{
	(void)e;
	const amqp_basic_nack_t *nack = method->decoded;
	confirm(c, nack->delivery_tag, nack->multiple, false);
	return ERROR_NONE;
}

static enum error_code on_blocked(struct confirms *c, const amqp_method_t *method, struct error *e)
{
	(void)method;
	(void)e;
	if (!c->blocked)
		log_warning("RabbitMQ takes no publications: an alarm of memory or disk");
	c->blocked = true;
	return ERROR_NONE;
}

static enum error_code on_unblocked(struct confirms *c, const amqp_method_t *method,
				    struct error *e)
{
	(void)method;
	(void)e;
	log_info("RabbitMQ takes publications again");
	c->blocked = false;
	return ERROR_NONE;
}

static enum error_code on_close(struct confirms *c, const amqp_method_t *method, struct error *e)
{
	(void)c;
	return broker_closed(method, "publish", e);
}

static const struct {
	amqp_method_number_t id;
	enum error_code (*take)(struct confirms *c, const amqp_method_t *method, struct error *e);
} methods[] = {
	{ AMQP_BASIC_ACK_METHOD, on_ack },
	{ AMQP_BASIC_NACK_METHOD, on_nack },
	{ AMQP_BASIC_RETURN_METHOD, on_return },
	{ AMQP_CONNECTION_BLOCKED_METHOD, on_blocked },
	{ AMQP_CONNECTION_UNBLOCKED_METHOD, on_unblocked },
	{ AMQP_CHANNEL_CLOSE_METHOD, on_close },
	{ AMQP_CONNECTION_CLOSE_METHOD, on_close },
};

static enum error_code take_frame(struct confirms *c, const amqp_frame_t *frame, struct error *e)
{
	if (frame->frame_type == AMQP_FRAME_METHOD) {
		const amqp_method_t *method = &frame->payload.method;
		for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
			if (methods[i].id == method->id)
				return methods[i].take(c, method, e);
		}
	} else if (frame->frame_type == AMQP_FRAME_HEADER && c->returning) {
		mark_returned(c, frame->payload.properties.decoded);
		c->returning_rest = frame->payload.properties.body_size;
		c->returning = c->returning_rest > 0;
	} else if (frame->frame_type == AMQP_FRAME_BODY && c->returning) {
		uint64_t n = frame->payload.body_fragment.len;
		c->returning_rest -= n < c->returning_rest ? n : c->returning_rest;
		c->returning = c->returning_rest > 0;
	}
	return ERROR_NONE;
}

/* Reads and takes one frame. *quiet says that none came before the deadline. */
static enum error_code read_frame(struct confirms *c, int64_t deadline_ms, bool *quiet,
				  struct error *e)
{
	struct error own;
	e = e ? e : &own;
	amqp_frame_t frame;
	struct timeval left = broker_time_left(deadline_ms);
	int status = amqp_simple_wait_frame_noblock(c->connection, &frame, &left);
	*quiet = status == AMQP_STATUS_TIMEOUT;
	if (*quiet)
		return ERROR_NONE;
	if (status)
		broker_status(status, "publish", e);
	if (status || take_frame(c, &frame, e))
		return lose(c, e);
	amqp_maybe_release_buffers(c->connection);
	return ERROR_NONE;
}

enum error_code confirms_pump(struct confirms *c, struct error *e)
{
	if (c->lost)
		return error_set(e, ERROR_PEER_DOWN, "the connection to RabbitMQ is lost");
	bool quiet = false;
	while (!quiet) {
		enum error_code code = read_frame(c, 0, &quiet, e);
		if (code)
			return code;
	}
	return ERROR_NONE;
}

enum error_code confirms_wait(struct confirms *c, int64_t deadline_ms, struct error *e)
{
	bool was_blocked = false;
	while (c->count > 0) {
		bool quiet;
		if (c->blocked && !was_blocked) {
			int64_t grace_ms = clock_now_ms() + CONFIRM_BLOCKED_GRACE_MS;
			was_blocked = true;
			deadline_ms = grace_ms < deadline_ms ? grace_ms : deadline_ms;
		}
		enum error_code code = read_frame(c, deadline_ms, &quiet, e);
		if (code)
			return code;
		if (!quiet || clock_left_ms(deadline_ms) > 0)
			continue;
		if (was_blocked)
			return error_set(e, ERROR_PEER_FULL, "RabbitMQ takes nothing more now");
		return error_set(e, ERROR_PEER_TIMEOUT, "RabbitMQ did not confirm in time");
	}
	return ERROR_NONE;
}

/* ---- what goes out ---- */

/* Holds small frames back, so that RabbitMQ wakes up once for a publication. */
static void cork(struct confirms *c, int on)
{
	setsockopt(amqp_get_sockfd(c->connection), IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

/* The properties as given, but persistent and, in a window of several, numbered. */
static enum error_code prepare(const struct confirms *c, const struct publication *p,
			       amqp_basic_properties_t *out, struct error *e)
{
	if (p->properties)
		*out = *p->properties;
	out->_flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
	out->delivery_mode = DELIVERY_PERSISTENT;
	if (c->window == 1)
		return ERROR_NONE;
	int count = out->_flags & AMQP_BASIC_HEADERS_FLAG ? out->headers.num_entries : 0;
	amqp_table_entry_t *entries = calloc((size_t)count + 1, sizeof(*entries));
	if (!entries)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	int kept = 0;
	for (int i = 0; i < count; i++) {
		struct text key = { out->headers.entries[i].key.bytes,
				    out->headers.entries[i].key.len };
		if (!text_equal(key, text_of(sequence_header)))
			entries[kept++] = out->headers.entries[i];
	}
	entries[kept++] = (amqp_table_entry_t){
		.key = amqp_cstring_bytes(sequence_header),
		.value = { .kind = AMQP_FIELD_KIND_I64, .value.i64 = (int64_t)(c->sequence + 1) },
	};
	out->_flags |= AMQP_BASIC_HEADERS_FLAG;
	out->headers = (amqp_table_t){ kept, entries };
	return ERROR_NONE;
}

static void prepared_finish(const struct confirms *c, amqp_basic_properties_t *properties)
{
	if (c->window > 1)
		free(properties->headers.entries);
}

/* All frames but the last. Until that has left, RabbitMQ has no whole message, and drops it. */
static enum error_code send_head(struct confirms *c, const struct publication *p,
				 const amqp_basic_properties_t *properties, int64_t deadline_ms,
				 amqp_frame_t *last, struct error *e)
{
	amqp_basic_publish_t publish = {
		.exchange = amqp_cstring_bytes(p->exchange),
		.routing_key = amqp_cstring_bytes(p->key),
		.mandatory = 1,
	};
	*last = (amqp_frame_t){ .frame_type = AMQP_FRAME_HEADER, .channel = BROKER_CHANNEL };
	last->payload.properties.class_id = AMQP_BASIC_CLASS;
	last->payload.properties.body_size = p->body.n;
	last->payload.properties.decoded = (void *)properties;
	enum error_code code = broker_wait_writable(c->connection, deadline_ms, "publish", e);
	if (code)
		return code;
	int status = amqp_send_method(c->connection, BROKER_CHANNEL, AMQP_BASIC_PUBLISH_METHOD,
				      &publish);
	for (size_t begun = 0; !status && begun < p->body.n;) {
		status = amqp_send_frame(c->connection, last);
		size_t rest = p->body.n - begun;
		size_t n = rest < BROKER_BODY_FRAME_BYTES ? rest : BROKER_BODY_FRAME_BYTES;
		last->frame_type = AMQP_FRAME_BODY;
		last->payload.body_fragment =
			(amqp_bytes_t){ .len = n, .bytes = (char *)(uintptr_t)p->body.s + begun };
		begun += n;
		if (!status)
			code = broker_wait_writable(c->connection, deadline_ms, "publish", e);
		if (code)
			return code;
	}
	return broker_status(status, "publish", e);
}

static enum error_code send_frames(struct confirms *c, const struct publication *p,
				   const amqp_basic_properties_t *properties, void *what,
				   int64_t deadline_ms, struct error *e)
{
	amqp_frame_t last;
	enum error_code code = send_head(c, p, properties, deadline_ms, &last, e);
	if (code) {
		lose(c, e);
		return code;
	}
	c->list[c->count++] = (struct in_flight){ .sequence = ++c->sequence, .what = what };
	code = broker_status(amqp_send_frame(c->connection, &last), "publish", e);
	if (code)
		lose(c, e);
	return ERROR_NONE;
}

enum error_code confirms_publish(struct confirms *c, const struct publication *p, void *what,
				 int64_t deadline_ms, struct error *e)
{
	struct error own;
	e = e ? e : &own;
	if (c->lost)
		return error_set(e, ERROR_PEER_DOWN, "the connection to RabbitMQ is lost");
	if (c->blocked || c->count == c->window)
		return error_set(e, ERROR_PEER_FULL, "RabbitMQ takes nothing more now");
	amqp_basic_properties_t properties = { 0 };
	enum error_code code = prepare(c, p, &properties, e);
	if (code)
		return code;
	cork(c, 1);
	code = send_frames(c, p, &properties, what, deadline_ms, e);
	cork(c, 0);
	prepared_finish(c, &properties);
	return code;
}

enum error_code confirms_open(struct confirms *c, amqp_connection_state_t connection, int window,
			      confirms_settled *settled, void *context, struct error *e)
{
	*c = (struct confirms){
		.connection = connection,
		.settled = settled,
		.context = context,
		.window = window,
	};
	c->list = calloc((size_t)window, sizeof(*c->list));
	if (!c->list)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	amqp_confirm_select(connection, BROKER_CHANNEL);
	enum error_code code = broker_check(amqp_get_rpc_reply(connection), "ask for confirms", e);
	if (code)
		confirms_finish(c);
	return code;
}

void confirms_finish(struct confirms *c)
{
	struct error e = { 0 };
	error_set(&e, ERROR_PEER_DOWN, "the connection to RabbitMQ was given up");
	confirms_give_up(c, &e);
	free(c->list);
	*c = (struct confirms){ .lost = true };
}
