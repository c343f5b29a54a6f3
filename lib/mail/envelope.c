/* envelope: reads and checks what comes before the message. */
#include "mail/envelope.h"

#include <stdio.h>
#include <string.h>

#include "core/config.h"
#include "mail/attachment.h"
#include "mail/blame.h"
#include "mail/header.h"

static enum error_code read_sender(const struct mail *mail, struct envelope *envelope,
				   struct error *e)
{
	enum error_code code;
	envelope->from_box = (struct mailbox){ &envelope->from, mail->from_name };
	if (mail->from.n > 0)
		code = address_parse(mail->from, "from", &envelope->from, e);
	else
		code = blame_settings(address_parse(text_of(config()->from_address), "FROM_ADDRESS",
						    &envelope->from, e),
				      e);
	if (code || (code = header_check(mail->from_name, "from_name", e)))
		return code;
	if (mail->from_name.n > 0)
		return ERROR_NONE;
	envelope->from_box.name = text_of(config()->from_name);
	return blame_settings(header_check(envelope->from_box.name, "FROM_NAME", e), e);
}

static void add_once(struct envelope *envelope, const struct address *address)
{
	for (size_t i = 0; i < envelope->to_count; i++) {
		if (strcmp(envelope->to[i]->text, address->text) == 0)
			return;
	}
	envelope->to[envelope->to_count++] = address;
}

static enum error_code read_recipients(const struct mail_list *list, const char *member,
				       struct envelope *envelope, struct error *e)
{
	enum error_code code = ERROR_NONE;
	for (size_t i = 0; !code && i < list->count; i++) {
		struct address *address = &envelope->recipients[envelope->count];
		char what[40];
		snprintf(what, sizeof(what), "%s[%zu]", member, i);
		code = address_parse(list->items[i], list->count > 1 ? what : member, address, e);
		if (code)
			break;
		envelope->boxes[envelope->count++] = (struct mailbox){ .address = address };
		add_once(envelope, address);
	}
	return code;
}

/* Reads all addresses. */
static enum error_code read_addresses(const struct mail *mail, struct envelope *envelope,
				      struct error *e)
{
	enum error_code code;
	envelope->count = envelope->to_count = 0;
	envelope->reply_box = (struct mailbox){ 0 };
	if ((code = read_sender(mail, envelope, e)))
		return code;
	if (mail->to.count == 0)
		return error_set(e, ERROR_UNPROCESSABLE, "to: not an address: empty");
	if (mail->to.count + mail->cc.count + mail->bcc.count > MAX_MAIL_RECIPIENTS)
		return error_set(e, ERROR_UNPROCESSABLE,
				 "to: more than %d addresses with cc and bcc", MAX_MAIL_RECIPIENTS);
	if ((code = read_recipients(&mail->to, "to", envelope, e)) ||
	    (code = read_recipients(&mail->cc, "cc", envelope, e)) ||
	    (code = read_recipients(&mail->bcc, "bcc", envelope, e)))
		return code;
	if (mail->reply_to.n == 0)
		return ERROR_NONE;
	envelope->reply_box.address = &envelope->reply_to;
	return address_parse(mail->reply_to, "reply_to", &envelope->reply_to, e);
}

static enum error_code check_size(const struct mail *mail, struct error *e)
{
	size_t size = mail->subject.n + mail->message.n + mail->html.n;
	size_t most = (size_t)config()->mail_max_bytes;
	for (size_t i = 0; i < mail->attachment_count; i++)
		size += mail->attachments[i].content.n;
	if (size <= most)
		return ERROR_NONE;
	return error_set(e, ERROR_TOO_LARGE, "the mail is over %zu bytes (MAIL_MAX_BYTES)", most);
}

enum error_code envelope_read(const struct mail *mail, struct envelope *envelope, struct error *e)
{
	enum error_code code;
	if ((code = check_size(mail, e)) || (code = read_addresses(mail, envelope, e)) ||
	    (code = header_check(mail->subject, "subject", e)))
		return code;
	for (size_t i = 0; !code && i < mail->attachment_count; i++) {
		char what[40];
		snprintf(what, sizeof(what), "attachments[%zu]", i);
		code = attachment_check(&mail->attachments[i], what, e);
	}
	return code;
}
