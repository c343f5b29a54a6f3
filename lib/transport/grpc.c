/* grpc: one call an entry, by libcurl over HTTP/2, and what its status says about the entry. */
#include "transport/grpc.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/limits.h"
#include "core/log.h"
#include "wire/grpc.h"
#include "wire/grpc_messages.h"

static const char path[] = "/logs.LogService/WriteLog";

enum {
	URL_BYTES = 512,
	HEADER_BYTES = 256,
	MAX_IDLE_S = 30 * 24 * 3600, /* libcurl would pass over a kept connection after 118 s */
	/* "logged!" and its like; more is no answer to WriteLog. */
	MAX_ANSWER_BYTES = 4096,
	MAX_SENTENCE_BYTES = 1024,
	NO_STATUS = -1,
};

static CURL *curl;
static int64_t pause_until_ms; /* monotonic */

/* What is being received. */
struct answer {
	int status; /* of gRPC, or NO_STATUS */
	bool is_not_stored;
	struct buffer sentence;
	struct grpc_intake message;
};

static void answer_finish(struct answer *a)
{
	buffer_finish(&a->sentence);
	grpc_intake_finish(&a->message);
}

/* ---- what comes back ---- */

static void take_status(struct answer *a, struct text value)
{
	char digits[4];
	int n = snprintf(digits, sizeof(digits), "%.*s", (int)value.n, value.s);
	bool ok = n > 0 && n < (int)sizeof(digits) && digits[strspn(digits, "0123456789")] == '\0';
	a->status = ok ? (int)strtol(digits, NULL, 10) : (int)GRPC_UNKNOWN;
}

static void take_sentence(struct answer *a, struct text value)
{
	if (value.n <= MAX_SENTENCE_BYTES)
		grpc_percent_decode(value, &a->sentence);
}

static void take_outcome(struct answer *a, struct text value)
{
	a->is_not_stored = text_equal(value, text_of(GRPC_NOT_STORED));
}

static const struct {
	const char *name;
	void (*take)(struct answer *a, struct text value);
} fields[] = {
	{ "grpc-status", take_status },
	{ "grpc-message", take_sentence },
	{ GRPC_OUTCOME, take_outcome },
};

/* A line of the head, or of the trailers: "name: value\r\n". */
static size_t on_header(char *line, size_t one, size_t n, void *context)
{
	struct answer *a = context;
	n *= one;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		size_t name = strlen(fields[i].name);
		if (n <= name || line[name] != ':' || strncasecmp(line, fields[i].name, name) != 0)
			continue;
		struct text value = { line + name + 1, n - name - 1 };
		for (; value.n > 0 && value.s[0] == ' '; value.n--)
			value.s++;
		while (value.n > 0 && strchr("\r\n ", value.s[value.n - 1]))
			value.n--;
		fields[i].take(a, value);
	}
	return n;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): libcurl gives the type */
static size_t on_body(char *bytes, size_t one, size_t n, void *context)
{
	struct answer *a = context;
	const char *why;
	struct text more = { bytes, n * one };
	enum grpc_status status = grpc_intake_take(&a->message, more, MAX_ANSWER_BYTES, &why);
	return status == GRPC_OK ? more.n : 0;
}

/* What a status means: for the entry, and for whoever sent it. */
static const struct {
	enum outcome outcome;
	enum error_code code;
} meanings[GRPC_STATUSES] = {
	[GRPC_OK] = { OUTCOME_STORED, ERROR_NONE },
	[GRPC_CANCELLED] = { OUTCOME_UNKNOWN, ERROR_PEER_ANSWER },
	[GRPC_UNKNOWN] = { OUTCOME_UNKNOWN, ERROR_PEER_ANSWER },
	[GRPC_INVALID_ARGUMENT] = { OUTCOME_REFUSED, ERROR_BAD_INPUT },
	[GRPC_DEADLINE_EXCEEDED] = { OUTCOME_UNKNOWN, ERROR_PEER_TIMEOUT },
	[GRPC_NOT_FOUND] = { OUTCOME_NOT_STORED, ERROR_PEER_ANSWER },
	[GRPC_ALREADY_EXISTS] = { OUTCOME_REFUSED, ERROR_CONFLICT },
	[GRPC_PERMISSION_DENIED] = { OUTCOME_NOT_STORED, ERROR_PEER_ANSWER },
	[GRPC_RESOURCE_EXHAUSTED] = { OUTCOME_NOT_STORED, ERROR_PEER_FULL },
	[GRPC_FAILED_PRECONDITION] = { OUTCOME_NOT_STORED, ERROR_PEER_ANSWER },
	[GRPC_ABORTED] = { OUTCOME_UNKNOWN, ERROR_PEER_ANSWER },
	[GRPC_OUT_OF_RANGE] = { OUTCOME_NOT_STORED, ERROR_PEER_ANSWER },
	[GRPC_UNIMPLEMENTED] = { OUTCOME_NOT_STORED, ERROR_PEER_ANSWER },
	[GRPC_INTERNAL] = { OUTCOME_UNKNOWN, ERROR_PEER_ANSWER },
	/* Servers say so too when the connection broke behind them. */
	[GRPC_UNAVAILABLE] = { OUTCOME_UNKNOWN, ERROR_PEER_DOWN },
	[GRPC_DATA_LOSS] = { OUTCOME_UNKNOWN, ERROR_PEER_ANSWER },
	[GRPC_UNAUTHENTICATED] = { OUTCOME_NOT_STORED, ERROR_PEER_ANSWER },
};

static enum outcome judge(const struct answer *a, struct error *e)
{
	enum grpc_status status = GRPC_UNKNOWN;
	if (a->status != NO_STATUS && a->status < GRPC_STATUSES)
		status = (enum grpc_status)a->status;
	if (status == GRPC_OK && a->message.whole &&
	    log_response_read(buffer_text(&a->message.message)))
		return OUTCOME_STORED;
	if (status == GRPC_OK || a->status == NO_STATUS) {
		error_set(e, ERROR_PEER_ANSWER, "the gRPC log server gave no answer to WriteLog");
		return OUTCOME_UNKNOWN;
	}
	enum error_code code = meanings[status].code;
	struct text said = buffer_text(&a->sentence);
	if (meanings[status].outcome == OUTCOME_REFUSED && said.n > 0)
		error_set(e, code, "%.*s", (int)said.n, said.s);
	else
		error_set(e, code, "the gRPC log server answered status %d%s%.*s", (int)status,
			  said.n > 0 ? ": " : "", (int)said.n, said.s);
	return a->is_not_stored ? OUTCOME_NOT_STORED : meanings[status].outcome;
}

/* ---- what goes out ---- */

void grpc_close(void)
{
	curl_easy_cleanup(curl);
	curl = NULL;
}

static CURLcode set_address(const char *address)
{
	char url[URL_BYTES];
	const char *scheme = strstr(address, "://") ? "" : "http://";
	if (snprintf(url, sizeof(url), "%s%s%s", scheme, address, path) >= (int)sizeof(url))
		return CURLE_URL_MALFORMAT;
	CURLcode bad = curl_easy_setopt(curl, CURLOPT_URL, url);
	if (!bad)
		bad = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	if (!bad)
		bad = curl_easy_setopt(curl, CURLOPT_CAINFO, config()->tls_ca_file);
	if (!bad)
		bad = curl_easy_setopt(curl, CURLOPT_PROXY, "");
	return bad;
}

static enum error_code open_handle(struct error *e)
{
	static bool ready;
	if (!ready && curl_global_init(CURL_GLOBAL_DEFAULT))
		return error_set(e, ERROR_INTERNAL, "libcurl does not start");
	ready = true;
	curl = curl_easy_init();
	if (!curl)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	CURLcode bad = set_address(config()->log_grpc_addr);
	if (bad) {
		grpc_close();
		return error_set(e, ERROR_CONFIG, "LOG_GRPC_ADDR: %s", curl_easy_strerror(bad));
	}
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	/* How long a connection is kept is the server's to say: see is_connected. */
	curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, (long)MAX_IDLE_S);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "flexiconnect/" FLEXI_VERSION);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	return ERROR_NONE;
}

static void headers_finish(struct curl_slist **headers)
{
	curl_slist_free_all(*headers);
}

/* Returns whether there was memory. An empty value is left out. */
static bool add_header(struct curl_slist **headers, const char *name, const char *value)
{
	char line[HEADER_BYTES];
	int n = snprintf(line, sizeof(line), "%s: %s", name, value);
	if (!*value || n >= (int)sizeof(line))
		return true;
	struct curl_slist *longer = curl_slist_append(*headers, line);
	if (longer)
		*headers = longer;
	return longer != NULL;
}

/* "Expect:" without a value keeps libcurl from waiting for 100 Continue. */
static bool add_headers(struct curl_slist **headers, const struct entry *entry, int left_ms)
{
	char timeout[GRPC_TIMEOUT_BYTES];
	char created_at[CLOCK_TEXT_BYTES];
	grpc_timeout_write(left_ms, timeout);
	clock_text(entry->accepted_ms, created_at);
	*headers = curl_slist_append(NULL, "Expect:");
	return *headers && add_header(headers, "content-type", GRPC_CONTENT_TYPE) &&
	       add_header(headers, "te", "trailers") &&
	       add_header(headers, "grpc-timeout", timeout) &&
	       add_header(headers, GRPC_ENTRY_ID, entry->id) &&
	       add_header(headers, GRPC_ENTRY_LEVEL, entry_level_name(entry->level)) &&
	       add_header(headers, GRPC_ENTRY_CREATED_AT, created_at) &&
	       add_header(headers, "x-request-id", log_request_id()) &&
	       add_header(headers, "traceparent", log_traceparent());
}

static bool write_request(const struct entry *entry, struct buffer *body)
{
	CLEANUP(buffer_finish) struct buffer message = { 0 };
	log_request_append(&message, entry->name, entry->data);
	grpc_prefix_append(body, message.size);
	buffer_append_text(body, buffer_text(&message));
	return !message.failed && !body->failed;
}

/*
 * libcurl before 8.0 fails when it finds a kept connection and is told to begin
 * with HTTP/2 at once, which only a new connection needs to be told. So it is
 * known beforehand which of the two there will be: one that has something to
 * say between two calls is about to end, and is not kept.
 */
static bool is_connected(void)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &fd);
	struct pollfd connection = { .fd = fd, .events = POLLIN };
	return fd != CURL_SOCKET_BAD && poll(&connection, 1, 0) == 0;
}

static enum error_code prepare(struct error *e)
{
	bool kept = curl && is_connected();
	if (curl && !kept)
		grpc_close();
	enum error_code code = curl ? ERROR_NONE : open_handle(e);
	if (!code)
		curl_easy_setopt(curl, CURLOPT_HTTP_VERSION,
				 kept ? (long)CURL_HTTP_VERSION_2_0
				      : (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
	return code;
}

static CURLcode perform(struct text body, struct curl_slist *headers, int left_ms,
			struct answer *answer)
{
	long left = left_ms > 0 ? left_ms : 1; /* 0 would mean no limit */
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.s);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, left);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
			 left < CONNECT_TIMEOUT_MS ? left : (long)CONNECT_TIMEOUT_MS);
	CURLcode result = curl_easy_perform(curl);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, NULL);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
	return result;
}

/* No whole answer came. Only before a byte of the request left is anything certain. */
static enum outcome explain(CURLcode result, struct error *e)
{
	long sent = 0;
	curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &sent);
	log_warning("a call of the gRPC log server failed",
		    LOG_TEXT("reason", curl_easy_strerror(result)));
	bool unreached = result == CURLE_COULDNT_CONNECT || result == CURLE_COULDNT_RESOLVE_HOST ||
			 sent == 0;
	if (unreached)
		error_set(e, ERROR_PEER_DOWN, "the gRPC log server cannot be reached");
	else if (result == CURLE_OPERATION_TIMEDOUT)
		error_set(e, ERROR_PEER_TIMEOUT, "the gRPC log server did not answer in time");
	else
		error_set(e, ERROR_PEER_ANSWER, "the gRPC log server broke off without an answer");
	return unreached ? OUTCOME_NOT_STORED : OUTCOME_UNKNOWN;
}

enum outcome grpc_send(const struct entry *entry, int64_t deadline_ms, struct error *e)
{
	if (clock_now_ms() < pause_until_ms) {
		error_set(e, ERROR_PEER_DOWN, "the gRPC log server did not answer a moment ago");
		return OUTCOME_NOT_STORED;
	}
	if (prepare(e))
		return OUTCOME_NOT_STORED;
	CLEANUP(buffer_finish) struct buffer body = { 0 };
	CLEANUP(headers_finish) struct curl_slist *headers = NULL;
	CLEANUP(answer_finish) struct answer answer = { .status = NO_STATUS };
	int left_ms = clock_left_ms(deadline_ms);
	if (!write_request(entry, &body) || !add_headers(&headers, entry, left_ms)) {
		error_set(e, ERROR_INTERNAL, "out of memory");
		return OUTCOME_NOT_STORED;
	}
	CURLcode result = perform(buffer_text(&body), headers, left_ms, &answer);
	struct error own;
	e = e ? e : &own;
	/* A status counts however the stream ended: who refuses a long request resets it. */
	bool answered = result == CURLE_OK || answer.status != NO_STATUS;
	enum outcome outcome = answered ? judge(&answer, e) : explain(result, e);
	if (outcome != OUTCOME_STORED && e->code == ERROR_PEER_TIMEOUT)
		pause_until_ms = clock_now_ms() + PEER_PAUSE_MS;
	if (result != CURLE_OK)
		grpc_close();
	return outcome;
}
