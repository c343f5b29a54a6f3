/* mail_server: whether the mail server is there, without sending a mail. */
#ifndef FLEXI_MAIL_MAIL_SERVER_H
#define FLEXI_MAIL_MAIL_SERVER_H

#include <stdint.h>

#include "core/error.h"

/*
 * Connects to MAIL_HOST, is greeted, greets, begins TLS where MAIL_ENCRYPTION
 * says so, and leaves. It does not log in: a server may count that. What fails is
 * told as smtp_send tells it.
 */
enum error_code mail_server_check(int64_t deadline_ms, struct error *e);

#endif
