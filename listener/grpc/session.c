/* session: what nghttp2 tells, passed on to calls. Nothing in its callbacks sends, receives or ends. */
#include "session.h"

#include "core/clock.h"
#include "core/log.h"
#include "limits.h"

/* The same for every session, made once. */
static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;

static struct call *call_of(nghttp2_session *http2, int32_t stream)
{
	return nghttp2_session_get_stream_user_data(http2, stream);
}

/* ---- what comes in ---- */

static int on_begin_headers(nghttp2_session *http2, const nghttp2_frame *frame, void *context)
{
	struct session *s = context;
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	struct call *call = call_new(s, frame->hd.stream_id);
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	TAILQ_INSERT_TAIL(&s->calls, call, next);
	s->changed_ms = clock_now_ms();
	nghttp2_session_set_stream_user_data(http2, frame->hd.stream_id, call);
	return 0;
}

static int on_header(nghttp2_session *http2, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
		     void *context)
{
	(void)flags;
	(void)context;
	struct call *call = call_of(http2, frame->hd.stream_id);
	if (!call || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	bool ok = call_header(call, (struct text){ (const char *)name, name_size },
			      (struct text){ (const char *)value, value_size });
	/* It resets the stream; the compression of headers stays in step. */
	return ok ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_data(nghttp2_session *http2, uint8_t flags, int32_t stream, const uint8_t *bytes,
		   size_t size, void *context)
{
	(void)flags;
	(void)context;
	struct call *call = call_of(http2, stream);
	if (call)
		call_body(call, (struct text){ (const char *)bytes, size });
	return 0;
}

static int on_frame(nghttp2_session *http2, const nghttp2_frame *frame, void *context)
{
	struct session *s = context;
	s->is_greeted = true;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	struct call *call = call_of(http2, frame->hd.stream_id);
	if (!call)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		call_begin(call);
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		call_end(call);
	return 0;
}

static int on_stream_close(nghttp2_session *http2, int32_t stream, uint32_t code, void *context)
{
	(void)code;
	struct session *s = context;
	struct call *call = call_of(http2, stream);
	if (!call)
		return 0;
	nghttp2_session_set_stream_user_data(http2, stream, NULL);
	TAILQ_REMOVE(&s->calls, call, next);
	s->changed_ms = clock_now_ms();
	call_detach(call);
	return 0;
}

/* ---- what goes out ---- */

static bool is_provoked(const nghttp2_frame *frame)
{
	return frame->hd.type == NGHTTP2_RST_STREAM &&
	       frame->rst_stream.error_code != NGHTTP2_NO_ERROR &&
	       frame->rst_stream.error_code != NGHTTP2_REFUSED_STREAM;
}

/* nghttp2 counts the resets that a peer sends, and not those that it makes us send. */
static void count_provoked(struct session *s)
{
	int64_t now = clock_now_ms();
	int64_t forgiven = (now - s->provoked_ms) * PROVOKED_RESETS_PER_S / 1000;
	if (forgiven > 0) {
		s->provoked = forgiven < s->provoked ? s->provoked - (int)forgiven : 0;
		s->provoked_ms = now;
	}
	if (++s->provoked != MAX_PROVOKED_RESETS)
		return;
	log_warning("a peer provoked too many resets");
	nghttp2_session_terminate_session(s->http2, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* An answer before the request was whole: the peer is asked to stop (RFC 9113, 8.1). */
static void stop_request(nghttp2_session *http2, const nghttp2_frame *frame)
{
	if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
	    nghttp2_session_get_stream_remote_close(http2, frame->hd.stream_id) == 0)
		nghttp2_submit_rst_stream(http2, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
					  NGHTTP2_NO_ERROR);
}

static int on_frame_sent(nghttp2_session *http2, const nghttp2_frame *frame, void *context)
{
	if (is_provoked(frame))
		count_provoked(context);
	stop_request(http2, frame);
	return 0;
}

/* ---- the session ---- */

static bool make_shared(void)
{
	if (callbacks)
		return true;
	if (nghttp2_option_new(&options) || nghttp2_session_callbacks_new(&callbacks))
		return false;
	/* A closed stream would cost memory for as long as its connection lives. */
	nghttp2_option_set_no_closed_streams(options, 1);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	return true;
}

static bool greet(struct session *s)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, MAX_HEADER_BYTES },
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
	};
	return nghttp2_submit_settings(s->http2, NGHTTP2_FLAG_NONE, settings,
				       sizeof(settings) / sizeof(settings[0])) == 0 &&
	       nghttp2_session_set_local_window_size(s->http2, NGHTTP2_FLAG_NONE, 0,
						     CONNECTION_WINDOW_BYTES) == 0;
}

bool session_init(struct session *s, void (*wake)(void *owner), void *owner)
{
	*s = (struct session){ .wake = wake, .owner = owner, .due_ms = INT64_MAX };
	TAILQ_INIT(&s->calls);
	s->changed_ms = s->provoked_ms = clock_now_ms();
	if (!make_shared() || nghttp2_session_server_new2(&s->http2, callbacks, s, options))
		return false;
	if (greet(s))
		return true;
	nghttp2_session_del(s->http2);
	return false;
}

const char *session_receive(struct session *s, struct text bytes)
{
	ssize_t n = nghttp2_session_mem_recv(s->http2, (const uint8_t *)bytes.s, bytes.n);
	return n < 0 ? nghttp2_strerror((int)n) : NULL;
}

ssize_t session_produce(struct session *s, char *room, size_t size)
{
	size_t n = 0;
	while (size - n >= SESSION_ROOM_BYTES) {
		const uint8_t *bytes = NULL;
		ssize_t more = nghttp2_session_mem_send(s->http2, &bytes);
		if (more == 0)
			break;
		if (more < 0 || (size_t)more > size - n)
			return -1;
		memcpy(room + n, bytes, (size_t)more);
		n += (size_t)more;
	}
	return (ssize_t)n;
}

bool session_is_over(const struct session *s)
{
	return !nghttp2_session_want_read(s->http2) && !nghttp2_session_want_write(s->http2);
}

void session_expire(struct session *s, int64_t now_ms)
{
	struct call *call;
	s->due_ms = INT64_MAX;
	TAILQ_FOREACH(call, &s->calls, next)
	{
		if (call->deadline_ms <= now_ms)
			call_expire(call);
		else
			session_due(s, call->deadline_ms);
	}
}

void session_announce_end(struct session *s)
{
	nghttp2_submit_shutdown_notice(s->http2);
	session_wake(s);
}

void session_refuse_more(struct session *s)
{
	nghttp2_submit_goaway(s->http2, NGHTTP2_FLAG_NONE,
			      nghttp2_session_get_last_proc_stream_id(s->http2), NGHTTP2_NO_ERROR,
			      NULL, 0);
	session_wake(s);
}

void session_finish(struct session *s)
{
	struct call *call;
	while ((call = TAILQ_FIRST(&s->calls))) {
		TAILQ_REMOVE(&s->calls, call, next);
		call_detach(call);
	}
	nghttp2_session_del(s->http2);
	s->http2 = NULL;
}

void session_wake(struct session *s)
{
	s->wake(s->owner);
}

void session_due(struct session *s, int64_t deadline_ms)
{
	if (deadline_ms < s->due_ms)
		s->due_ms = deadline_ms;
}
