/* amqp: one kept connection, publishing with confirm, and when to try again. */
#include "transport/amqp.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "handler/handler.h"
#include "transport/broker.h"
#include "transport/confirm.h"

enum { CONNECTION_NAME_BYTES = 64, MAX_HEADERS = 2, TRIES = 2 };

/* What became of the one publication in flight. */
struct settled {
	enum outcome outcome;
	struct error e;
};

static struct {
	amqp_connection_state_t connection; /* NULL: none */
	struct confirms confirms;
	struct settled settled;
	int64_t pause_until_ms; /* monotonic */
	bool looked_after;	/* the idle worker knows about it */
} kept;

static void on_settled(void *context, void *what, enum outcome outcome, const struct error *e)
{
	(void)context;
	struct settled *settled = what;
	settled->outcome = outcome;
	if (e)
		settled->e = *e;
}

/* ---- the connection ---- */

void amqp_close(void)
{
	if (!kept.connection)
		return;
	confirms_finish(&kept.confirms);
	broker_disconnect(&kept.connection);
}

/* As amqp_close, without a goodbye, which would wait for an answer. */
static void drop(void)
{
	if (!kept.connection)
		return;
	confirms_finish(&kept.confirms);
	broker_drop(&kept.connection);
}

static void look_after(void)
{
	struct error e;
	if (kept.connection && confirms_pump(&kept.confirms, &e))
		amqp_close();
}

static enum error_code declare(int64_t deadline_ms, struct error *e)
{
	struct triggers triggers;
	enum error_code code = triggers_load(config()->triggers_file, &triggers, e);
	if (code) {
		log_error("wrong TRIGGERS_FILE", LOG_REASON(e));
		return code;
	}
	struct timeval left = broker_time_left(deadline_ms);
	amqp_set_rpc_timeout(kept.connection, &left);
	code = broker_declare(kept.connection, &triggers, e);
	triggers_finish(&triggers);
	return code;
}

static enum error_code open_connection(int64_t deadline_ms, struct error *e)
{
	char name[CONNECTION_NAME_BYTES];
	snprintf(name, sizeof(name), "%s %d", log_program(), (int)getpid());
	enum error_code code = broker_connect(name, deadline_ms, &kept.connection, e);
	if (!code)
		code = declare(deadline_ms, e);
	if (!code)
		code = confirms_open(&kept.confirms, kept.connection, 1, on_settled, NULL, e);
	if (code) {
		broker_disconnect(&kept.connection);
		return code;
	}
	if (!kept.looked_after) {
		handler_on_idle(look_after);
		atexit(amqp_close); /* RabbitMQ logs connections that end without a goodbye */
	}
	kept.looked_after = true;
	return ERROR_NONE;
}

/* A connection that was alive a moment ago. *fresh says that it was made just now. */
static enum error_code ready(int64_t deadline_ms, bool *fresh, struct error *e)
{
	look_after();
	*fresh = !kept.connection;
	return *fresh ? open_connection(deadline_ms, e) : ERROR_NONE;
}

/* ---- one publication ---- */

static void add_header(amqp_table_t *headers, const char *name, const char *value)
{
	if (!*value)
		return;
	headers->entries[headers->num_entries++] = (amqp_table_entry_t){
		.key = amqp_cstring_bytes(name),
		.value = { .kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value) },
	};
}

/* Leaves in settled what became of post; on error nothing was taken. */
static enum error_code publish(const struct amqp_post *post, int64_t deadline_ms,
			       struct settled *settled, struct error *e)
{
	amqp_table_entry_t entries[MAX_HEADERS];
	amqp_basic_properties_t properties = {
		._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_HEADERS_FLAG |
			  AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG |
			  AMQP_BASIC_APP_ID_FLAG,
		.content_type = amqp_cstring_bytes("application/json"),
		.message_id = amqp_cstring_bytes(post->id),
		.timestamp = (uint64_t)(post->accepted_ms / 1000),
		.app_id = amqp_cstring_bytes(log_program()),
		.headers = { .entries = entries },
	};
	add_header(&properties.headers, "x-request-id", log_request_id());
	add_header(&properties.headers, "traceparent", log_traceparent());
	struct publication publication = {
		.exchange = BROKER_EXCHANGE,
		.key = post->key,
		.properties = &properties,
		.body = post->body,
	};
	enum error_code code =
		confirms_publish(&kept.confirms, &publication, settled, deadline_ms, e);
	if (code)
		return code;
	struct error waited = { 0 };
	confirms_wait(&kept.confirms, deadline_ms, &waited);
	confirms_give_up(&kept.confirms, &waited); /* of what is still in flight, if anything */
	return ERROR_NONE;
}

/*
 * One try over the kept connection or a new one. *again says that another try
 * is worth it: the connection was an old one, and it was lost, or no queue was
 * there; a new one declares the queues.
 */
static enum outcome try_post(const struct amqp_post *post, int64_t deadline_ms, bool *again,
			     struct error *e)
{
	bool fresh;
	struct settled *settled = &kept.settled;
	*settled = (struct settled){ .outcome = OUTCOME_NOT_STORED };
	enum error_code code = ready(deadline_ms, &fresh, &settled->e);
	if (!code)
		code = publish(post, deadline_ms, settled, &settled->e);
	if (settled->outcome == OUTCOME_STORED)
		return OUTCOME_STORED;
	*e = settled->e;
	bool blocked = kept.connection && kept.confirms.blocked && !kept.confirms.lost;
	bool full = settled->outcome == OUTCOME_NOT_STORED && e->code == ERROR_PEER_FULL;
	if (blocked || full)
		return settled->outcome;
	*again = !fresh && e->code != ERROR_PEER_TIMEOUT;
	if (e->code == ERROR_PEER_TIMEOUT) {
		kept.pause_until_ms = clock_now_ms() + PEER_PAUSE_MS;
		drop();
	}
	amqp_close();
	return settled->outcome;
}

enum outcome amqp_post(const struct amqp_post *post, int64_t deadline_ms, struct error *e)
{
	if (clock_now_ms() < kept.pause_until_ms) {
		error_set(e, ERROR_PEER_DOWN, "RabbitMQ did not answer a moment ago");
		return OUTCOME_NOT_STORED;
	}
	int64_t confirm_deadline_ms = clock_now_ms() + config()->confirm_timeout_ms;
	if (confirm_deadline_ms < deadline_ms)
		deadline_ms = confirm_deadline_ms;
	struct error own = { 0 };
	bool unknown = false;
	for (int i = 0; i < TRIES; i++) {
		bool again = false;
		/*
		 * The first message may have been taken although its connection was
		 * lost. It is sent again all the same: its id is the same, so whoever
		 * stores it takes both for one.
		 */
		enum outcome outcome = try_post(post, deadline_ms, &again, &own);
		if (outcome == OUTCOME_STORED)
			return OUTCOME_STORED;
		unknown = unknown || outcome == OUTCOME_UNKNOWN;
		if (!again)
			break;
	}
	if (!unknown && own.code == ERROR_PEER_TIMEOUT)
		own.code = ERROR_PEER_DOWN; /* it timed out before it could have acted */
	if (e)
		*e = own;
	return unknown ? OUTCOME_UNKNOWN : OUTCOME_NOT_STORED;
}

enum outcome amqp_send(const struct entry *entry, int64_t deadline_ms, struct error *e)
{
	CLEANUP(json_put) struct json_object *body = entry_to_json(entry);
	struct text bytes = body ? json_write(body) : text_of("");
	if (bytes.n == 0) {
		error_set(e, ERROR_INTERNAL, "out of memory");
		return OUTCOME_NOT_STORED;
	}
	return amqp_post(&(struct amqp_post){ .key = entry_routing_key(entry->level),
					      .id = entry->id,
					      .accepted_ms = entry->accepted_ms,
					      .body = bytes },
			 deadline_ms, e);
}
