/* deliver: libcurl tells which descriptors and which time it waits for; libuv waits. */
#include "deliver.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/limits.h"
#include "core/log.h"

enum {
	/*
	 * Longer than a handler has, and longer than the front door waits for it:
	 * it is the front door that must say what happened.
	 */
	CALL_MARGIN_MS = 20000,
	/* A list of a thousand failures with their reasons, and more. */
	MAX_ANSWER_BYTES = 4 * 1024 * 1024,
	MAX_CONNECTIONS = 256,
	/* Connections kept while nothing happens. */
	MAX_IDLE_CONNECTIONS = 32,
};

struct transfer {
	CURL *easy;
	struct curl_slist *headers;
	struct buffer body;
	struct buffer answer;
	bool worker;
	bool too_large;
	void (*done)(void *context, const struct answer *answer);
	void *context;
	char failure[CURL_ERROR_SIZE];
	struct transfer *next, **previous;
};

static struct {
	CURLM *multi;
	uv_loop_t *loop;
	uv_timer_t timer;
	const char *socket_path; /* NULL: by TCP */
	const char *base;	 /* what /NAME is appended to */
	struct transfer *transfers;
} site;

static void transfer_destroy(struct transfer *t)
{
	if (t->easy) {
		curl_multi_remove_handle(site.multi, t->easy);
		curl_easy_cleanup(t->easy);
	}
	if (t->previous) {
		*t->previous = t->next;
		if (t->next)
			t->next->previous = t->previous;
	}
	curl_slist_free_all(t->headers);
	buffer_finish(&t->body);
	buffer_finish(&t->answer);
	free(t);
}

/* Whether a request that failed like this cannot have reached a worker. */
static bool never_sent(CURLcode result, long connect_us)
{
	return result == CURLE_COULDNT_CONNECT || result == CURLE_COULDNT_RESOLVE_HOST ||
	       result == CURLE_COULDNT_RESOLVE_PROXY ||
	       (result == CURLE_OPERATION_TIMEDOUT && connect_us == 0);
}

static void report(struct transfer *t, CURLcode result)
{
	struct answer a = { .worker = t->worker, .connected = true };
	long status = 0;
	curl_off_t connect_us = 0;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connect_us);
	if (result == CURLE_OK) {
		a.status = (int)status;
		a.body = buffer_text(&t->answer);
	} else {
		a.connected = !never_sent(result, (long)connect_us);
		a.failure = t->too_large  ? "the answer is too large"
			    : *t->failure ? t->failure
					  : curl_easy_strerror(result);
	}
	t->done(t->context, &a);
}

static void collect(void)
{
	int left;
	CURLMsg *m;
	while ((m = curl_multi_info_read(site.multi, &left))) {
		struct transfer *t = NULL;
		if (m->msg != CURLMSG_DONE)
			continue;
		CURLcode result = m->data.result;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		report(t, result);
		transfer_destroy(t);
	}
}

static void act(curl_socket_t fd, int what)
{
	int running;
	curl_multi_socket_action(site.multi, fd, what, &running);
	collect();
}

static void on_timer(uv_timer_t *timer)
{
	(void)timer;
	act(CURL_SOCKET_TIMEOUT, 0);
}

static int want_timer(CURLM *multi, long timeout_ms, void *context)
{
	(void)multi;
	(void)context;
	if (timeout_ms < 0)
		uv_timer_stop(&site.timer);
	else
		uv_timer_start(&site.timer, on_timer, (uint64_t)timeout_ms, 0);
	return 0;
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	int what = status < 0 ? CURL_CSELECT_ERR : 0;
	if (events & UV_READABLE)
		what |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		what |= CURL_CSELECT_OUT;
	act((curl_socket_t)(intptr_t)poll->data, what);
}

static void on_handle_freed(uv_handle_t *handle)
{
	free(handle);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *of_socket)
{
	(void)easy;
	(void)context;
	uv_poll_t *poll = of_socket;
	if (what == CURL_POLL_REMOVE) {
		if (poll)
			uv_close((uv_handle_t *)poll, on_handle_freed);
		curl_multi_assign(site.multi, fd, NULL);
		return 0;
	}
	if (!poll) {
		poll = calloc(1, sizeof(*poll));
		if (!poll || uv_poll_init(site.loop, poll, fd) < 0) {
			free(poll);
			return -1;
		}
		poll->data = (void *)(intptr_t)fd;
		curl_multi_assign(site.multi, fd, poll);
	}
	int events =
		(what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
	return uv_poll_start(poll, events, on_socket) < 0 ? -1 : 0;
}

static size_t on_answer(char *bytes, size_t size, size_t n, void *context)
{
	struct transfer *t = context;
	t->too_large = t->answer.size + size * n > MAX_ANSWER_BYTES;
	if (t->too_large)
		return 0;
	buffer_append(&t->answer, bytes, size * n);
	return t->answer.failed ? 0 : size * n;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *context)
{
	static const char name[] = "X-Handler:";
	struct transfer *t = context;
	if (size * n >= sizeof(name) && strncasecmp(bytes, name, sizeof(name) - 1) == 0)
		t->worker = true;
	return size * n;
}

/* Appends "NAME: VALUE"; an empty value takes the header out. Returns whether it did. */
static bool add_header(struct transfer *t, const char *name, const char *value)
{
	char line[256];
	snprintf(line, sizeof(line), *value ? "%s: %s" : "%s:", name, value);
	struct curl_slist *longer = curl_slist_append(t->headers, line);
	if (longer)
		t->headers = longer;
	return longer != NULL;
}

static bool add_headers(struct transfer *t, const struct call *call)
{
	return add_header(t, "Content-Type", "application/json") &&
	       add_header(t, "X-Trigger", call->queue) &&
	       add_header(t, "X-Request-Id", call->request_id) &&
	       (!*call->traceparent || add_header(t, "traceparent", call->traceparent)) &&
	       add_header(t, "Expect", ""); /* a pause of a second before every large body */
}

static bool configure(struct transfer *t, const struct call *call)
{
	char url[1024];
	long timeout_ms = config()->request_timeout_ms + CALL_MARGIN_MS;
	t->easy = curl_easy_init();
	if (!t->easy || !add_headers(t, call))
		return false;
	if (snprintf(url, sizeof(url), "%s/%s", site.base, call->handler) >= (int)sizeof(url))
		return false;
	CURL *c = t->easy;
	bool failed = curl_easy_setopt(c, CURLOPT_URL, url) || /* the only ones that allocate */
		      curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, site.socket_path) ||
		      curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http") ||
		      curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_POST, 1L);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, t->body.bytes);
	curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body.size);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, timeout_ms);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_answer);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->failure);
	curl_easy_setopt(c, CURLOPT_PRIVATE, t);
	return !failed;
}

bool deliver_start(struct call *call)
{
	struct transfer *t = calloc(1, sizeof(*t));
	if (!t) {
		buffer_finish(&call->body);
		return false;
	}
	t->body = call->body;
	call->body = (struct buffer){ 0 };
	t->done = call->done;
	t->context = call->context;
	if (t->body.failed || !configure(t, call) ||
	    curl_multi_add_handle(site.multi, t->easy) != CURLM_OK) {
		transfer_destroy(t);
		return false;
	}
	t->next = site.transfers;
	t->previous = &site.transfers;
	if (t->next)
		t->next->previous = &t->next;
	site.transfers = t;
	return true;
}

/* Splits QUEUE_URL into what libcurl wants. */
static enum error_code read_url(const char *url, struct error *e)
{
	if (strncmp(url, "unix:", strlen("unix:")) == 0 && url[strlen("unix:")]) {
		site.socket_path = url + strlen("unix:");
		site.base = "http://queue";
		return ERROR_NONE;
	}
	size_t n = strlen(url);
	if (strncmp(url, "http://", strlen("http://")) != 0 || n == strlen("http://") ||
	    url[n - 1] == '/')
		return error_set(e, ERROR_CONFIG,
				 "QUEUE_URL: must be http://HOST:PORT or unix:PATH");
	site.base = url;
	return ERROR_NONE;
}

enum error_code deliver_init(uv_loop_t *loop, struct error *e)
{
	enum error_code code = read_url(config()->queue_url, e);
	if (code)
		return code;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(site.multi = curl_multi_init()))
		return error_set(e, ERROR_INTERNAL, "out of memory");
	site.loop = loop;
	uv_timer_init(loop, &site.timer);
	curl_multi_setopt(site.multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(site.multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(site.multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)MAX_CONNECTIONS);
	curl_multi_setopt(site.multi, CURLMOPT_MAXCONNECTS, (long)MAX_IDLE_CONNECTIONS);
	return ERROR_NONE;
}

void deliver_finish(void)
{
	while (site.transfers)
		transfer_destroy(site.transfers);
	curl_multi_cleanup(site.multi);
	site.multi = NULL;
	uv_close((uv_handle_t *)&site.timer, NULL);
	curl_global_cleanup();
}
