/*
 * smtp: hands one message to a mail server, by libcurl.
 *
 * The connection is kept for the next message and remade when it is gone;
 * after any failure it is given up. It belongs to the process: one thread at
 * a time may send.
 */
#ifndef FLEXI_MAIL_SMTP_H
#define FLEXI_MAIL_SMTP_H

#include <stdint.h>

#include "core/error.h"
#include "core/text.h"
#include "mail/address.h"
#include "mail/smtp_server.h"

struct smtp_envelope {
	const struct address *from;
	const struct address *const *to;
	size_t to_count;
	const char *message_id; /* for the lines of the log */
};

/*
 * Sends message (CRLF lines; dots are stuffed here) to all of envelope->to, or
 * to nobody. The sentence of an error holds what the server said, and names
 * the recipients that it refused, or as many as fit; the log has a line for each.
 * One that is refused for good makes the error one for good.
 *
 * ERROR_PEER_DOWN      not reached, no answer in time, gone, or the connection or the
 *                      sender refused for now (4xx): it did not take the message
 * ERROR_DEFERRED       a recipient or the message refused for now (4xx)
 * ERROR_UNPROCESSABLE  refused for good (5xx): the sender, a recipient or the message
 * ERROR_PEER_ANSWER    no STARTTLS or AUTH where one is needed, a login or a
 *                      certificate that is not accepted, no SMTP
 * ERROR_PEER_TIMEOUT   the message was handed over whole and no answer came:
 *                      whether the server took it is not known
 */
enum error_code smtp_send(const struct smtp_server *server, const struct smtp_envelope *envelope,
			  struct text message, int64_t deadline_ms, struct error *e);

/* Gives up the kept connection. */
void smtp_finish(void);

#endif
