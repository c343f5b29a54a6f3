/*
 * header: what may stand in a header of a mail.
 */
#ifndef FLEXI_MAIL_HEADER_H
#define FLEXI_MAIL_HEADER_H

#include "core/error.h"
#include "core/text.h"

/* The longest subject or display name. */
enum { MAX_HEADER_TEXT_BYTES = 998 };

/*
 * Whether value may be a subject, a display name or a file's name: UTF-8 of at
 * most MAX_HEADER_TEXT_BYTES in one line, without control characters. If not,
 * ERROR_UNPROCESSABLE with a sentence that begins with `what`.
 */
enum error_code header_check(struct text value, const char *what, struct error *e);

#endif
