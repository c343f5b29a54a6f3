/* call_request: headers, body, and handing the request to its method. */
#include "call_request.h"

#include <stdio.h>

#include "core/clock.h"
#include "core/config.h"
#include "limits.h"
#include "session.h"

/* What HTTP/2 counts for a field beside its name and value (RFC 9113, 6.5.2). */
enum { FIELD_OVERHEAD_BYTES = 32 };

static size_t held_bytes; /* of messages that are not whole yet, in all calls */
static size_t most_held_bytes;

void call_release_body(struct call *call)
{
	held_bytes -= call->intake.message.size;
	grpc_intake_finish(&call->intake);
}

bool call_bodies_are_gone(void)
{
	bool were_many = held_bytes == 0 && most_held_bytes > MANY_HELD_BYTES;
	if (were_many)
		most_held_bytes = 0;
	return were_many;
}

/* ---- headers ---- */

static bool is_grpc(struct text type)
{
	static const char prefix[] = GRPC_CONTENT_TYPE;
	static const char proto[] = "+proto";
	if (type.n < sizeof(prefix) - 1 || memcmp(type.s, prefix, sizeof(prefix) - 1) != 0)
		return false;
	type.s += sizeof(prefix) - 1;
	type.n -= sizeof(prefix) - 1;
	if (type.n >= sizeof(proto) - 1 && memcmp(type.s, proto, sizeof(proto) - 1) == 0) {
		type.s += sizeof(proto) - 1;
		type.n -= sizeof(proto) - 1;
	}
	return type.n == 0 || type.s[0] == ';';
}

static void take_method(struct call *call, struct text value)
{
	call->is_post = text_equal(value, text_of("POST"));
}

static void take_path(struct call *call, struct text value)
{
	call->method = method_find(value);
}

static void take_type(struct call *call, struct text value)
{
	call->is_grpc = is_grpc(value);
}

static void take_encoding(struct call *call, struct text value)
{
	call->is_encoded = !text_equal(value, text_of("identity"));
}

static void take_timeout(struct call *call, struct text value)
{
	int64_t ms = 0;
	call->has_bad_timeout = !grpc_timeout_read(value, &ms);
	call->asked_deadline_ms = clock_now_ms() + ms;
}

static void copy(struct text value, char *out, size_t size)
{
	snprintf(out, size, "%.*s", (int)value.n, value.s);
}

static void take_id(struct call *call, struct text value)
{
	copy(value, call->metadata.id, sizeof(call->metadata.id));
}

static void take_level(struct call *call, struct text value)
{
	copy(value, call->metadata.level, sizeof(call->metadata.level));
}

static void take_created_at(struct call *call, struct text value)
{
	copy(value, call->metadata.created_at, sizeof(call->metadata.created_at));
}

static const struct {
	const char *name;
	void (*take)(struct call *call, struct text value);
} headers[] = {
	{ ":method", take_method },	  { ":path", take_path },
	{ "content-type", take_type },	  { "grpc-encoding", take_encoding },
	{ "grpc-timeout", take_timeout }, { GRPC_ENTRY_ID, take_id },
	{ GRPC_ENTRY_LEVEL, take_level }, { GRPC_ENTRY_CREATED_AT, take_created_at },
};

bool call_header(struct call *call, struct text name, struct text value)
{
	call->header_bytes += name.n + value.n + FIELD_OVERHEAD_BYTES;
	if (call->header_bytes > MAX_HEADER_BYTES_READ)
		return false;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		if (text_equal(name, text_of(headers[i].name))) {
			headers[i].take(call, value);
			break;
		}
	}
	return true;
}

/* What is wrong with the headers, in the order in which it is told. GRPC_OK: nothing. */
static enum grpc_status judge_headers(const struct call *call, const char **why)
{
	if (call->header_bytes > MAX_HEADER_BYTES) {
		*why = "the metadata are too large";
		return GRPC_RESOURCE_EXHAUSTED;
	}
	if (!call->method) {
		*why = "there is no such method";
		return GRPC_UNIMPLEMENTED;
	}
	if (call->is_encoded) {
		*why = "compressed messages are not taken";
		return GRPC_UNIMPLEMENTED;
	}
	if (call->has_bad_timeout) {
		*why = "grpc-timeout is malformed";
		return GRPC_INTERNAL;
	}
	return GRPC_OK;
}

void call_begin(struct call *call)
{
	const char *why = NULL;
	enum grpc_status status = judge_headers(call, &why);
	if (!call->is_post) {
		call_refuse_http(call, "405");
	} else if (!call->is_grpc) {
		call_refuse_http(call, "415");
	} else if (status != GRPC_OK) {
		call_refuse(call, status, why);
	} else {
		int64_t whole_by_ms = clock_now_ms() + REQUEST_TIMEOUT_MS;
		call->deadline_ms = call->asked_deadline_ms < whole_by_ms ? call->asked_deadline_ms
									  : whole_by_ms;
		session_due(call->session, call->deadline_ms);
	}
}

/* ---- the body ---- */

void call_body(struct call *call, struct text bytes)
{
	if (call->is_decided)
		return;
	const char *why = "too many bytes of requests that are not whole";
	enum grpc_status status = GRPC_RESOURCE_EXHAUSTED;
	size_t before = call->intake.message.size;
	if (held_bytes + bytes.n <= MAX_HELD_BYTES)
		status = grpc_intake_take(&call->intake, bytes,
					  (size_t)config()->log_grpc_max_message_bytes, &why);
	held_bytes += call->intake.message.size - before;
	if (held_bytes > most_held_bytes)
		most_held_bytes = held_bytes;
	if (status != GRPC_OK)
		call_refuse(call, status, why);
}

void call_end(struct call *call)
{
	if (call->is_decided)
		return;
	if (!call->intake.whole) {
		call_refuse(call, GRPC_INTERNAL, "the request ended without a whole message");
		return;
	}
	call->in_hand = true;
	call->holders++;
	call->deadline_ms = call->asked_deadline_ms;
	session_due(call->session, call->deadline_ms);
	call->method->request(call, buffer_text(&call->intake.message));
	call_release_body(call);
}
