/* letter: what a message that is published again keeps, and what it gets. */
#include "letter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "transport/message_headers.h"

enum {
	POOL_PAGE_BYTES = 4096,
	/* What our headers, and the rest of the frame, take at most. */
	OWN_HEADERS_BYTES = 2048,
	MAX_OWN_HEADERS = 8,
};

static struct letter *letter_new(struct message *m)
{
	struct letter *l = calloc(1, sizeof(*l));
	if (l)
		l->message = m;
	return l;
}

struct letter *letter_new_retry(struct message *m, const char *queue)
{
	struct letter *l = letter_new(m);
	if (l)
		snprintf(l->queue, sizeof(l->queue), "%s", queue);
	return l;
}

struct letter *letter_new_dead(struct message *m, const char *from_queue, const char *handler,
			       struct text reason)
{
	struct letter *l = letter_new(m);
	struct error cut;
	if (!l)
		return NULL;
	l->dead = true;
	broker_dead_queue(from_queue, l->queue);
	snprintf(l->from_queue, sizeof(l->from_queue), "%s", from_queue);
	snprintf(l->handler, sizeof(l->handler), "%s", handler);
	error_set(&cut, ERROR_INTERNAL, "%.*s", (int)reason.n, reason.s);
	snprintf(l->reason, sizeof(l->reason), "%s", cut.text);
	clock_text(clock_wall_ms(), l->time);
	return l;
}

static void add_text(amqp_table_t *t, const char *name, struct text value)
{
	t->entries[t->num_entries++] = (amqp_table_entry_t){
		.key = amqp_cstring_bytes(name),
		.value = { .kind = AMQP_FIELD_KIND_UTF8,
			   .value.bytes = { value.n, (void *)value.s } },
	};
}

static void add_own(amqp_table_t *t, const struct letter *l)
{
	const struct message *m = l->message;
	t->entries[t->num_entries++] = (amqp_table_entry_t){
		.key = amqp_cstring_bytes(MESSAGE_ATTEMPTS),
		.value = { .kind = AMQP_FIELD_KIND_I32, .value.i32 = m->attempts },
	};
	t->entries[t->num_entries++] = (amqp_table_entry_t){
		.key = amqp_cstring_bytes(MESSAGE_ALONE),
		.value = { .kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = m->alone },
	};
	add_text(t, MESSAGE_KEY, m->key);
	if (!l->dead)
		return;
	add_text(t, MESSAGE_QUEUE, text_of(l->from_queue));
	add_text(t, MESSAGE_HANDLER, text_of(l->handler));
	add_text(t, MESSAGE_REASON, text_of(l->reason));
	add_text(t, MESSAGE_TIME, text_of(l->time));
}

/* Fills *p with what the publisher said, and what we say. Returns a status of rabbitmq-c. */
static int make_properties(const struct letter *l, amqp_pool_t *pool, amqp_basic_properties_t *p)
{
	void *decoded = NULL;
	amqp_bytes_t raw = l->message->properties;
	int status = amqp_decode_properties(AMQP_BASIC_CLASS, pool, raw, &decoded);
	if (status < 0)
		return status;
	*p = *(amqp_basic_properties_t *)decoded;
	amqp_table_t old = p->headers;
	bool fits = raw.len + OWN_HEADERS_BYTES <= BROKER_FRAME_BYTES;
	if (!(p->_flags & AMQP_BASIC_HEADERS_FLAG) || !fits)
		old.num_entries = 0;
	p->headers.num_entries = 0;
	p->headers.entries = amqp_pool_alloc(pool, (size_t)(old.num_entries + MAX_OWN_HEADERS) *
							   sizeof(amqp_table_entry_t));
	if (!p->headers.entries)
		return AMQP_STATUS_NO_MEMORY;
	for (int i = 0; i < old.num_entries; i++) {
		if (message_header_goes_along(old.entries[i].key))
			p->headers.entries[p->headers.num_entries++] = old.entries[i];
	}
	add_own(&p->headers, l);
	if (!(p->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) || p->message_id.len == 0)
		p->message_id = amqp_cstring_bytes(l->message->id);
	p->_flags |= AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG;
	p->_flags &= ~(amqp_flags_t)(AMQP_BASIC_EXPIRATION_FLAG | AMQP_BASIC_USER_ID_FLAG);
	return AMQP_STATUS_OK;
}

enum error_code letter_publish(struct letter *l, struct confirms *confirms, struct error *e)
{
	amqp_pool_t pool;
	amqp_basic_properties_t properties;
	init_amqp_pool(&pool, POOL_PAGE_BYTES);
	enum error_code code = broker_status(make_properties(l, &pool, &properties), "publish", e);
	if (code == ERROR_NONE) {
		l->deadline_ms = clock_now_ms() + config()->confirm_timeout_ms;
		struct publication p = {
			.exchange = "", /* leads to a queue by its name */
			.key = l->queue,
			.properties = &properties,
			.body = l->message->body,
		};
		code = confirms_publish(confirms, &p, l, l->deadline_ms, e);
	}
	empty_amqp_pool(&pool);
	return code;
}
