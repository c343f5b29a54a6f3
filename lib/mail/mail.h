/*
 * mail: composes and sends one mail.
 *
 * The text and the HTML part come from the templates mail.plain and mail.html
 * in TEMPLATES_DIR; the message travels as multipart/alternative over SMTP.
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
	struct text message; /* what the templates call {{message}} */
	struct text id;	     /* makes the Message-ID; the same for every try of one mail */
};

/* Reads {"from","to","subject","message"}; from may be missing. Borrows from object. */
enum error_code mail_from_json(struct json_object *object, const char *where, struct mail *mail,
			       struct error *e);

/*
 * Sends it. ERROR_UNPROCESSABLE before a byte is sent if an address or a header
 * cannot be, and for a recipient that the server refuses for good (5xx);
 * ERROR_PEER_DOWN if the server cannot be reached or refuses for now (4xx);
 * ERROR_PEER_TIMEOUT if it is in doubt whether the server took it;
 * ERROR_PEER_ANSWER for anything else that the server should not answer.
 */
enum error_code mail_send(const struct mail *mail, int64_t deadline_ms, struct error *e);

#endif
