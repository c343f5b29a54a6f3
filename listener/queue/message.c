/* message: what a delivery's header frame says, in one piece of memory. */
#include "message.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"

/* A forged or broken count must not overflow. */
enum { MAX_ATTEMPTS_READ = 1000000 };

static struct text text_from(amqp_bytes_t bytes)
{
	return (struct text){ bytes.bytes ? bytes.bytes : "", bytes.len };
}

static const amqp_field_value_t *header_value(const amqp_basic_properties_t *p, const char *name)
{
	if (!(p->_flags & AMQP_BASIC_HEADERS_FLAG))
		return NULL;
	for (int i = 0; i < p->headers.num_entries; i++) {
		const amqp_table_entry_t *entry = &p->headers.entries[i];
		if (text_equal(text_from(entry->key), text_of(name)))
			return &entry->value;
	}
	return NULL;
}

static struct text header_text(const amqp_basic_properties_t *p, const char *name)
{
	const amqp_field_value_t *value = header_value(p, name);
	if (!value || (value->kind != AMQP_FIELD_KIND_UTF8 && value->kind != AMQP_FIELD_KIND_BYTES))
		return text_of(NULL);
	return text_from(value->value.bytes);
}

static int header_attempts(const amqp_basic_properties_t *p)
{
	const amqp_field_value_t *value = header_value(p, MESSAGE_ATTEMPTS);
	if (!value || value->kind != AMQP_FIELD_KIND_I32 || value->value.i32 < 0)
		return 0;
	return value->value.i32 < MAX_ATTEMPTS_READ ? value->value.i32 : MAX_ATTEMPTS_READ;
}

static bool header_flag(const amqp_basic_properties_t *p, const char *name)
{
	const amqp_field_value_t *value = header_value(p, name);
	return value && value->kind == AMQP_FIELD_KIND_BOOLEAN && value->value.boolean;
}

/* What will stand in an HTTP header line: copied only if it cannot break out of it. */
static void copy_plain(char *out, size_t size, struct text t)
{
	out[0] = '\0';
	if (t.n >= size)
		return;
	for (size_t i = 0; i < t.n; i++) {
		char c = t.s[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			     (c >= 'a' && c <= 'z') || c == '-';
		if (!plain)
			return;
	}
	memcpy(out, t.s, t.n);
	out[t.n] = '\0';
}

static void set_id(struct message *m, const amqp_basic_properties_t *p)
{
	if (p->_flags & AMQP_BASIC_MESSAGE_ID_FLAG && p->message_id.len > 0)
		entry_id_from_message_id(text_from(p->message_id), m->id);
	else
		entry_id_new(m->id);
}

/* Copies bytes to *at and moves it behind them and a NUL. */
static char *place(char **at, const void *bytes, size_t n)
{
	char *start = *at;
	if (n > 0 && bytes)
		memcpy(start, bytes, n);
	*at += n + 1;
	return start;
}

struct message *message_new(const amqp_frame_t *header, amqp_bytes_t routing_key)
{
	const amqp_basic_properties_t *p = header->payload.properties.decoded;
	amqp_bytes_t raw = header->payload.properties.raw;
	size_t body_size = header->payload.properties.body_size;
	struct text key = header_text(p, MESSAGE_KEY);
	if (key.n == 0)
		key = text_from(routing_key);
	size_t size = sizeof(struct message) + key.n + raw.len + body_size + 3;
	struct message *m = calloc(1, size);
	if (!m)
		return NULL;
	m->size = size;
	m->received_ms = clock_now_ms();
	m->attempts = header_attempts(p);
	m->alone = header_flag(p, MESSAGE_ALONE);
	set_id(m, p);
	copy_plain(m->request_id, sizeof(m->request_id), header_text(p, "x-request-id"));
	copy_plain(m->traceparent, sizeof(m->traceparent), header_text(p, "traceparent"));
	char *at = m->bytes;
	m->key = (struct text){ place(&at, key.s, key.n), key.n };
	m->properties = (amqp_bytes_t){ raw.len, place(&at, raw.bytes, raw.len) };
	m->body = (struct text){ place(&at, NULL, body_size), body_size };
	return m;
}

void message_list_clear(struct message_list *list)
{
	struct message *m;
	while ((m = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, m, next);
		free(m);
	}
}
