/* mail_server: a connection by libcurl that carries nothing. */
#include "mail/mail_server.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"

enum { URL_BYTES = 1024, MAX_HOST_BYTES = 255 };

static void curl_finish(CURL **curl)
{
	curl_easy_cleanup(*curl);
}

static enum error_code make_url(char url[URL_BYTES], struct error *e)
{
	const struct config *c = config();
	const char *scheme = c->mail_encryption == MAIL_ENCRYPTION_SSL ? "smtps" : "smtp";
	bool ipv6 = strchr(c->mail_host, ':');
	if (strlen(c->mail_host) > MAX_HOST_BYTES || strpbrk(c->mail_host, "/?#@\\ "))
		return error_set(e, ERROR_CONFIG, "MAIL_HOST: not a host name");
	snprintf(url, URL_BYTES, "%s://%s%s%s:%ld/%s", scheme, ipv6 ? "[" : "", c->mail_host,
		 ipv6 ? "]" : "", c->mail_port, c->mail_domain);
	return ERROR_NONE;
}

static bool prepare(CURL *curl, const char *url, long left_ms)
{
	bool tls = config()->mail_encryption != MAIL_ENCRYPTION_NONE;
	unsigned failed = 0;
	failed |= curl_easy_setopt(curl, CURLOPT_URL, url);
	failed |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	failed |= curl_easy_setopt(curl, CURLOPT_PROXY, "");
	failed |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	failed |= curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
	failed |= curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
	failed |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, left_ms);
	failed |= curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, left_ms);
	failed |= curl_easy_setopt(curl, CURLOPT_USE_SSL,
				   tls ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_NONE);
	failed |= curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	failed |= curl_easy_setopt(curl, CURLOPT_CAINFO, config()->tls_ca_file);
	/* Its goodbye is not waited for: by then it has answered everything that counts. */
	failed |= curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, (left_ms + 999) / 1000);
	return !failed;
}

static const struct {
	CURLcode result;
	enum error_code code;
	const char *sentence;
} failures[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, ERROR_PEER_DOWN, "the mail server's name is not known" },
	{ CURLE_COULDNT_CONNECT, ERROR_PEER_DOWN, "the mail server cannot be reached" },
	{ CURLE_OPERATION_TIMEDOUT, ERROR_PEER_TIMEOUT, "the mail server did not answer in time" },
	{ CURLE_USE_SSL_FAILED, ERROR_PEER_ANSWER, "the mail server offers no STARTTLS" },
	{ CURLE_SSL_CONNECT_ERROR, ERROR_PEER_ANSWER, "TLS with the mail server failed" },
	{ CURLE_PEER_FAILED_VERIFICATION, ERROR_PEER_ANSWER,
	  "the mail server's certificate is not accepted" },
	{ CURLE_SSL_CACERT_BADFILE, ERROR_CONFIG, "TLS_CA_FILE: cannot be read" },
};

static enum error_code explain(CURLcode result, struct error *e)
{
	log_warning("the mail server is not there", LOG_TEXT("reason", curl_easy_strerror(result)));
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		if (failures[i].result == result)
			return error_set(e, failures[i].code, "%s", failures[i].sentence);
	}
	return error_set(e, ERROR_PEER_ANSWER, "the mail server does not answer as one");
}

enum error_code mail_server_check(int64_t deadline_ms, struct error *e)
{
	char url[URL_BYTES];
	long left_ms = clock_left_ms(deadline_ms);
	enum error_code code = make_url(url, e);
	if (code)
		return code;
	CLEANUP(curl_finish) CURL *curl = curl_easy_init();
	if (!curl || !prepare(curl, url, left_ms > 0 ? left_ms : 1))
		return error_set(e, ERROR_INTERNAL, "the mail client cannot be set up");
	CURLcode result = curl_easy_perform(curl);
	return result == CURLE_OK ? ERROR_NONE : explain(result, e);
}
