/* topology: the exchange, queues and bindings of broker.h. */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/config.h"
#include "transport/broker.h"

enum {
	/* Crashes and restarts of whoever holds a message. */
	DELIVERY_LIMIT = 100,
	/*
	 * A dead letter that is looked at often must not vanish. RabbitMQ 4 has
	 * a limit of 20 unless told otherwise and takes -1 for none, but 3.x
	 * takes -1 for a limit, and drops a message at its first return.
	 */
	DELIVERY_LIMIT_DEAD = 1000 * 1000 * 1000,
	MAX_ARGUMENTS = 8,
	MIGRATE_CONNECT_TIMEOUT_MS = 10000,
	MIGRATE_DECLARE_TIMEOUT_MS = 60000,
};

/* A connection, and until when everything on it must be done. */
struct work {
	amqp_connection_state_t connection;
	int64_t deadline_ms;
	struct error *e;
};

struct arguments {
	amqp_table_entry_t entries[MAX_ARGUMENTS];
	int count;
};

static void add_text(struct arguments *a, const char *name, const char *value)
{
	a->entries[a->count++] = (amqp_table_entry_t){
		.key = amqp_cstring_bytes(name),
		.value = { .kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value) },
	};
}

static void add_number(struct arguments *a, const char *name, int32_t value)
{
	a->entries[a->count++] = (amqp_table_entry_t){
		.key = amqp_cstring_bytes(name),
		.value = { .kind = AMQP_FIELD_KIND_I32, .value.i32 = value },
	};
}

/* Each step gets what is left of the time, so that many slow ones are bounded together. */
static void begin_step(struct work *w)
{
	struct timeval left = broker_time_left(w->deadline_ms);
	amqp_set_rpc_timeout(w->connection, &left);
}

static enum error_code end_step(struct work *w, const char *what)
{
	enum error_code code = broker_check(amqp_get_rpc_reply(w->connection), what, w->e);
	amqp_maybe_release_buffers(w->connection);
	return code;
}

static enum error_code declare_exchange(struct work *w)
{
	begin_step(w);
	amqp_exchange_declare(w->connection, BROKER_CHANNEL, amqp_cstring_bytes(BROKER_EXCHANGE),
			      amqp_cstring_bytes("topic"), 0, 1, 0, 0, amqp_empty_table);
	return end_step(w, "declare exchange " BROKER_EXCHANGE);
}

static enum error_code declare_queue(struct work *w, const char *name, struct arguments *a)
{
	char what[sizeof("declare queue ") + BROKER_QUEUE_NAME_BYTES];
	snprintf(what, sizeof(what), "declare queue %s", name);
	add_text(a, "x-queue-type", "quorum");
	begin_step(w);
	amqp_queue_declare(w->connection, BROKER_CHANNEL, amqp_cstring_bytes(name), 0, 1, 0, 0,
			   (amqp_table_t){ a->count, a->entries });
	return end_step(w, what);
}

/* At least once holds only together with reject-publish; a queue that drops its head drops both. */
static void add_dead_lettering(struct arguments *a, const char *to)
{
	add_text(a, "x-dead-letter-exchange", "");
	add_text(a, "x-dead-letter-routing-key", to);
	add_text(a, "x-dead-letter-strategy", "at-least-once");
	add_text(a, "x-overflow", "reject-publish");
}

static enum error_code declare_dead(struct work *w, const struct trigger *t)
{
	char name[BROKER_QUEUE_NAME_BYTES];
	struct arguments a = { 0 };
	broker_dead_queue(t->queue, name);
	add_number(&a, "x-delivery-limit", DELIVERY_LIMIT_DEAD);
	return declare_queue(w, name, &a);
}

static enum error_code declare_source(struct work *w, const struct trigger *t)
{
	char dead[BROKER_QUEUE_NAME_BYTES];
	struct arguments a = { 0 };
	broker_dead_queue(t->queue, dead);
	add_dead_lettering(&a, dead);
	add_number(&a, "x-delivery-limit", DELIVERY_LIMIT);
	return declare_queue(w, t->queue, &a);
}

static enum error_code declare_retry(struct work *w, const struct trigger *t, int delay_ms)
{
	char name[BROKER_QUEUE_NAME_BYTES];
	struct arguments a = { 0 };
	broker_retry_queue(t->queue, delay_ms, name);
	add_dead_lettering(&a, t->queue);
	add_number(&a, "x-message-ttl", delay_ms);
	return declare_queue(w, name, &a);
}

static enum error_code bind(struct work *w, const struct trigger *t, const char *key)
{
	char what[sizeof("bind queue ") + BROKER_QUEUE_NAME_BYTES];
	snprintf(what, sizeof(what), "bind queue %s", t->queue);
	begin_step(w);
	amqp_queue_bind(w->connection, BROKER_CHANNEL, amqp_cstring_bytes(t->queue),
			amqp_cstring_bytes(BROKER_EXCHANGE), amqp_cstring_bytes(key),
			amqp_empty_table);
	return end_step(w, what);
}

/* Where messages go comes before what sends them there. */
static enum error_code declare_trigger(struct work *w, const struct trigger *t)
{
	enum error_code code = declare_dead(w, t);
	if (!code)
		code = declare_source(w, t);
	for (int i = 0; !code && i < t->backoff_steps; i++)
		code = declare_retry(w, t, t->backoff_ms[i]);
	for (int i = 0; !code && i < t->key_count; i++)
		code = bind(w, t, t->keys[i]);
	return code;
}

void broker_retry_queue(const char *queue, int delay_ms, char name[BROKER_QUEUE_NAME_BYTES])
{
	snprintf(name, BROKER_QUEUE_NAME_BYTES, "%.*s.retry.%d", MAX_QUEUE_NAME_BYTES, queue,
		 delay_ms);
}

void broker_dead_queue(const char *queue, char name[BROKER_QUEUE_NAME_BYTES])
{
	snprintf(name, BROKER_QUEUE_NAME_BYTES, "%.*s.dead", MAX_QUEUE_NAME_BYTES, queue);
}

enum error_code broker_declare(amqp_connection_state_t connection, const struct triggers *triggers,
			       struct error *e)
{
	const struct timeval *timeout = amqp_get_rpc_timeout(connection);
	struct timeval saved =
		timeout ? *timeout
			: broker_time_left(clock_now_ms() + config()->confirm_timeout_ms);
	struct work w = {
		.connection = connection,
		.deadline_ms = clock_now_ms() + saved.tv_sec * 1000 + saved.tv_usec / 1000,
		.e = e,
	};
	enum error_code code = declare_exchange(&w);
	for (int i = 0; !code && i < triggers->count; i++)
		code = declare_trigger(&w, &triggers->list[i]);
	amqp_set_rpc_timeout(connection, &saved);
	return code;
}

enum error_code broker_migrate(struct error *e)
{
	struct triggers triggers;
	enum error_code code = triggers_load(config()->triggers_file, &triggers, e);
	if (code)
		return code;
	amqp_connection_state_t connection = NULL;
	code = broker_connect("migrate", clock_now_ms() + MIGRATE_CONNECT_TIMEOUT_MS, &connection,
			      e);
	if (!code) {
		struct timeval timeout = { .tv_sec = MIGRATE_DECLARE_TIMEOUT_MS / 1000 };
		amqp_set_rpc_timeout(connection, &timeout);
		code = broker_declare(connection, &triggers, e);
	}
	broker_disconnect(&connection);
	triggers_finish(&triggers);
	return code;
}
