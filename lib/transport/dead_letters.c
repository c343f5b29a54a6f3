/* dead_letters: basic.get, one after the other, on a connection of its own. */
#include "transport/dead_letters.h"

#include <amqp.h>
#include <amqp_framing.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/config.h"
#include "transport/broker.h"
#include "transport/confirm.h"
#include "transport/message_headers.h"

enum { POOL_PAGE_BYTES = 4096 };

struct reader {
	amqp_connection_state_t connection;
	struct confirms confirms;
	bool confirming;
	struct error failure; /* of the last letter that was to go back; code 0: it is stored */
	const char *queue;
	char dead_queue[BROKER_QUEUE_NAME_BYTES];
};

static void on_settled(void *context, void *what, enum outcome outcome, const struct error *e)
{
	(void)what;
	struct reader *r = context;
	r->failure = (struct error){ 0 };
	if (outcome != OUTCOME_STORED)
		r->failure = *e;
}

static int64_t deadline_ms(void)
{
	return clock_now_ms() + config()->confirm_timeout_ms;
}

static enum error_code count_queue(amqp_connection_state_t connection, const char *name,
				   uint32_t *count, struct error *e)
{
	amqp_queue_declare_ok_t *ok = amqp_queue_declare(
		connection, BROKER_CHANNEL, amqp_cstring_bytes(name), 1, 1, 0, 0, amqp_empty_table);
	amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection);
	if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
	    reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD &&
	    ((amqp_channel_close_t *)reply.reply.decoded)->reply_code == AMQP_NOT_FOUND)
		return error_set(e, ERROR_NOT_FOUND, "there is no queue %s", name);
	enum error_code code = broker_check(reply, "look at a queue", e);
	if (!code)
		*count = ok->message_count;
	return code;
}

static void reader_close(struct reader *r)
{
	if (r->confirming)
		confirms_finish(&r->confirms);
	broker_disconnect(&r->connection); /* what was not acked stays in its queue */
}

static enum error_code reader_open(struct reader *r, uint32_t *count, struct error *e)
{
	enum error_code code = broker_connect("flexi dead", deadline_ms(), &r->connection, e);
	if (!code)
		code = count_queue(r->connection, r->dead_queue, count, e);
	if (!code)
		code = confirms_open(&r->confirms, r->connection, 1, on_settled, r, e);
	r->confirming = !code;
	return code;
}

/* The key that RabbitMQ noted when it put a message aside by itself: x-death[0].routing-keys[0]. */
static struct text first_key(const amqp_basic_properties_t *p)
{
	const amqp_field_value_t *deaths = message_header(p, "x-death");
	if (!deaths || deaths->kind != AMQP_FIELD_KIND_ARRAY ||
	    deaths->value.array.num_entries == 0 ||
	    deaths->value.array.entries[0].kind != AMQP_FIELD_KIND_TABLE)
		return text_of(NULL);
	const amqp_table_t *death = &deaths->value.array.entries[0].value.table;
	for (int i = 0; i < death->num_entries; i++) {
		const amqp_field_value_t *keys = &death->entries[i].value;
		if (text_equal(message_text(death->entries[i].key), text_of("routing-keys")) &&
		    keys->kind == AMQP_FIELD_KIND_ARRAY && keys->value.array.num_entries > 0 &&
		    keys->value.array.entries[0].kind == AMQP_FIELD_KIND_UTF8)
			return message_text(keys->value.array.entries[0].value.bytes);
	}
	return text_of(NULL);
}

static struct dead_letter letter_of(const amqp_message_t *m)
{
	const amqp_basic_properties_t *p = &m->properties;
	struct dead_letter l = {
		.reason = message_header_text(p, MESSAGE_REASON),
		.time = message_header_text(p, MESSAGE_TIME),
		.handler = message_header_text(p, MESSAGE_HANDLER),
		.key = message_header_text(p, MESSAGE_KEY),
		.body = message_text(m->body),
		.attempts = message_header_attempts(p),
	};
	if (p->_flags & AMQP_BASIC_MESSAGE_ID_FLAG)
		l.id = message_text(p->message_id);
	if (l.reason.n == 0)
		l.reason = message_header_text(p, "x-first-death-reason");
	if (l.key.n == 0)
		l.key = first_key(p);
	return l;
}

/* What the publisher said, and the key it used; nothing of what was tried. */
static enum error_code put_back(struct reader *r, const amqp_message_t *m,
				const struct dead_letter *l, struct error *e)
{
	amqp_basic_properties_t properties = m->properties;
	amqp_table_t old = properties.headers;
	if (!(properties._flags & AMQP_BASIC_HEADERS_FLAG))
		old.num_entries = 0;
	amqp_pool_t pool;
	init_amqp_pool(&pool, POOL_PAGE_BYTES);
	amqp_table_t *headers = &properties.headers;
	*headers = (amqp_table_t){
		.entries = amqp_pool_alloc(&pool, (size_t)(old.num_entries + 1) *
							  sizeof(amqp_table_entry_t)),
	};
	enum error_code code = ERROR_NONE;
	if (!headers->entries)
		code = error_set(e, ERROR_INTERNAL, "out of memory");
	for (int i = 0; !code && i < old.num_entries; i++) {
		if (message_header_goes_along(old.entries[i].key))
			headers->entries[headers->num_entries++] = old.entries[i];
	}
	if (!code && l->key.n > 0)
		headers->entries[headers->num_entries++] = (amqp_table_entry_t){
			.key = amqp_cstring_bytes(MESSAGE_KEY),
			.value = { .kind = AMQP_FIELD_KIND_UTF8,
				   .value.bytes = { l->key.n, (void *)l->key.s } },
		};
	properties._flags |= AMQP_BASIC_HEADERS_FLAG;
	properties._flags &= ~(amqp_flags_t)(AMQP_BASIC_EXPIRATION_FLAG | AMQP_BASIC_USER_ID_FLAG);
	struct publication publication = {
		.exchange = "", /* leads to a queue by its name */
		.key = r->queue,
		.properties = &properties,
		.body = l->body,
	};
	int64_t until_ms = deadline_ms();
	if (!code)
		code = confirms_publish(&r->confirms, &publication, NULL, until_ms, e);
	if (!code)
		code = confirms_wait(&r->confirms, until_ms, e);
	if (!code && r->failure.code)
		code = error_set(e, r->failure.code, "%s", r->failure.text);
	empty_amqp_pool(&pool);
	return code;
}

static enum error_code settle(struct reader *r, uint64_t tag, const amqp_message_t *m,
			      dead_letter_seen *seen, void *context, struct error *e)
{
	struct dead_letter letter = letter_of(m);
	enum dead_letter_fate fate = seen(context, &letter);
	if (fate == DEAD_LETTER_STAYS)
		return ERROR_NONE;
	if (fate == DEAD_LETTER_GOES_BACK && put_back(r, m, &letter, e))
		return e->code;
	return broker_status(amqp_basic_ack(r->connection, BROKER_CHANNEL, tag, 0), "ack", e);
}

/* One letter; *none is true when the queue is empty. */
static enum error_code next(struct reader *r, dead_letter_seen *seen, void *context, bool *none,
			    struct error *e)
{
	enum error_code code = broker_wait_writable(r->connection, deadline_ms(), "get", e);
	if (code)
		return code;
	amqp_rpc_reply_t reply =
		amqp_basic_get(r->connection, BROKER_CHANNEL, amqp_cstring_bytes(r->dead_queue), 0);
	code = broker_check(reply, "get", e);
	if (code)
		return code;
	*none = reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD;
	if (*none)
		return ERROR_NONE;
	/* The rest of the message is under way: two heartbeats that do not come end the wait for it. */
	uint64_t tag = ((amqp_basic_get_ok_t *)reply.reply.decoded)->delivery_tag;
	amqp_message_t message;
	code = broker_check(amqp_read_message(r->connection, BROKER_CHANNEL, &message, 0), "get",
			    e);
	if (code)
		return code;
	code = settle(r, tag, &message, seen, context, e);
	amqp_destroy_message(&message);
	amqp_maybe_release_buffers(r->connection);
	return code;
}

enum error_code dead_letters_each(const char *queue, dead_letter_seen *seen, void *context,
				  struct error *e)
{
	struct error own;
	e = e ? e : &own;
	CLEANUP(reader_close) struct reader r = { .queue = queue };
	broker_dead_queue(queue, r.dead_queue);
	uint32_t count = 0;
	bool none = false;
	enum error_code code = reader_open(&r, &count, e);
	for (uint32_t i = 0; !code && !none && i < count; i++)
		code = next(&r, seen, context, &none, e);
	return code;
}

enum error_code dead_letters_count(const char *const *queues, size_t count,
				   struct dead_letter_counts *counts, struct error *e)
{
	CLEANUP(broker_disconnect) amqp_connection_state_t connection = NULL;
	char dead_queue[BROKER_QUEUE_NAME_BYTES];
	enum error_code code = broker_connect("flexi dead", deadline_ms(), &connection, e);
	for (size_t i = 0; !code && i < count; i++) {
		broker_dead_queue(queues[i], dead_queue);
		code = count_queue(connection, queues[i], &counts[i].waiting, e);
		if (!code)
			code = count_queue(connection, dead_queue, &counts[i].dead, e);
	}
	return code;
}
