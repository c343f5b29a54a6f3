/* call: its life, and what it answers. What it is asked is in call_request.c. */
#include "call_request.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

#include "session.h"

enum { STATUS_BYTES = sizeof("16"), MAX_TRAILERS = 3, MAX_HEADERS = 3 };

#define FIELD(NAME, VALUE, SIZE)                                                                   \
	(nghttp2_nv)                                                                               \
	{                                                                                          \
		(uint8_t *)(NAME), (uint8_t *)(VALUE), sizeof(NAME) - 1, (SIZE),                   \
			NGHTTP2_NV_FLAG_NO_COPY_NAME                                               \
	}
#define FIELD_OF(NAME, LITERAL) FIELD(NAME, LITERAL, sizeof(LITERAL) - 1)

struct call *call_new(struct session *session, int32_t stream)
{
	struct call *call = calloc(1, sizeof(*call));
	if (!call)
		return NULL;
	call->session = session;
	call->stream = stream;
	call->holders = 1;
	call->deadline_ms = call->asked_deadline_ms = INT64_MAX;
	return call;
}

static void let_go(struct call *call)
{
	if (--call->holders > 0)
		return;
	buffer_finish(&call->sentence);
	buffer_finish(&call->out);
	grpc_intake_finish(&call->intake);
	free(call);
}

static bool is_alive(const struct call *call)
{
	return call->session && !call->is_decided;
}

/* Fills at most MAX_TRAILERS fields; code must live until they are submitted. */
static size_t write_trailers(const struct call *call, nghttp2_nv *fields, char code[STATUS_BYTES])
{
	size_t n = 0;
	int size = snprintf(code, STATUS_BYTES, "%d", (int)call->status);
	fields[n++] = FIELD("grpc-status", code, (size_t)size);
	if (call->sentence.size > 0)
		fields[n++] = FIELD("grpc-message", call->sentence.bytes, call->sentence.size);
	if (call->not_stored)
		fields[n++] = FIELD_OF(GRPC_OUTCOME, GRPC_NOT_STORED);
	return n;
}

static bool submit_trailers(const struct call *call, nghttp2_session *http2)
{
	nghttp2_nv fields[MAX_TRAILERS];
	char code[STATUS_BYTES];
	size_t n = write_trailers(call, fields, code);
	return nghttp2_submit_trailer(http2, call->stream, fields, n) == 0;
}

/* nghttp2 asks for bytes of the answer. */
static ssize_t on_read(nghttp2_session *http2, int32_t stream, uint8_t *room, size_t size,
		       uint32_t *flags, nghttp2_data_source *source, void *context)
{
	(void)stream;
	(void)context;
	struct call *call = source->ptr;
	size_t n = call->out.size - call->out_sent;
	if (n == 0 && !call->is_decided)
		return NGHTTP2_ERR_DEFERRED;
	if (n > size)
		n = size;
	if (n > 0)
		memcpy(room, call->out.bytes + call->out_sent, n);
	call->out_sent += n;
	if (call->out_sent < call->out.size)
		return (ssize_t)n;
	call->out_sent = 0;
	buffer_clear(&call->out);
	if (call->is_decided) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (!submit_trailers(call, http2))
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	return (ssize_t)n;
}

static void submit_head(struct call *call)
{
	const nghttp2_nv fields[] = { FIELD_OF(":status", "200"),
				      FIELD_OF("content-type", GRPC_CONTENT_TYPE) };
	nghttp2_data_provider provider = { .source.ptr = call, .read_callback = on_read };
	call->has_head = true;
	nghttp2_submit_response(call->session->http2, call->stream, fields,
				sizeof(fields) / sizeof(fields[0]), &provider);
}

/* An answer without a message: head and trailers are one. */
static void submit_trailers_only(struct call *call)
{
	nghttp2_nv fields[MAX_HEADERS + MAX_TRAILERS] = {
		FIELD_OF(":status", "200"),
		FIELD_OF("content-type", GRPC_CONTENT_TYPE),
		FIELD_OF("grpc-accept-encoding", "identity"),
	};
	char code[STATUS_BYTES];
	size_t n = MAX_HEADERS + write_trailers(call, fields + MAX_HEADERS, code);
	call->has_head = true;
	nghttp2_submit_response(call->session->http2, call->stream, fields, n, NULL);
}

size_t call_send(struct call *call, struct text message)
{
	if (!is_alive(call))
		return 0;
	grpc_prefix_append(&call->out, message.n);
	buffer_append_text(&call->out, message);
	if (!call->has_head)
		submit_head(call);
	else
		nghttp2_session_resume_data(call->session->http2, call->stream);
	session_wake(call->session);
	return call->out.size - call->out_sent;
}

static void decide(struct call *call, enum grpc_status status, const char *sentence)
{
	if (!is_alive(call))
		return;
	/* What could not be written down must not look like an answer. */
	if (call->out.failed)
		status = GRPC_RESOURCE_EXHAUSTED;
	call->is_decided = true;
	call->status = status;
	call->deadline_ms = INT64_MAX;
	if (sentence)
		grpc_percent_encode(text_of(sentence), &call->sentence);
	if (!call->in_hand) /* else the method may be reading it */
		call_release_body(call);
	if (call->has_head)
		nghttp2_session_resume_data(call->session->http2, call->stream);
	else
		submit_trailers_only(call);
	session_wake(call->session);
}

void call_refuse(struct call *call, enum grpc_status status, const char *sentence)
{
	decide(call, status, sentence);
}

void call_refuse_http(struct call *call, const char status[sizeof("200")])
{
	const nghttp2_nv fields[] = { FIELD(":status", status, 3) };
	call->has_head = call->is_decided = true;
	call->deadline_ms = INT64_MAX;
	nghttp2_submit_response(call->session->http2, call->stream, fields, 1, NULL);
	session_wake(call->session);
}

void call_finish(struct call *call, enum grpc_status status, const char *sentence)
{
	decide(call, status, sentence);
	call->in_hand = false;
	let_go(call);
}

void call_fail(struct call *call, const struct error *e)
{
	call->not_stored = error_is_pause(e->code);
	call_finish(call, grpc_status_of(e->code), e->text);
}

/* The method is told last: it may let go. */
static void tell_gone(struct call *call)
{
	if (call->in_hand && call->method->gone)
		call->method->gone(call);
}

void call_expire(struct call *call)
{
	bool whole = call->in_hand;
	decide(call, GRPC_DEADLINE_EXCEEDED,
	       whole || call->asked_deadline_ms < INT64_MAX
		       ? "the deadline is over"
		       : "the request did not come whole in time");
	tell_gone(call);
}

void call_detach(struct call *call)
{
	call_release_body(call);
	call->session = NULL;
	if (!call->is_decided)
		tell_gone(call);
	let_go(call);
}
