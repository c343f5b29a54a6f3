/* message_headers: the names in one place, and reading them. */
#include "transport/message_headers.h"

/* A forged or broken count must not overflow. */
enum { MAX_ATTEMPTS_READ = 1000000 };

static const char *const left_behind[] = {
	MESSAGE_ATTEMPTS,
	MESSAGE_ALONE,
	MESSAGE_KEY,
	MESSAGE_QUEUE,
	MESSAGE_HANDLER,
	MESSAGE_REASON,
	MESSAGE_TIME,
	"x-death",
	"x-first-death-queue",
	"x-first-death-reason",
	"x-first-death-exchange",
	"x-delivery-count",
	"CC",
	"BCC",
};

struct text message_text(amqp_bytes_t bytes)
{
	return (struct text){ bytes.bytes ? bytes.bytes : "", bytes.len };
}

const amqp_field_value_t *message_header(const amqp_basic_properties_t *p, const char *name)
{
	if (!(p->_flags & AMQP_BASIC_HEADERS_FLAG))
		return NULL;
	for (int i = 0; i < p->headers.num_entries; i++) {
		const amqp_table_entry_t *entry = &p->headers.entries[i];
		if (text_equal(message_text(entry->key), text_of(name)))
			return &entry->value;
	}
	return NULL;
}

struct text message_header_text(const amqp_basic_properties_t *p, const char *name)
{
	const amqp_field_value_t *value = message_header(p, name);
	if (!value || (value->kind != AMQP_FIELD_KIND_UTF8 && value->kind != AMQP_FIELD_KIND_BYTES))
		return text_of(NULL);
	return message_text(value->value.bytes);
}

int message_header_attempts(const amqp_basic_properties_t *p)
{
	const amqp_field_value_t *value = message_header(p, MESSAGE_ATTEMPTS);
	if (!value || value->kind != AMQP_FIELD_KIND_I32 || value->value.i32 < 0)
		return 0;
	return value->value.i32 < MAX_ATTEMPTS_READ ? value->value.i32 : MAX_ATTEMPTS_READ;
}

bool message_header_goes_along(amqp_bytes_t name)
{
	for (size_t i = 0; i < sizeof(left_behind) / sizeof(left_behind[0]); i++) {
		if (text_equal(message_text(name), text_of(left_behind[i])))
			return false;
	}
	return true;
}
