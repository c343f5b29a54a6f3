/*
 * envelope: the addresses of a mail, and whether the mail may travel.
 */
#ifndef FLEXI_MAIL_ENVELOPE_H
#define FLEXI_MAIL_ENVELOPE_H

#include "mail/address.h"
#include "mail/mail.h"
#include "mail/message.h"

struct envelope {
	struct address from, reply_to;
	struct address recipients[MAX_MAIL_RECIPIENTS]; /* of to, cc and bcc, in this order */
	size_t count;
	/* For the headers; names are borrowed from the mail and the settings. */
	struct mailbox from_box, reply_box; /* reply_box.address is NULL if there is none */
	struct mailbox boxes[MAX_MAIL_RECIPIENTS];
	/* For the server: each recipient once. */
	const struct address *to[MAX_MAIL_RECIPIENTS];
	size_t to_count;
};

/*
 * Fills *envelope, which points into itself and must stay where it is, if
 * everything in the mail may travel that depends neither on templates nor on a
 * server: addresses, names, subject, attachments (otherwise
 * ERROR_UNPROCESSABLE, with a sentence that begins with the member's name), and
 * its size (ERROR_TOO_LARGE, over MAIL_MAX_BYTES).
 */
enum error_code envelope_read(const struct mail *mail, struct envelope *envelope, struct error *e);

#endif
