/* mail: from what a caller asks for to a message on its way. */
#include "mail/mail.h"

#include <json-c/linkhash.h>
#include <stdio.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/config.h"
#include "mail/blame.h"
#include "mail/envelope.h"
#include "mail/inline.h"
#include "mail/message.h"
#include "mail/smtp.h"
#include "mail/template.h"

/* The values that the templates may use. On success the caller puts *out back. */
static enum error_code template_values(const struct mail *mail, struct json_object **out,
				       struct error *e)
{
	CLEANUP(json_put) struct json_object *values = json_object_new_object();
	bool failed = !values || json_add_text(values, "subject", mail->subject) ||
		      (mail->message.s && json_add_text(values, "message", mail->message));
	struct lh_entry *member;
	if (!failed && mail->data) {
		lh_foreach(json_object_get_object(mail->data), member)
		{
			struct json_object *value = (struct json_object *)lh_entry_v(member);
			failed |= json_object_object_add(values, lh_entry_k(member),
							 json_object_get(value)) != 0;
		}
	}
	if (failed)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	*out = values;
	values = NULL;
	return ERROR_NONE;
}

/* Renders the template NAME.KIND, the stock one if the mail names none. */
static enum error_code render(const struct mail *mail, const char *kind, struct json_object *values,
			      struct buffer *out, struct error *e)
{
	bool own = mail->template.n > 0;
	char name[MAX_TEMPLATE_NAME_BYTES + 1];
	if (mail->template.n + strlen(kind) >= sizeof(name))
		return error_set(e, ERROR_BAD_INPUT, "template: not the name of one");
	snprintf(name, sizeof(name), "%s%s", own ? mail->template.s : "mail", kind);
	enum error_code code = template_render_file(name, values, out, e);
	return own ? code : blame_settings(code, e);
}

/* Writes both parts. */
static enum error_code write_parts(const struct mail *mail, struct buffer *plain,
				   struct buffer *html, struct error *e)
{
	CLEANUP(json_put) struct json_object *values = NULL;
	CLEANUP(buffer_finish) struct buffer page = { 0 };
	enum error_code code;
	if ((code = template_values(mail, &values, e)) ||
	    (code = render(mail, ".plain", values, plain, e)))
		return code;
	if (mail->html.n > 0)
		return inline_styles(mail->html, "html", html, e);
	if ((code = render(mail, ".html", values, &page, e)))
		return code;
	return inline_styles(buffer_text(&page), "html", html, e);
}

static enum error_code compose(const struct mail *mail, const struct envelope *envelope,
			       const char *id, struct buffer *out, struct error *e)
{
	CLEANUP(buffer_finish) struct buffer plain = { 0 };
	CLEANUP(buffer_finish) struct buffer html = { 0 };
	enum error_code code = write_parts(mail, &plain, &html, e);
	if (code)
		return code;
	struct message message = {
		.from = envelope->from_box,
		.reply_to = envelope->reply_box,
		.to = envelope->boxes,
		.to_count = mail->to.count,
		.cc = envelope->boxes + mail->to.count,
		.cc_count = mail->cc.count,
		.subject = mail->subject,
		.plain = buffer_text(&plain),
		.html = buffer_text(&html),
		.attachments = mail->attachments,
		.attachment_count = mail->attachment_count,
		.id = id,
		.date_ms = clock_wall_ms(),
	};
	return message_write(&message, out, e);
}

static enum error_code deliver(const struct smtp_envelope *envelope,
			       const struct address_domain *domain, struct text message,
			       int64_t deadline_ms, struct error *e)
{
	struct smtp_server server = smtp_server_configured(domain->text);
	return smtp_send(&server, envelope, message, deadline_ms, e);
}

enum error_code mail_send(const struct mail *mail, int64_t deadline_ms, struct error *e)
{
	CLEANUP(buffer_finish) struct buffer message = { 0 };
	struct envelope envelope;
	struct address_domain domain;
	char id[MESSAGE_ID_BYTES];
	enum error_code code;
	int64_t patience_ms = clock_now_ms() + config()->mail_timeout_ms;
	if (patience_ms < deadline_ms)
		deadline_ms = patience_ms;
	if ((code = envelope_read(mail, &envelope, e)) ||
	    (code = blame_settings(address_domain_parse(text_of(config()->mail_domain),
							"MAIL_DOMAIN", &domain, e),
				   e)))
		return code;
	message_id(mail->id, &domain, id);
	if ((code = compose(mail, &envelope, id, &message, e)))
		return code;
	struct smtp_envelope smtp = { &envelope.from, envelope.to, envelope.to_count, id };
	return deliver(&smtp, &domain, buffer_text(&message), deadline_ms, e);
}
