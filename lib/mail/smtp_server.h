/*
 * smtp_server: where the mail server is, how libcurl is brought to it, and what
 * it means when it does not get there.
 */
#ifndef FLEXI_MAIL_SMTP_SERVER_H
#define FLEXI_MAIL_SMTP_SERVER_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/config.h"
#include "core/error.h"

struct smtp_server {
	const char *host; /* a name, an IPv4 or an IPv6 address */
	long port;
	enum mail_encryption encryption; /* TLS is always verified, STARTTLS never optional */
	const char *ca_file;		 /* what TLS is verified against */
	const char *username;		 /* "": no authentication; otherwise it must succeed */
	const char *password;
	const char *greeting; /* what EHLO says: a domain name in ASCII */
};

/* The one of MAIL_HOST, MAIL_PORT and so on. */
struct smtp_server smtp_server_configured(const char *greeting);

/* Makes url, which is empty, the server's. ERROR_CONFIG names the setting. */
enum error_code smtp_server_url(const struct smtp_server *server, CURLU *url, struct error *e);

/*
 * Sets on c all that does not depend on a mail; url and the server's strings must
 * stay until the transfer is over. Returns whether libcurl took it.
 */
bool smtp_server_set(CURL *c, const struct smtp_server *server, CURLU *url, long left_ms);

/*
 * What result means where no reply of the server explains it, and nothing was
 * handed over whole:
 *
 * ERROR_PEER_DOWN    not reached, no answer in time, gone
 * ERROR_PEER_ANSWER  no STARTTLS or AUTH where one is needed, a login or a
 *                    certificate that is not accepted, no SMTP
 */
enum error_code smtp_server_failed(CURLcode result, struct error *e);

/*
 * Whether the configured server is there, without sending a mail: connects, is
 * greeted, greets, begins TLS where MAIL_ENCRYPTION says so, and leaves. It does
 * not log in: a server may count that.
 */
enum error_code smtp_server_check(int64_t deadline_ms, struct error *e);

#endif
