/* The gRPC server's side of HTTP/2, against nghttp2's client in the same memory. */
#include "suite.h"

#include "../../listener/grpc/health.h"
#include "../../listener/grpc/limits.h"
#include "../../listener/grpc/session.h"
#include "core/clock.h"
#include "core/log.h"
#include "held_writer.h"
#include "wire/grpc.h"
#include "wire/grpc_messages.h"

enum { STREAMS = 1024, MOST_HEADERS = 16 };

/* What the client has seen of its streams, by id. */
struct seen {
	int http_status;
	int status; /* of gRPC; -1: none */
	char sentence[128];
	char outcome[16];
	struct buffer body;
	bool closed;
	uint32_t close_code;
};

static struct {
	struct session server;
	nghttp2_session *client;
	bool server_is_over, goaway;
	uint32_t goaway_code;
	struct seen seen[STREAMS];
} pair;

/* ---- the client ---- */

static void copy_value(char *out, size_t size, const uint8_t *value, size_t n)
{
	snprintf(out, size, "%.*s", (int)n, (const char *)value);
}

static int on_header(nghttp2_session *client, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
		     void *context)
{
	(void)client;
	(void)flags;
	(void)context;
	struct seen *s = &pair.seen[frame->hd.stream_id];
	struct text key = { (const char *)name, name_size };
	char number[16];
	copy_value(number, sizeof(number), value, value_size);
	if (text_equal(key, text_of(":status")))
		s->http_status = (int)strtol(number, NULL, 10);
	else if (text_equal(key, text_of("grpc-status")))
		s->status = (int)strtol(number, NULL, 10);
	else if (text_equal(key, text_of("grpc-message")))
		copy_value(s->sentence, sizeof(s->sentence), value, value_size);
	else if (text_equal(key, text_of(GRPC_OUTCOME)))
		copy_value(s->outcome, sizeof(s->outcome), value, value_size);
	return 0;
}

static int on_data(nghttp2_session *client, uint8_t flags, int32_t stream, const uint8_t *bytes,
		   size_t n, void *context)
{
	(void)client;
	(void)flags;
	(void)context;
	buffer_append(&pair.seen[stream].body, bytes, n);
	return 0;
}

static int on_close(nghttp2_session *client, int32_t stream, uint32_t code, void *context)
{
	(void)client;
	(void)context;
	pair.seen[stream].closed = true;
	pair.seen[stream].close_code = code;
	return 0;
}

static int on_frame(nghttp2_session *client, const nghttp2_frame *frame, void *context)
{
	(void)client;
	(void)context;
	if (frame->hd.type == NGHTTP2_GOAWAY) {
		pair.goaway = true;
		pair.goaway_code = frame->goaway.error_code;
	}
	return 0;
}

static void wake(void *owner)
{
	(void)owner;
}

/* Lets bytes go both ways until there are none. */
static void run(void)
{
	static char room[2 * SESSION_ROOM_BYTES];
	const uint8_t *bytes;
	ssize_t n;
	bool any = true;
	while (any) {
		any = false;
		while ((n = nghttp2_session_mem_send(pair.client, &bytes)) > 0) {
			any = true;
			if (session_receive(&pair.server,
					    (struct text){ (const char *)bytes, (size_t)n }))
				pair.server_is_over = true;
		}
		while ((n = session_produce(&pair.server, room, sizeof(room))) > 0) {
			any = true;
			nghttp2_session_mem_recv(pair.client, (uint8_t *)room, (size_t)n);
		}
	}
	pair.server_is_over = pair.server_is_over || session_is_over(&pair.server);
}

static int begin(void **state)
{
	(void)state;
	nghttp2_session_callbacks *callbacks;
	memset(&pair, 0, sizeof(pair));
	for (int i = 0; i < STREAMS; i++)
		pair.seen[i].status = -1;
	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_client_new(&pair.client, callbacks, NULL);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(pair.client, NGHTTP2_FLAG_NONE, NULL, 0);
	return session_init(&pair.server, wake, NULL) ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	session_finish(&pair.server);
	held_settle(ERROR_NONE);
	nghttp2_session_del(pair.client);
	for (int i = 0; i < STREAMS; i++)
		buffer_finish(&pair.seen[i].body);
	return 0;
}

static ssize_t give(nghttp2_session *client, int32_t stream, uint8_t *room, size_t size,
		    uint32_t *flags, nghttp2_data_source *source, void *context)
{
	(void)client;
	(void)stream;
	(void)context;
	struct text *body = source->ptr;
	size_t n = body->n < size ? body->n : size;
	memcpy(room, body->s, n);
	body->s += n;
	body->n -= n;
	if (body->n == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

/* Names and values that replace, or come after, those of a proper call; NULL at the end. */
static int32_t call(const char *path, struct text body, const char *const *more)
{
	const char *fields[2 * MOST_HEADERS] = {
		":method", "POST",	 ":scheme", "http",	    ":path",
		path,	   ":authority", "x",	    "content-type", "application/grpc",
	};
	size_t count = 5;
	for (; more && more[0]; more += 2) {
		size_t i = 0;
		while (i < count && strcmp(fields[2 * i], more[0]) != 0)
			i++;
		count += i == count;
		fields[2 * i] = more[0];
		fields[2 * i + 1] = more[1];
	}
	nghttp2_nv nv[MOST_HEADERS];
	for (size_t i = 0; i < count; i++)
		nv[i] = (nghttp2_nv){ (uint8_t *)fields[2 * i], (uint8_t *)fields[2 * i + 1],
				      strlen(fields[2 * i]), strlen(fields[2 * i + 1]), 0 };
	nghttp2_data_provider provider = { .source.ptr = &body, .read_callback = give };
	int32_t stream = nghttp2_submit_request(pair.client, NULL, nv, count, &provider, NULL);
	run();
	return stream;
}

static int32_t write_log_call(const char *const *more)
{
	static const char body[] = "\0\0\0\0\5\x0A\3\x0A\1n";
	return call("/logs.LogService/WriteLog", (struct text){ body, sizeof(body) - 1 }, more);
}

static int32_t watch(void)
{
	return call("/grpc.health.v1.Health/Watch", TEXT_LITERAL("\0\0\0\0\0"), NULL);
}

#define assert_status(stream, code, says)                                                          \
	do {                                                                                       \
		assert_int_equal(pair.seen[stream].status, (code));                                \
		assert_non_null(strstr(pair.seen[stream].sentence, (says)));                       \
		assert_true(pair.seen[stream].closed);                                             \
	} while (0)

static void assert_body(int32_t stream, struct text body)
{
	assert_int_equal(pair.seen[stream].body.size, body.n);
	assert_memory_equal(pair.seen[stream].body.bytes, body.s, body.n);
}

/* ---- calls ---- */

static void a_call_is_answered_once_its_entry_is_settled(void **state)
{
	(void)state;
	static const char *const metadata[] = {
		"x-log-id",	    "6B05719A6D22C86AA6D438E1", "x-log-level", "ERROR",
		"x-log-created-at", "1970-01-01T00:00:01.002Z", NULL
	};
	int32_t stream = write_log_call(metadata);
	assert_int_equal(held_count, 1);
	assert_string_equal(held[0].entry.id, "6b05719a6d22c86aa6d438e1");
	assert_int_equal(held[0].entry.level, ENTRY_ERROR);
	assert_int_equal(held[0].entry.accepted_ms, 1002);
	assert_false(pair.seen[stream].closed);
	held_settle(ERROR_NONE);
	run();
	assert_status(stream, GRPC_OK, "");
	assert_int_equal(pair.seen[stream].http_status, 200);
	assert_body(stream, TEXT_LITERAL("\0\0\0\0\x09\x0A\x07logged!"));
}

static void an_error_becomes_a_status_and_certainty_is_told(void **state)
{
	(void)state;
	int32_t stream = write_log_call(NULL);
	held_settle(ERROR_PEER_DOWN);
	run();
	assert_status(stream, GRPC_UNAVAILABLE, "settled");
	assert_string_equal(pair.seen[stream].outcome, "not-stored");
	stream = write_log_call(NULL);
	held_settle(ERROR_PEER_TIMEOUT);
	run();
	assert_status(stream, GRPC_UNAVAILABLE, "settled");
	assert_string_equal(pair.seen[stream].outcome, "");
}

static void a_full_writer_is_told_at_once(void **state)
{
	(void)state;
	for (int i = 0; i < HELD_MOST; i++)
		write_log_call(NULL);
	int32_t stream = write_log_call(NULL);
	assert_status(stream, GRPC_RESOURCE_EXHAUSTED, "too many entries wait");
}

static void a_deadline_ends_the_call_and_the_late_answer_goes_nowhere(void **state)
{
	(void)state;
	static const char *const deadline[] = { "grpc-timeout", "50m", NULL };
	int32_t stream = write_log_call(deadline);
	int64_t now = clock_now_ms();
	assert_in_range(pair.server.due_ms, now, now + 50);
	session_expire(&pair.server, now - 1000);
	run();
	assert_false(pair.seen[stream].closed);
	session_expire(&pair.server, now + 50);
	run();
	assert_status(stream, GRPC_DEADLINE_EXCEEDED, "the deadline is over");
	held_settle(ERROR_NONE);
	run();
	assert_int_equal(pair.seen[stream].body.size, 0);
}

static void a_request_that_is_never_whole_ends(void **state)
{
	(void)state;
	const nghttp2_nv nv[] = {
		{ (uint8_t *)":method", (uint8_t *)"POST", 7, 4, 0 },
		{ (uint8_t *)":scheme", (uint8_t *)"http", 7, 4, 0 },
		{ (uint8_t *)":path", (uint8_t *)"/logs.LogService/WriteLog", 5, 25, 0 },
		{ (uint8_t *)":authority", (uint8_t *)"x", 10, 1, 0 },
		{ (uint8_t *)"content-type", (uint8_t *)"application/grpc", 12, 16, 0 },
	};
	size_t count = sizeof(nv) / sizeof(nv[0]);
	int32_t stream =
		nghttp2_submit_headers(pair.client, NGHTTP2_FLAG_NONE, -1, NULL, nv, count, NULL);
	run();
	session_expire(&pair.server, clock_now_ms() + REQUEST_TIMEOUT_MS);
	run();
	assert_status(stream, GRPC_DEADLINE_EXCEEDED, "did not come whole in time");
}

static void a_call_that_was_reset_is_not_answered(void **state)
{
	(void)state;
	int32_t stream = write_log_call(NULL);
	nghttp2_submit_rst_stream(pair.client, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
	run();
	assert_true(TAILQ_EMPTY(&pair.server.calls));
	held_settle(ERROR_NONE);
	run();
	assert_int_equal(pair.seen[stream].status, -1);
	stream = write_log_call(NULL);
	held_settle(ERROR_NONE);
	run();
	assert_status(stream, GRPC_OK, "");
}

static void what_cannot_be_a_call_is_refused(void **state)
{
	(void)state;
	static char large[MAX_HEADER_BYTES + 1];
	memset(large, 'x', sizeof(large) - 1);
	static const struct {
		const char *path;
		struct text body;
		const char *more[3];
		enum grpc_status status;
		const char *sentence;
	} rows[] = {
		{ "/logs.LogService/Read", { "", 0 }, { 0 }, GRPC_UNIMPLEMENTED, "no such method" },
		{ "/logs.LogService/WriteLog",
		  { "", 0 },
		  { "grpc-encoding", "gzip" },
		  GRPC_UNIMPLEMENTED,
		  "compressed" },
		{ "/logs.LogService/WriteLog",
		  { "", 0 },
		  { "grpc-timeout", "1" },
		  GRPC_INTERNAL,
		  "grpc-timeout" },
		{ "/logs.LogService/WriteLog",
		  { "", 0 },
		  { "x", large },
		  GRPC_RESOURCE_EXHAUSTED,
		  "metadata are too large" },
		{ "/logs.LogService/WriteLog",
		  { "\0\0\0\0\1", 5 },
		  { 0 },
		  GRPC_INTERNAL,
		  "without a whole message" },
		{ "/logs.LogService/WriteLog",
		  { "\0\0\0\0\0x", 6 },
		  { 0 },
		  GRPC_INTERNAL,
		  "more than one message" },
		{ "/logs.LogService/WriteLog",
		  { "\0\x7F\0\0\0x", 6 },
		  { 0 },
		  GRPC_RESOURCE_EXHAUSTED,
		  "too large" },
		{ "/logs.LogService/WriteLog",
		  { "\0\0\0\0\0", 5 },
		  { "x-log-id", "6b05719a6d22c86aa6d438e1-and-more-of-it" },
		  GRPC_INVALID_ARGUMENT,
		  "logEntry: is missing" },
		{ "/logs.LogService/WriteLog",
		  { "\0\0\0\0\2\x0A\0", 7 },
		  { "x-log-id", "6b05719a6d22c86aa6d438e1-and-more-of-it" },
		  GRPC_INVALID_ARGUMENT,
		  "x-log-id: must be 24" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int32_t stream = call(rows[i].path, rows[i].body, rows[i].more);
		assert_status(stream, (int)rows[i].status, rows[i].sentence);
		assert_int_equal(held_count, 0);
	}
}

static void what_is_not_grpc_is_told_by_http(void **state)
{
	(void)state;
	static const char *const put[] = { ":method", "PUT", NULL };
	static const char *const json[] = { "content-type", "application/grpc+json", NULL };
	static const char *const proto[] = { "content-type", "application/grpc+proto;x=y", NULL };
	assert_int_equal(pair.seen[write_log_call(put)].http_status, 405);
	assert_int_equal(pair.seen[write_log_call(json)].http_status, 415);
	assert_int_equal(held_count, 0);
	write_log_call(proto);
	assert_int_equal(held_count, 1);
}

/* ---- health ---- */

static void a_watcher_hears_of_every_change(void **state)
{
	(void)state;
	int32_t stream = watch();
	assert_body(stream, TEXT_LITERAL("\0\0\0\0\2\x08\1"));
	health_set(false);
	health_set(false);
	run();
	health_set(true);
	run();
	assert_body(stream, TEXT_LITERAL("\0\0\0\0\2\x08\1\0\0\0\0\2\x08\2\0\0\0\0\2\x08\1"));
	nghttp2_submit_rst_stream(pair.client, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
	run();
	assert_true(TAILQ_EMPTY(&pair.server.calls));
}

static void only_so_many_may_watch(void **state)
{
	(void)state;
	int32_t streams[MAX_STREAMS];
	for (int i = 0; i < MAX_STREAMS; i++)
		streams[i] = watch();
	int32_t one_more = watch();
	assert_int_equal(pair.seen[one_more].body.size, 0); /* the client keeps it back */
	nghttp2_submit_rst_stream(pair.client, NGHTTP2_FLAG_NONE, streams[0], NGHTTP2_CANCEL);
	run();
	assert_body(one_more, TEXT_LITERAL("\0\0\0\0\2\x08\1"));
}

/* ---- the end ---- */

static void a_farewell_takes_calls_until_its_second_step(void **state)
{
	(void)state;
	int32_t before = write_log_call(NULL);
	session_announce_end(&pair.server);
	run();
	assert_true(pair.goaway);
	assert_false(pair.server_is_over);
	session_refuse_more(&pair.server);
	run();
	assert_false(pair.server_is_over);
	held_settle(ERROR_NONE);
	run();
	assert_status(before, GRPC_OK, "");
	assert_true(pair.server_is_over);
	assert_int_equal(pair.goaway_code, NGHTTP2_NO_ERROR);
}

static void a_call_outlives_its_session_until_it_is_settled(void **state)
{
	(void)state;
	write_log_call(NULL);
	watch();
	assert_int_equal(held_count, 1); /* the rest is seen by the sanitizers */
}

static void who_provokes_resets_is_told_to_calm_down(void **state)
{
	(void)state;
	for (int i = 0; i < MAX_PROVOKED_RESETS * 2 && !pair.server_is_over; i++) {
		char overflow[] = "\0\0\4\x08\0\0\0\0\0\x7F\xFF\xFF\xFF";
		int32_t stream = write_log_call(NULL);
		overflow[7] = (char)(stream >> 8);
		overflow[8] = (char)stream;
		if (session_receive(&pair.server, (struct text){ overflow, 13 }))
			break;
		run();
		held_settle(ERROR_NONE);
	}
	assert_true(pair.goaway);
	assert_int_equal(pair.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void what_is_no_http2_is_refused(void **state)
{
	(void)state;
	assert_non_null(session_receive(&pair.server, text_of("GET / HTTP/1.1\r\n\r\n")));
}

static void the_last_news_is_that_it_serves_no_more(void **state)
{
	(void)state;
	int32_t stream = watch();
	health_end();
	run();
	assert_body(stream, TEXT_LITERAL("\0\0\0\0\2\x08\1\0\0\0\0\2\x08\2"));
	assert_status(stream, GRPC_UNAVAILABLE, "about to end");
	stream = watch();
	assert_body(stream, TEXT_LITERAL("\0\0\0\0\2\x08\2"));
	assert_status(stream, GRPC_UNAVAILABLE, "about to end");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_call_is_answered_once_its_entry_is_settled),
		TEST(an_error_becomes_a_status_and_certainty_is_told),
		TEST(a_full_writer_is_told_at_once),
		TEST(a_deadline_ends_the_call_and_the_late_answer_goes_nowhere),
		TEST(a_request_that_is_never_whole_ends),
		TEST(a_call_that_was_reset_is_not_answered),
		TEST(what_cannot_be_a_call_is_refused),
		TEST(what_is_not_grpc_is_told_by_http),
		TEST(a_watcher_hears_of_every_change),
		TEST(only_so_many_may_watch),
		TEST(a_farewell_takes_calls_until_its_second_step),
		TEST(a_call_outlives_its_session_until_it_is_settled),
		TEST(who_provokes_resets_is_told_to_calm_down),
		TEST(what_is_no_http2_is_refused),
		TEST(the_last_news_is_that_it_serves_no_more),
	};
	log_init("test", LOG_LEVEL_ERROR);
	return RUN_SUITE(tests);
}
