/* send: sends a mail, for a caller or from a queue. */
#include "core/clock.h"
#include "core/config.h"
#include "entry/entry.h"
#include "handler/handler.h"
#include "mail/mail.h"

static struct reply send_now(struct request *rq)
{
	struct error e;
	struct json_object *body = NULL;
	struct mail mail;
	char id[ENTRY_ID_BYTES];
	char to[MAIL_RECIPIENTS_BYTES];
	if (request_body(rq).n > (size_t)config()->mail_max_bytes) {
		error_set(&e, ERROR_TOO_LARGE, "the mail is over %ld bytes (MAIL_MAX_BYTES)",
			  config()->mail_max_bytes);
		return reply_error(&e);
	}
	entry_id_new(id);
	if (request_json_object(rq, &body, &e) || mail_from_json(body, "", &mail, &e))
		return reply_error(&e);
	mail.id = text_of(id);
	if (mail_send(&mail, request_deadline(rq), &e))
		return reply_error(&e);
	mail_recipients(&mail, to);
	return reply_ok(202, "sent to %s", to);
}

static enum error_code send_item(const struct item *item, struct error *e)
{
	struct mail mail;
	enum error_code code = mail_from_json(item->payload, "mail", &mail, e);
	if (code)
		return code;
	mail.id = item->id;
	return mail_send(&mail, clock_now_ms() + config()->request_timeout_ms, e);
}

int main(void)
{
	return handler_run(
		&(struct handler){ .methods = METHOD_POST, .call = send_now, .each = send_item });
}
