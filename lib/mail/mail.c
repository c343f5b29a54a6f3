/* mail: from what a caller asks for to a message on its way. */
#include "mail/mail.h"

#include "core/buffer.h"
#include "core/clock.h"
#include "core/config.h"
#include "mail/address.h"
#include "mail/inline.h"
#include "mail/message.h"
#include "mail/smtp.h"
#include "mail/template.h"

enum error_code mail_from_json(struct json_object *object, const char *where, struct mail *mail,
			       struct error *e)
{
	enum error_code code;
	*mail = (struct mail){ 0 };
	if ((code = json_must_be_object(object, where, e)) ||
	    (code = json_string(object, where, "from", JSON_OPTIONAL, &mail->from, e)) ||
	    (code = json_string(object, where, "to", JSON_REQUIRED, &mail->to, e)) ||
	    (code = json_string(object, where, "subject", JSON_REQUIRED, &mail->subject, e)) ||
	    (code = json_string(object, where, "message", JSON_REQUIRED, &mail->message, e)))
		return code;
	return ERROR_NONE;
}

/* Turns any complaint into one about a setting: whoever sent the mail is not to blame. */
static enum error_code blame_settings(enum error_code code, struct error *e)
{
	if (code != ERROR_UNPROCESSABLE && code != ERROR_BAD_INPUT)
		return code;
	if (e)
		e->code = ERROR_CONFIG;
	return ERROR_CONFIG;
}

static enum error_code sender(const struct mail *mail, struct address *address,
			      struct mailbox *mailbox, struct error *e)
{
	enum error_code code;
	*mailbox = (struct mailbox){ address, mail->from_name };
	if (mail->from.n > 0)
		code = address_parse(mail->from, "from", address, e);
	else
		code = blame_settings(
			address_parse(text_of(config()->from_address), "FROM_ADDRESS", address, e),
			e);
	if (code || mailbox->name.n > 0)
		return code;
	mailbox->name = text_of(config()->from_name);
	return blame_settings(message_check_header(mailbox->name, "FROM_NAME", e), e);
}

/* The values that the templates may use. On success the caller puts *out back. */
static enum error_code template_values(const struct mail *mail, struct json_object **out,
				       struct error *e)
{
	CLEANUP(json_put) struct json_object *values = json_object_new_object();
	if (!values || json_add_text(values, "subject", mail->subject) ||
	    json_add_text(values, "message", mail->message))
		return error_set(e, ERROR_INTERNAL, "out of memory");
	*out = values;
	values = NULL;
	return ERROR_NONE;
}

/* Writes both parts, from the stock templates. */
static enum error_code render(const struct mail *mail, struct buffer *plain, struct buffer *html,
			      struct error *e)
{
	CLEANUP(json_put) struct json_object *values = NULL;
	enum error_code code = template_values(mail, &values, e);
	if (code)
		return code;
	if ((code = template_render_file("mail.plain", values, plain, e)) ||
	    (code = template_render_file("mail.html", values, html, e)))
		return blame_settings(code, e);
	return ERROR_NONE;
}

static enum error_code compose(const struct mail *mail, const struct mailbox *from,
			       const struct mailbox *to, const char *id, struct buffer *out,
			       struct error *e)
{
	CLEANUP(buffer_finish) struct buffer plain = { 0 };
	CLEANUP(buffer_finish) struct buffer page = { 0 };
	CLEANUP(buffer_finish) struct buffer html = { 0 };
	enum error_code code = render(mail, &plain, &page, e);
	if (code || (code = inline_styles(buffer_text(&page), "mail.html", &html, e)))
		return code;
	struct message message = {
		.from = *from,
		.to = to,
		.to_count = 1,
		.subject = mail->subject,
		.plain = buffer_text(&plain),
		.html = buffer_text(&html),
		.id = id,
		.date_ms = clock_wall_ms(),
	};
	return message_write(&message, out, e);
}

static enum error_code deliver(const struct smtp_envelope *envelope,
			       const struct address_domain *domain, struct text message,
			       int64_t deadline_ms, struct error *e)
{
	const struct config *c = config();
	struct smtp_server server = {
		.host = c->mail_host,
		.port = c->mail_port,
		.encryption = (enum mail_encryption)c->mail_encryption,
		.ca_file = c->tls_ca_file,
		.username = c->mail_username,
		.password = c->mail_password,
		.greeting = domain,
	};
	return smtp_send(&server, envelope, message, deadline_ms, e);
}

enum error_code mail_send(const struct mail *mail, int64_t deadline_ms, struct error *e)
{
	CLEANUP(buffer_finish) struct buffer message = { 0 };
	struct address sender_address, recipient;
	const struct address *recipients[] = { &recipient };
	struct address_domain domain;
	struct mailbox from;
	struct mailbox to = { .address = &recipient };
	char id[MESSAGE_ID_BYTES];
	enum error_code code;
	int64_t patience_ms = clock_now_ms() + config()->mail_timeout_ms;
	if (patience_ms < deadline_ms)
		deadline_ms = patience_ms;
	if ((code = sender(mail, &sender_address, &from, e)) ||
	    (code = address_parse(mail->to, "to", &recipient, e)) ||
	    (code = blame_settings(address_domain_parse(text_of(config()->mail_domain),
							"MAIL_DOMAIN", &domain, e),
				   e)))
		return code;
	message_id(mail->id, &domain, id);
	if ((code = compose(mail, &from, &to, id, &message, e)))
		return code;
	struct smtp_envelope envelope = { &sender_address, recipients, 1, id };
	return deliver(&envelope, &domain, buffer_text(&message), deadline_ms, e);
}
