/*
 * mail: composes and sends one mail.
 *
 * A mail has a text and an HTML part, which travel as multipart/alternative
 * with the attachments behind them. The text and the HTML part come from the
 * templates NAME.plain and NAME.html in TEMPLATES_DIR, NAME being "mail" unless
 * the mail names another; or the HTML part is the caller's own. Style sheets
 * in it become style attributes (mail/inline.h). The templates may use
 * {{message}}, {{subject}} and the members of data.
 *
 * All recipients get the mail, or nobody does: when the server refuses one
 * of them, for good or for now, it is not sent to the others either.
 *
 * The connection to the server is kept for the mails to come. One thread at a
 * time may send.
 */
#ifndef FLEXI_MAIL_MAIL_H
#define FLEXI_MAIL_MAIL_H

#include <stdint.h>

#include "core/error.h"
#include "core/text.h"
#include "mail/attachment.h"
#include "wire/json.h"

enum {
	/* All together. What a mail server must take at least (RFC 5321 section 4.5.3.1.8). */
	MAX_MAIL_RECIPIENTS = 100,
	MAX_MAIL_ATTACHMENTS = 32,
	MAIL_RECIPIENTS_BYTES = 320,
};

struct mail_list {
	struct text items[MAX_MAIL_RECIPIENTS];
	size_t count;
};

/* A text that is empty, or has no bytes at all, counts as not given. */
struct mail {
	struct text from;      /* an address; empty: FROM_ADDRESS */
	struct text from_name; /* empty: FROM_NAME */
	struct text reply_to;
	struct mail_list to;
	struct mail_list cc;
	struct mail_list bcc; /* get the mail, and are named nowhere in it */
	struct text subject;
	struct text message;	  /* {{message}} of the templates */
	struct text html;	  /* the HTML part, in place of a template's */
	struct text template;	  /* the name of a template */
	struct json_object *data; /* an object with values for the templates, or NULL */
	struct attachment attachments[MAX_MAIL_ATTACHMENTS];
	size_t attachment_count;
	struct text id; /* makes the Message-ID; the same for every try of one mail */
};

/*
 * Reads {"from","from_name","reply_to","to","cc","bcc","subject","message",
 * "html","template","data","attachments":[{"name","type","content"}]}. Only
 * to, subject and message must be there, message not beside a template; to, cc
 * and bcc are a string or a list of them. Other members are ignored. Borrows
 * from object.
 */
enum error_code mail_from_json(struct json_object *object, const char *where, struct mail *mail,
			       struct error *e);

/* Whom it goes to, for an answer: "a@example.org", "a@example.org and 2 more". */
void mail_recipients(const struct mail *mail, char out[MAIL_RECIPIENTS_BYTES]);

/*
 * Sends it, within MAIL_TIMEOUT_MS and before the deadline.
 *
 * ERROR_BAD_INPUT      there is no such template, or it needs a value that is missing
 * ERROR_UNPROCESSABLE  an address or a text cannot be sent (then not a byte
 *                      was), or the server refused sender, recipient or message
 *                      for good (5xx)
 * ERROR_CONFIG         a setting or a template is wrong
 * ERROR_TOO_LARGE      over MAIL_MAX_BYTES, or the templates make too much of it
 * ERROR_PEER_DOWN      the server cannot be reached, or takes no mail now: it did
 *                      not take this one
 * ERROR_DEFERRED       the server refused a recipient or the message for now (4xx)
 * ERROR_PEER_TIMEOUT   it is in doubt whether the server took it: only then may
 *                      another try double the mail
 * ERROR_PEER_ANSWER    anything else that a mail server should not answer
 */
enum error_code mail_send(const struct mail *mail, int64_t deadline_ms, struct error *e);

#endif
