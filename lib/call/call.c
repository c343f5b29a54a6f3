/* call: HTTP posts over libcurl, one easy handle for each site. */
#include "call/call.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/limits.h"
#include "core/log.h"
#include "wire/json.h"

enum { SITES = 4, URL_BYTES = 512, SITE_BYTES = 256 };

static const char unix_prefix[] = "unix:";
static const char http_prefix[] = "http://";

/* A handle keeps its connection between calls. Free places have no handle. */
struct site {
	char name[SITE_BYTES];
	CURL *curl;
};

static struct site sites[SITES];
static int next_place;

/* What is being sent. */
struct sending {
	struct text rest;
};

/*
 * There is no way to begin anew, on purpose: when a kept connection breaks
 * without an answer libcurl would send the request once more over another, but
 * a worker may have acted on the first.
 */
static size_t on_read(char *room, size_t one, size_t n, void *context)
{
	struct sending *s = context;
	n *= one;
	if (n > s->rest.n)
		n = s->rest.n;
	memcpy(room, s->rest.s, n);
	s->rest.s += n;
	s->rest.n -= n;
	return n;
}

/* What is being received. */
struct receiving {
	struct buffer body;
	bool worker;
	bool too_large;
};

static size_t on_body(char *bytes, size_t one, size_t n, void *context)
{
	struct receiving *r = context;
	n *= one;
	if (n > MAX_BODY_BYTES - r->body.size) {
		r->too_large = true;
		return 0;
	}
	buffer_append(&r->body, bytes, n);
	return r->body.failed ? 0 : n;
}

static size_t on_header(char *line, size_t one, size_t n, void *context)
{
	static const char handler[] = "x-handler:";
	struct receiving *r = context;
	n *= one;
	/* Of several heads (100 Continue, then the answer) the last counts. */
	if (n > 5 && strncmp(line, "HTTP/", 5) == 0)
		r->worker = false;
	if (n >= sizeof(handler) - 1 && strncasecmp(line, handler, sizeof(handler) - 1) == 0)
		r->worker = true;
	return n;
}

/* ---- sites ---- */

static void site_close(struct site *site)
{
	curl_easy_cleanup(site->curl);
	site->curl = NULL;
}

static enum error_code set_site(CURL *curl, const char *name, struct error *e)
{
	const char *path = name + sizeof(unix_prefix) - 1;
	bool is_unix = strncmp(name, unix_prefix, sizeof(unix_prefix) - 1) == 0;
	if (is_unix ? *path == '\0' : strncmp(name, http_prefix, sizeof(http_prefix) - 1) != 0)
		return error_set(e, ERROR_CONFIG, "%s: must be http://HOST:PORT or unix:PATH",
				 name);
	CURLcode bad = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	if (!bad && is_unix)
		bad = curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path);
	if (!bad)
		bad = curl_easy_setopt(curl, CURLOPT_PROXY, "");
	return bad ? error_set(e, ERROR_CONFIG, "%s: %s", name, curl_easy_strerror(bad))
		   : ERROR_NONE;
}

static enum error_code site_open(struct site *site, const char *name, struct error *e)
{
	static bool ready;
	if (!ready && curl_global_init(CURL_GLOBAL_DEFAULT))
		return error_set(e, ERROR_INTERNAL, "libcurl does not start");
	ready = true;
	if (strlen(name) >= SITE_BYTES)
		return error_set(e, ERROR_CONFIG, "a site's address has at most %d bytes",
				 SITE_BYTES - 1);
	CURL *curl = curl_easy_init();
	if (!curl)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	enum error_code code = set_site(curl, name, e);
	if (code) {
		curl_easy_cleanup(curl);
		return code;
	}
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, (long)KEPT_CONNECTION_S);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "flexiconnect/" FLEXI_VERSION);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	snprintf(site->name, sizeof(site->name), "%s", name);
	site->curl = curl;
	return ERROR_NONE;
}

static enum error_code site_find(const char *name, struct site **out, struct error *e)
{
	struct site *place = NULL;
	for (int i = 0; i < SITES; i++) {
		if (sites[i].curl && strcmp(sites[i].name, name) == 0) {
			*out = &sites[i];
			return ERROR_NONE;
		}
		if (!sites[i].curl)
			place = &sites[i];
	}
	if (!place) {
		place = &sites[next_place];
		next_place = (next_place + 1) % SITES;
		site_close(place);
	}
	*out = place;
	return site_open(place, name, e);
}

/* ---- one call ---- */

static void list_finish(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

/* Adds "name: value"; a value that would break the line is left out. False: memory is short. */
static bool add_header(struct curl_slist **list, const char *name, const char *value)
{
	char line[SITE_BYTES];
	for (const char *s = value; *s; s++) {
		if (iscntrl((unsigned char)*s))
			return true;
	}
	int n = snprintf(line, sizeof(line), "%s: %s", name, value);
	if (!*value || n >= (int)sizeof(line))
		return true;
	struct curl_slist *longer = curl_slist_append(*list, line);
	if (longer)
		*list = longer;
	return longer != NULL;
}

/* "Expect:" without a value keeps libcurl from waiting for 100 Continue. */
static bool add_headers(struct curl_slist **list)
{
	*list = curl_slist_append(NULL, "Expect:");
	return *list && add_header(list, "Content-Type", "application/json") &&
	       add_header(list, "X-Request-Id", log_request_id()) &&
	       add_header(list, "traceparent", log_traceparent());
}

/* Whether libcurl gave up before a byte of the request left. */
static bool nothing_was_sent(CURL *curl, CURLcode result)
{
	long sent = 0;
	curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &sent);
	return result == CURLE_COULDNT_CONNECT || result == CURLE_COULDNT_RESOLVE_HOST || sent == 0;
}

static enum error_code explain(CURL *curl, CURLcode result, const struct receiving *r,
			       const char *path, struct error *e)
{
	log_warning("a call failed", LOG_TEXT("path", path),
		    LOG_TEXT("reason", curl_easy_strerror(result)));
	if (r->too_large)
		return error_set(e, ERROR_PEER_ANSWER, "%s answered more than %d bytes", path,
				 MAX_BODY_BYTES);
	if (r->body.failed || result == CURLE_OUT_OF_MEMORY)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	if (nothing_was_sent(curl, result))
		return error_set(e, ERROR_PEER_DOWN, "%s cannot be reached", path);
	if (result == CURLE_OPERATION_TIMEDOUT)
		return error_set(e, ERROR_PEER_TIMEOUT, "%s did not answer in time", path);
	return error_set(e, ERROR_PEER_ANSWER, "%s broke off without a whole answer", path);
}

static CURLcode perform(CURL *curl, const char *url, struct text body, struct curl_slist *headers,
			int64_t deadline_ms, struct receiving *r)
{
	/* 0 would mean no limit. */
	long left = clock_left_ms(deadline_ms);
	left = left > 0 ? left : 1;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	struct sending sending = { body };
	curl_easy_setopt(curl, CURLOPT_READDATA, &sending);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, left);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
			 left < CONNECT_TIMEOUT_MS ? left : (long)CONNECT_TIMEOUT_MS);
	CURLcode result = curl_easy_perform(curl);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
	return result;
}

static void receiving_finish(struct receiving *r)
{
	buffer_finish(&r->body);
}

static enum error_code take_answer(CURL *curl, struct receiving *r, struct call_answer *answer,
				   struct error *e)
{
	long status = 0;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	*answer = (struct call_answer){ .status = (int)status, .worker = r->worker };
	answer->body = buffer_take(&r->body, &answer->size);
	return answer->body ? ERROR_NONE : error_set(e, ERROR_INTERNAL, "out of memory");
}

enum error_code call_post(const char *site, const char *path, struct text body, int64_t deadline_ms,
			  struct call_answer *answer, struct error *e)
{
	*answer = (struct call_answer){ 0 };
	char url[URL_BYTES];
	bool is_unix = strncmp(site, unix_prefix, sizeof(unix_prefix) - 1) == 0;
	const char *base = is_unix ? "http://localhost" : site;
	size_t n = strlen(base);
	while (n > 0 && base[n - 1] == '/')
		n--;
	if (snprintf(url, sizeof(url), "%.*s%s", (int)n, base, path) >= (int)sizeof(url))
		return error_set(e, ERROR_INTERNAL, "an address has at most %d bytes",
				 URL_BYTES - 1);
	struct site *place = NULL;
	enum error_code code = site_find(site, &place, e);
	if (code)
		return code;
	CLEANUP(list_finish) struct curl_slist *headers = NULL;
	CLEANUP(receiving_finish) struct receiving r = { 0 };
	if (!add_headers(&headers))
		return error_set(e, ERROR_INTERNAL, "out of memory");
	CURLcode result = perform(place->curl, url, body, headers, deadline_ms, &r);
	if (result == CURLE_OK)
		return take_answer(place->curl, &r, answer, e);
	code = explain(place->curl, result, &r, path, e);
	site_close(place);
	return code;
}

void call_answer_finish(struct call_answer *answer)
{
	free(answer->body);
	*answer = (struct call_answer){ 0 };
}

/* ---- the internal site ---- */

static enum error_code code_of_status(int status)
{
	static const struct {
		int status;
		enum error_code code;
	} known[] = {
		{ 400, ERROR_BAD_INPUT }, { 401, ERROR_CREDENTIALS },	{ 404, ERROR_NOT_FOUND },
		{ 405, ERROR_METHOD },	  { 408, ERROR_BODY_CUT },	{ 409, ERROR_CONFLICT },
		{ 413, ERROR_TOO_LARGE }, { 422, ERROR_UNPROCESSABLE }, { 429, ERROR_PEER_FULL },
		{ 503, ERROR_PEER_DOWN }, { 504, ERROR_PEER_TIMEOUT },
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].status == status)
			return known[i].code;
	}
	return ERROR_PEER_ANSWER;
}

/* The sentence of a worker's envelope, or one on the status alone. */
static enum error_code worker_error(const char *path, const struct call_answer *answer,
				    struct error *e)
{
	CLEANUP(json_put) struct json_object *envelope = NULL;
	struct text message = { 0 };
	struct text body = { answer->body, answer->size };
	enum error_code code = code_of_status(answer->status);
	if (json_parse(body, "answer", &envelope, NULL) ||
	    json_must_be_object(envelope, "answer", NULL) ||
	    json_string(envelope, "", "message", JSON_REQUIRED, &message, NULL))
		return error_set(e, code, "%s answered %d", path, answer->status);
	return error_set(e, code, "%.*s", (int)message.n, message.s);
}

/* An answer of Caddy itself: no worker has it in hand, or one died with it. */
static enum error_code site_error(const char *path, const struct call_answer *answer,
				  struct error *e)
{
	switch (answer->status) {
	case 404:
		return error_set(e, ERROR_PEER_DOWN, "there is no handler %s", path);
	case 503:
		return error_set(e, ERROR_PEER_DOWN, "the handler %s is not running", path);
	case 504:
		return error_set(e, ERROR_PEER_TIMEOUT, "%s did not answer in time", path);
	case 413:
		return error_set(e, ERROR_TOO_LARGE, "the request is too large for %s", path);
	default:
		return error_set(e, ERROR_PEER_ANSWER, "no worker of %s answered (%d)", path,
				 answer->status);
	}
}

enum error_code call_internal(const char *path, struct text body, int64_t deadline_ms,
			      struct call_answer *answer, struct error *e)
{
	enum error_code code =
		call_post(config()->internal_url, path, body, deadline_ms, answer, e);
	if (code || (answer->worker && answer->status / 100 == 2))
		return code;
	code = answer->worker ? worker_error(path, answer, e) : site_error(path, answer, e);
	call_answer_finish(answer);
	return code;
}
