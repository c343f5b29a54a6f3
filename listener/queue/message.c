/* message: what a delivery's header frame says, in one piece of memory. */
#include "message.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "transport/message_headers.h"

static bool header_flag(const amqp_basic_properties_t *p, const char *name)
{
	const amqp_field_value_t *value = message_header(p, name);
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
		entry_id_from_message_id(message_text(p->message_id), m->id);
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
	struct text key = message_header_text(p, MESSAGE_KEY);
	if (key.n == 0)
		key = message_text(routing_key);
	size_t size = sizeof(struct message) + key.n + raw.len + body_size + 3;
	struct message *m = calloc(1, size);
	if (!m)
		return NULL;
	m->size = size;
	m->received_ms = clock_now_ms();
	m->attempts = message_header_attempts(p);
	m->alone = header_flag(p, MESSAGE_ALONE);
	set_id(m, p);
	copy_plain(m->request_id, sizeof(m->request_id), message_header_text(p, "x-request-id"));
	copy_plain(m->traceparent, sizeof(m->traceparent), message_header_text(p, "traceparent"));
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
