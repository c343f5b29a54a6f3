/* smtp_server: libcurl's options for a mail server, in one place for mails and for asking whether it is there. */
#include "mail/smtp_server.h"

#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"

enum { MAX_HOST_BYTES = 255, MAX_GREETING_BYTES = 255 };

static const struct {
	CURLcode result;
	enum error_code code;
	const char *sentence;
} failures[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, ERROR_PEER_DOWN, "the mail server's name is not known" },
	{ CURLE_COULDNT_CONNECT, ERROR_PEER_DOWN, "the mail server cannot be reached" },
	{ CURLE_OPERATION_TIMEDOUT, ERROR_PEER_DOWN, "the mail server did not answer in time" },
	{ CURLE_SEND_ERROR, ERROR_PEER_DOWN, "the mail server went away" },
	{ CURLE_RECV_ERROR, ERROR_PEER_DOWN, "the mail server went away" },
	{ CURLE_GOT_NOTHING, ERROR_PEER_DOWN, "the mail server went away" },
	{ CURLE_USE_SSL_FAILED, ERROR_PEER_ANSWER, "the mail server offers no STARTTLS" },
	{ CURLE_SSL_CONNECT_ERROR, ERROR_PEER_ANSWER, "TLS with the mail server failed" },
	{ CURLE_PEER_FAILED_VERIFICATION, ERROR_PEER_ANSWER,
	  "the mail server's certificate is not accepted" },
	{ CURLE_SSL_CACERT_BADFILE, ERROR_CONFIG, "TLS_CA_FILE: cannot be read" },
	{ CURLE_LOGIN_DENIED, ERROR_PEER_ANSWER, "the mail server did not accept the login" },
	{ CURLE_ABORTED_BY_CALLBACK, ERROR_PEER_ANSWER,
	  "the mail server offers no login, and one is required" },
	{ CURLE_OUT_OF_MEMORY, ERROR_INTERNAL, "out of memory" },
};

static void curl_finish(CURL **curl)
{
	curl_easy_cleanup(*curl);
}

static void url_finish(CURLU **url)
{
	curl_url_cleanup(*url);
}

struct smtp_server smtp_server_configured(const char *greeting)
{
	const struct config *c = config();
	return (struct smtp_server){
		.host = c->mail_host,
		.port = c->mail_port,
		.encryption = (enum mail_encryption)c->mail_encryption,
		.ca_file = c->tls_ca_file,
		.username = c->mail_username,
		.password = c->mail_password,
		.greeting = greeting,
	};
}

enum error_code smtp_server_url(const struct smtp_server *server, CURLU *url, struct error *e)
{
	bool ipv6 = strchr(server->host, ':');
	char host[MAX_HOST_BYTES + sizeof("[]")];
	char port[16];
	char path[MAX_GREETING_BYTES + sizeof("/")];
	const char *scheme = server->encryption == MAIL_ENCRYPTION_SSL ? "smtps" : "smtp";
	snprintf(host, sizeof(host), "%s%s%s", ipv6 ? "[" : "", server->host, ipv6 ? "]" : "");
	snprintf(port, sizeof(port), "%ld", server->port);
	snprintf(path, sizeof(path), "/%s", server->greeting);
	if (strlen(server->host) > MAX_HOST_BYTES ||
	    curl_url_set(url, CURLUPART_SCHEME, scheme, 0) ||
	    curl_url_set(url, CURLUPART_HOST, host, 0))
		return error_set(e, ERROR_CONFIG, "MAIL_HOST: not a host name");
	if (curl_url_set(url, CURLUPART_PORT, port, 0))
		return error_set(e, ERROR_CONFIG, "MAIL_PORT: not a port");
	if (curl_url_set(url, CURLUPART_PATH, path, 0))
		return error_set(e, ERROR_INTERNAL, "out of memory");
	return ERROR_NONE;
}

bool smtp_server_set(CURL *c, const struct smtp_server *server, CURLU *url, long left_ms)
{
	bool tls = server->encryption != MAIL_ENCRYPTION_NONE;
	unsigned failed = 0;
	failed |= curl_easy_setopt(c, CURLOPT_CURLU, url);
	failed |= curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	failed |= curl_easy_setopt(c, CURLOPT_PROXY, "");
	failed |= curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	/* A name server that does not answer must not hold us past the deadline. */
	failed |= curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
	failed |= curl_easy_setopt(c, CURLOPT_MAXCONNECTS, 1L);
	failed |= curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
	failed |= curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, left_ms);
	failed |= curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, left_ms);
	failed |= curl_easy_setopt(c, CURLOPT_SERVER_RESPONSE_TIMEOUT, (left_ms + 999) / 1000);
	failed |= curl_easy_setopt(c, CURLOPT_USE_SSL,
				   tls ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_NONE);
	failed |= curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	failed |= curl_easy_setopt(c, CURLOPT_CAINFO, server->ca_file);
	if (*server->username) {
		failed |= curl_easy_setopt(c, CURLOPT_USERNAME, server->username);
		failed |= curl_easy_setopt(c, CURLOPT_PASSWORD, server->password);
	}
	return !failed;
}

enum error_code smtp_server_failed(CURLcode result, struct error *e)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		if (failures[i].result == result)
			return error_set(e, failures[i].code, "%s", failures[i].sentence);
	}
	return error_set(e, ERROR_PEER_ANSWER, "the mail server does not answer as one");
}

enum error_code smtp_server_check(int64_t deadline_ms, struct error *e)
{
	struct smtp_server server = smtp_server_configured(config()->mail_domain);
	server.username = "";
	long left_ms = clock_left_ms(deadline_ms);
	if (left_ms == 0)
		return error_set(e, ERROR_PEER_DOWN, "no time was left to ask the mail server");
	CLEANUP(url_finish) CURLU *url = curl_url(); /* ends after the handle that has it */
	CLEANUP(curl_finish) CURL *curl = curl_easy_init();
	if (!url || !curl)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	enum error_code code = smtp_server_url(&server, url, e);
	if (code)
		return code;
	if (!smtp_server_set(curl, &server, url, left_ms) ||
	    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L))
		return error_set(e, ERROR_INTERNAL, "the mail client cannot be set up");
	CURLcode result = curl_easy_perform(curl);
	if (result == CURLE_OK)
		return ERROR_NONE;
	log_warning("the mail server is not there", LOG_TEXT("reason", curl_easy_strerror(result)));
	return smtp_server_failed(result, e);
}
