/* grpc_health: one call of Health/Check, by libcurl over HTTP/2. */
#include "transport/grpc_health.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "wire/grpc.h"
#include "wire/grpc_messages.h"

static const char path[] = "/grpc.health.v1.Health/Check";

enum { URL_BYTES = 512, MAX_ANSWER_BYTES = 1024 };

static void curl_finish(CURL **curl)
{
	curl_easy_cleanup(*curl);
}

static void headers_finish(struct curl_slist **headers)
{
	curl_slist_free_all(*headers);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): libcurl gives the type */
static size_t on_body(char *bytes, size_t one, size_t n, void *context)
{
	const char *why;
	struct text more = { bytes, n * one };
	return grpc_intake_take(context, more, MAX_ANSWER_BYTES, &why) == GRPC_OK ? more.n : 0;
}

static struct curl_slist *make_headers(void)
{
	static const char content_type[] = "content-type: " GRPC_CONTENT_TYPE;
	static const char *const lines[] = { content_type, "te: trailers", "Expect:" };
	struct curl_slist *headers = NULL;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct curl_slist *longer = curl_slist_append(headers, lines[i]);
		if (longer)
			headers = longer;
	}
	return headers;
}

static bool prepare(CURL *curl, long left_ms, struct curl_slist *headers, struct grpc_intake *in)
{
	static const char empty_message[GRPC_PREFIX_BYTES];
	char url[URL_BYTES];
	const char *address = config()->log_grpc_addr;
	const char *scheme = strstr(address, "://") ? "" : "http://";
	unsigned failed =
		snprintf(url, sizeof(url), "%s%s%s", scheme, address, path) >= (int)sizeof(url);
	failed |= curl_easy_setopt(curl, CURLOPT_URL, url);
	failed |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	failed |= curl_easy_setopt(curl, CURLOPT_HTTP_VERSION,
				   (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
	failed |= curl_easy_setopt(curl, CURLOPT_PROXY, "");
	failed |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	failed |= curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	failed |= curl_easy_setopt(curl, CURLOPT_CAINFO, config()->tls_ca_file);
	failed |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, left_ms);
	failed |= curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, left_ms);
	failed |= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	failed |= curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)sizeof(empty_message));
	failed |= curl_easy_setopt(curl, CURLOPT_POSTFIELDS, empty_message);
	failed |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	failed |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, in);
	return !failed;
}

static enum error_code explain(CURLcode result, struct error *e)
{
	log_warning("the gRPC log server is not there",
		    LOG_TEXT("reason", curl_easy_strerror(result)));
	if (result == CURLE_OPERATION_TIMEDOUT)
		return error_set(e, ERROR_PEER_TIMEOUT,
				 "the gRPC log server did not answer in time");
	return error_set(e, ERROR_PEER_DOWN, "the gRPC log server cannot be reached");
}

enum error_code grpc_health_check(int64_t deadline_ms, struct error *e)
{
	CLEANUP(curl_finish) CURL *curl = curl_easy_init();
	CLEANUP(headers_finish) struct curl_slist *headers = make_headers();
	CLEANUP(grpc_intake_finish) struct grpc_intake in = { 0 };
	long left_ms = clock_left_ms(deadline_ms);
	enum health health = HEALTH_NOT_SERVING;
	if (!curl || !headers || !prepare(curl, left_ms > 0 ? left_ms : 1, headers, &in))
		return error_set(e, ERROR_CONFIG, "LOG_GRPC_ADDR: cannot be used");
	CURLcode result = curl_easy_perform(curl);
	if (result != CURLE_OK)
		return explain(result, e);
	if (!in.whole || !health_response_read(buffer_text(&in.message), &health))
		return error_set(e, ERROR_PEER_ANSWER,
				 "the gRPC log server gave no answer to Check");
	if (health != HEALTH_SERVING)
		return error_set(e, ERROR_PEER_DOWN,
				 "the gRPC log server says that it does not serve");
	return ERROR_NONE;
}
