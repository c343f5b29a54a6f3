/*
 * mail: composes and sends one mail.
 *
 * The text and the HTML part come from the templates mail.plain and mail.html
 * in TEMPLATES_DIR, which may use {{message}} and {{subject}}; the message
 * travels as multipart/alternative over SMTP. One connection is kept for the
 * mails to come. One thread at a time may send.
 */
#ifndef FLEXI_MAIL_MAIL_H
#define FLEXI_MAIL_MAIL_H

#include <stdint.h>

#include "core/error.h"
#include "core/text.h"
#include "wire/json.h"

struct mail {
	struct text from;      /* an address; empty: FROM_ADDRESS */
	struct text from_name; /* empty: FROM_NAME */
	struct text to;
	struct text subject;
	struct text message; /* {{message}} of the templates */
	struct text id;	     /* makes the Message-ID; the same for every try of one mail */
};

/* Reads {"from","to","subject","message"}; from may be missing. Borrows from object. */
enum error_code mail_from_json(struct json_object *object, const char *where, struct mail *mail,
			       struct error *e);

/*
 * Sends it, within MAIL_TIMEOUT_MS and before the deadline.
 *
 * ERROR_UNPROCESSABLE  an address or a text cannot be sent (then not a byte
 *                      was), or the server refused sender, recipient or message
 *                      for good (5xx)
 * ERROR_CONFIG         a setting or a stock template is wrong
 * ERROR_TOO_LARGE      the templates make too much of it
 * ERROR_PEER_DOWN      the server cannot be reached, or takes no mail now: it did
 *                      not take this one
 * ERROR_DEFERRED       the server refused a recipient or the message for now (4xx)
 * ERROR_PEER_TIMEOUT   it is in doubt whether the server took it: only then may
 *                      another try double the mail
 * ERROR_PEER_ANSWER    anything else that a mail server should not answer
 */
enum error_code mail_send(const struct mail *mail, int64_t deadline_ms, struct error *e);

#endif
