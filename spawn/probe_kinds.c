/* kinds: the shortest question in each protocol. */
#include "probe_kinds.h"

#include <string.h>

#include "wire/rpc.h"

static enum probe_verdict well_if(bool well)
{
	return well ? PROBE_WELL : PROBE_UNWELL;
}

/* ---- FastCGI: a record of management (its specification, 4.1), which starts no request ---- */

enum {
	FASTCGI_HEADER_BYTES = 8,
	FASTCGI_VERSION = 1,
	FASTCGI_GET_VALUES = 9,
	FASTCGI_GET_VALUES_RESULT = 10,
	FASTCGI_UNKNOWN_TYPE = 11, /* says who does not know that record, and is an answer */
};

/* libfcgi waits for more after a record that has no padding, and answers one that has. */
static void ask_fastcgi(struct buffer *out, const char *argument)
{
	static const char name[] = "FCGI_MAX_CONNS";
	enum { NAME_BYTES = sizeof(name) - 1, PADDING_BYTES = 8 };
	static const unsigned char head[] = {
		FASTCGI_VERSION, FASTCGI_GET_VALUES, 0, 0,	    0,
		2 + NAME_BYTES,	 PADDING_BYTES,	     0, NAME_BYTES, 0, /* and a value of no bytes */
	};
	static const char padding[PADDING_BYTES];
	(void)argument;
	buffer_append(out, head, sizeof(head));
	buffer_append(out, name, NAME_BYTES);
	buffer_append(out, padding, sizeof(padding));
}

static enum probe_verdict judge_fastcgi(struct text answer)
{
	if (answer.n < FASTCGI_HEADER_BYTES)
		return PROBE_MORE;
	return well_if(
		answer.s[0] == FASTCGI_VERSION &&
		(answer.s[1] == FASTCGI_GET_VALUES_RESULT || answer.s[1] == FASTCGI_UNKNOWN_TYPE));
}

/* ---- HTTP: 200 to a GET ---- */

static void ask_http(struct buffer *out, const char *argument)
{
	buffer_printf(out, "GET %s HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n", argument);
}

static enum probe_verdict judge_http(struct text answer)
{
	static const char start[] = "HTTP/1.1 200 ";
	enum { START_BYTES = sizeof(start) - 1 };
	return answer.n < START_BYTES ? PROBE_MORE
				      : well_if(memcmp(answer.s, start, START_BYTES) == 0);
}

/* ---- net/rpc: a method that no server has; saying so is the answer ---- */

static void ask_rpc(struct buffer *out, const char *argument)
{
	struct rpc_writer writer = { 0 };
	const struct rpc_payload nothing = { .name = text_of("probe") };
	(void)argument;
	rpc_write_call(&writer, out, text_of("Probe.Probe"), 1, &nothing);
}

static enum probe_verdict judge_rpc(struct text answer)
{
	struct rpc_reader reader = { .max_bytes = RPC_MAX_HEADER_BYTES };
	struct rpc_message message = { 0 };
	size_t used = 0;
	bool whole = false;
	enum error_code code = ERROR_NONE;
	do {
		size_t taken = 0;
		struct text rest = { answer.s + used, answer.n - used };
		code = rpc_read_answer(&reader, rest, &taken, &whole, &message, NULL);
		used += taken;
		if (taken == 0)
			break;
	} while (!code && !whole);
	bool well = whole && message.error.n > 0;
	rpc_reader_finish(&reader);
	return code || whole ? well_if(well) : PROBE_MORE;
}

/* ---- gRPC: grpc.health.v1.Health/Check over HTTP/2 (RFC 9113, 7541), written out by hand ---- */

enum {
	HTTP2_FRAME_BYTES = 9,
	HTTP2_DATA = 0,
	HTTP2_HEADERS = 1,
	HTTP2_RST_STREAM = 3,
	HTTP2_SETTINGS = 4,
	HTTP2_GOAWAY = 7,
	HTTP2_END_STREAM = 1,
	HTTP2_END_HEADERS = 4,
	GRPC_PREFIX_BYTES = 5,
};

static void append_frame(struct buffer *out, int type, int flags, int stream, struct text payload)
{
	const unsigned char head[HTTP2_FRAME_BYTES] = {
		0, 0, (unsigned char)payload.n, (unsigned char)type, (unsigned char)flags, 0,
		0, 0, (unsigned char)stream,
	};
	buffer_append(out, head, sizeof(head));
	buffer_append_text(out, payload);
}

/* How a header begins: a whole one, or a name, of HPACK's own table; or one that is spelled out. */
#define POST		 "\x83"
#define SCHEME_HTTP	 "\x86"
#define AUTHORITY	 "\x01"
#define PATH		 "\x04"
#define CONTENT_TYPE	 "\x0f\x10"
#define LITERAL		 "\x00"
#define TEXT_OF_BYTES(b) ((struct text){ b, sizeof(b) - 1 })

static void ask_grpc(struct buffer *out, const char *argument)
{
	static const char headers[] =
		POST SCHEME_HTTP PATH "\x1c/grpc.health.v1.Health/Check" AUTHORITY "\x05"
				      "probe" CONTENT_TYPE "\x10"
				      "application/grpc" LITERAL "\x02"
				      "te\x08"
				      "trailers";
	static const char empty_message[GRPC_PREFIX_BYTES + 1] = { 0 };
	(void)argument;
	buffer_append_string(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	append_frame(out, HTTP2_SETTINGS, 0, 0, (struct text){ 0 });
	append_frame(out, HTTP2_HEADERS, HTTP2_END_HEADERS, 1, TEXT_OF_BYTES(headers));
	append_frame(out, HTTP2_DATA, HTTP2_END_STREAM, 1, TEXT_OF_BYTES(empty_message));
}

/* A message in answer is a status, whichever; an end without one is an error. */
static enum probe_verdict judge_grpc(struct text answer)
{
	while (answer.n >= HTTP2_FRAME_BYTES) {
		const unsigned char *head = (const unsigned char *)answer.s;
		size_t length = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
		int type = head[3];
		bool ends = head[4] & HTTP2_END_STREAM;
		if (type == HTTP2_DATA && length >= GRPC_PREFIX_BYTES)
			return PROBE_WELL;
		if (type == HTTP2_RST_STREAM || type == HTTP2_GOAWAY ||
		    (type == HTTP2_HEADERS && ends))
			return PROBE_UNWELL;
		if (answer.n < HTTP2_FRAME_BYTES + length)
			break;
		answer.s += HTTP2_FRAME_BYTES + length;
		answer.n -= HTTP2_FRAME_BYTES + length;
	}
	return PROBE_MORE;
}

/* ---- our daemons: a line of JSON on a socket of their own (daemon/status.h) ---- */

static void ask_daemon(struct buffer *out, const char *argument)
{
	(void)out;
	(void)argument;
}

static enum probe_verdict judge_daemon(struct text answer)
{
	if (answer.n == 0 || answer.s[answer.n - 1] != '\n')
		return PROBE_MORE;
	return well_if(answer.s[0] == '{');
}

static const struct probe_kind kinds[] = {
	{ "fastcgi", NULL, ask_fastcgi, judge_fastcgi },
	{ "http", "PATH", ask_http, judge_http },
	{ "rpc", NULL, ask_rpc, judge_rpc },
	{ "grpc", NULL, ask_grpc, judge_grpc },
	{ "daemon", NULL, ask_daemon, judge_daemon },
};

const struct probe_kind *probe_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	}
	return NULL;
}
