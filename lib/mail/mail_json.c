/* mail_json: a mail as a caller, or a queue, describes it. */
#include "mail/mail.h"

#include <stdio.h>

#include "mail/address.h"

/* Fails with "WHERE.NAME: sentence". */
static enum error_code fault(struct error *e, const char *where, const char *name,
			     const char *sentence)
{
	return error_set(e, ERROR_BAD_INPUT, "%s%s%s: %s", where, *where ? "." : "", name,
			 sentence);
}

static struct text string_of(struct json_object *value)
{
	return (struct text){ json_object_get_string(value),
			      (size_t)json_object_get_string_len(value) };
}

/* Reads a string or a list of strings; "" and a missing member are no address. */
static enum error_code read_list(struct json_object *object, const char *where, const char *name,
				 struct mail_list *list, struct error *e)
{
	static const char wrong[] = "must be a string or a list of strings";
	struct json_object *value = NULL;
	if (!json_object_object_get_ex(object, name, &value))
		return ERROR_NONE;
	if (json_object_is_type(value, json_type_string)) {
		list->items[0] = string_of(value);
		list->count = list->items[0].n > 0;
		return ERROR_NONE;
	}
	if (!json_object_is_type(value, json_type_array))
		return fault(e, where, name, wrong);
	size_t count = json_object_array_length(value);
	if (count > MAX_MAIL_RECIPIENTS)
		return fault(e, where, name, "more than 100 addresses");
	for (size_t i = 0; i < count; i++) {
		struct json_object *item = json_object_array_get_idx(value, i);
		if (!json_object_is_type(item, json_type_string))
			return fault(e, where, name, wrong);
		list->items[list->count++] = string_of(item);
	}
	return ERROR_NONE;
}

static enum error_code read_recipients(struct json_object *object, const char *where,
				       struct mail *mail, struct error *e)
{
	enum error_code code;
	struct json_object *to = NULL;
	if (!json_object_object_get_ex(object, "to", &to))
		return fault(e, where, "to", "is missing");
	if ((code = read_list(object, where, "to", &mail->to, e)) ||
	    (code = read_list(object, where, "cc", &mail->cc, e)) ||
	    (code = read_list(object, where, "bcc", &mail->bcc, e)))
		return code;
	if (mail->to.count + mail->cc.count + mail->bcc.count > MAX_MAIL_RECIPIENTS)
		return fault(e, where, "to", "more than 100 addresses with cc and bcc");
	return ERROR_NONE;
}

static enum error_code read_attachments(struct json_object *object, const char *where,
					struct mail *mail, struct error *e)
{
	struct json_object *list = NULL;
	enum error_code code = ERROR_NONE;
	if (!json_object_object_get_ex(object, "attachments", &list))
		return ERROR_NONE;
	if (!json_object_is_type(list, json_type_array))
		return fault(e, where, "attachments", "must be a list");
	size_t count = json_object_array_length(list);
	if (count > MAX_MAIL_ATTACHMENTS)
		return fault(e, where, "attachments", "more than 32");
	for (size_t i = 0; !code && i < count; i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		struct attachment *a = &mail->attachments[mail->attachment_count++];
		char path[64];
		snprintf(path, sizeof(path), "%s%sattachments[%zu]", where, *where ? "." : "", i);
		if ((code = json_must_be_object(item, path, e)) ||
		    (code = json_string(item, path, "name", JSON_REQUIRED, &a->name, e)) ||
		    (code = json_string(item, path, "type", JSON_OPTIONAL, &a->type, e)))
			break;
		code = json_string(item, path, "content", JSON_REQUIRED, &a->content, e);
	}
	return code;
}

/* Reads what makes the two parts. */
static enum error_code read_content(struct json_object *object, const char *where,
				    struct mail *mail, struct error *e)
{
	enum error_code code;
	struct json_object *data = NULL;
	if ((code = json_string(object, where, "subject", JSON_REQUIRED, &mail->subject, e)) ||
	    (code = json_string(object, where, "html", JSON_OPTIONAL, &mail->html, e)) ||
	    (code = json_string(object, where, "template", JSON_OPTIONAL, &mail->template, e)))
		return code;
	enum json_presence message = mail->template.n > 0 ? JSON_OPTIONAL : JSON_REQUIRED;
	if ((code = json_string(object, where, "message", message, &mail->message, e)))
		return code;
	if (mail->html.n > 0 && mail->template.n > 0)
		return fault(e, where, "html", "not together with a template");
	if (json_object_object_get_ex(object, "data", &data))
		return json_member(object, where, "data", &mail->data, e);
	return ERROR_NONE;
}

enum error_code mail_from_json(struct json_object *object, const char *where, struct mail *mail,
			       struct error *e)
{
	enum error_code code;
	*mail = (struct mail){ 0 };
	if ((code = json_must_be_object(object, where, e)) ||
	    (code = json_string(object, where, "from", JSON_OPTIONAL, &mail->from, e)) ||
	    (code = json_string(object, where, "from_name", JSON_OPTIONAL, &mail->from_name, e)) ||
	    (code = json_string(object, where, "reply_to", JSON_OPTIONAL, &mail->reply_to, e)) ||
	    (code = read_recipients(object, where, mail, e)) ||
	    (code = read_content(object, where, mail, e)))
		return code;
	return read_attachments(object, where, mail, e);
}

void mail_recipients(const struct mail *mail, char out[MAIL_RECIPIENTS_BYTES])
{
	const struct mail_list *to = &mail->to;
	struct text first = to->count > 0 ? to->items[0] : text_of("");
	char more[32] = "";
	if (to->count > 1)
		snprintf(more, sizeof(more), " and %zu more", to->count - 1);
	snprintf(out, MAIL_RECIPIENTS_BYTES, "%.*s%s", MAX_ADDRESS_BYTES, first.n ? first.s : "",
		 more);
}
