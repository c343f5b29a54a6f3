/*
 * attachment: a file that travels with a mail.
 */
#ifndef FLEXI_MAIL_ATTACHMENT_H
#define FLEXI_MAIL_ATTACHMENT_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/text.h"

enum { MAX_ATTACHMENT_NAME_BYTES = 255, MAX_ATTACHMENT_TYPE_BYTES = 127 };

struct attachment {
	struct text name;    /* of the file: one line, without a path */
	struct text type;    /* "image/png"; empty: "application/octet-stream" */
	struct text content; /* base64 (RFC 4648 section 4), padded, without blanks */
};

/*
 * Whether it can be attached; ERROR_UNPROCESSABLE with a sentence that begins
 * with `what` ("attachments[0]") and the member's name if not. multipart/… and
 * message/… are no types of files: their content may not be base64 (RFC 2046).
 */
enum error_code attachment_check(const struct attachment *a, const char *what, struct error *e);

/* The type that is written. */
struct text attachment_type(const struct attachment *a);

/* Appends the bytes of an attachment that has passed the check. */
void attachment_decode(const struct attachment *a, struct buffer *out);

#endif
