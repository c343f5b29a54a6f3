/*
 * message: a mail as bytes, by GMime.
 *
 * The message is multipart/alternative, text/plain before text/html, within
 * multipart/mixed if files are attached, with Date, Message-ID, Subject, From,
 * To and, where they are given, Cc and Reply-To; lines end in CRLF, no line is over
 * 998 bytes and every byte is ASCII, so that any mail server takes it (RFC
 * 5322, 2045 to 2047). Parts are encoded as their content asks for.
 */
#ifndef FLEXI_MAIL_MESSAGE_H
#define FLEXI_MAIL_MESSAGE_H

#include <stdint.h>

#include "core/buffer.h"
#include "core/error.h"
#include "core/text.h"
#include "mail/address.h"
#include "mail/attachment.h"

/* The longest Message-ID, without its < and >. */
enum { MESSAGE_ID_BYTES = 64 + 1 + MAX_ADDRESS_DOMAIN_BYTES + 1 };

struct mailbox {
	const struct address *address;
	struct text name; /* empty: the address stands alone */
};

struct message {
	struct mailbox from;
	struct mailbox reply_to; /* without an address: none */
	const struct mailbox *to;
	size_t to_count;
	const struct mailbox *cc;
	size_t cc_count;
	struct text subject;
	struct text plain;
	struct text html;
	const struct attachment *attachments; /* that have passed attachment_check */
	size_t attachment_count;
	const char *id;	 /* of message_id */
	int64_t date_ms; /* since 1970 UTC */
};

/*
 * Writes the Message-ID of the mail called id: the same for the same id and
 * domain, another for another. An id that cannot stand in a Message-ID goes
 * in as its SHA-256; an empty one as a random UUID.
 */
void message_id(struct text id, const struct address_domain *domain, char out[MESSAGE_ID_BYTES]);

/*
 * Appends the message to *out. Header texts are checked as above, parts must
 * be UTF-8 without control characters other than tab and newlines:
 * ERROR_UNPROCESSABLE if not, and nothing is appended.
 */
enum error_code message_write(const struct message *m, struct buffer *out, struct error *e);

#endif
