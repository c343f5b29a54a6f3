/* message: checks what goes into a mail, and has GMime write it. */
#include "mail/message.h"

#include <gmime/gmime.h>
#include <string.h>

#include "mail/header.h"

/* The longest encoded word is 75 characters (RFC 2047 section 2): 12 frame 63, which hold 45 bytes.
 */
enum { ENCODED_WORD_BYTES = 45, MAX_WORD_BYTES = 60, MAX_ID_TEXT_BYTES = 64 };

static enum error_code check_part(struct text part, const char *what, struct error *e)
{
	if (!g_utf8_validate(part.s, (gssize)part.n, NULL))
		return error_set(e, ERROR_UNPROCESSABLE, "%s: not UTF-8", what);
	for (size_t i = 0; i < part.n; i++) {
		unsigned char c = (unsigned char)part.s[i];
		if ((c < 0x20 && !strchr("\t\r\n", c)) || c == 0x7F)
			return error_set(e, ERROR_UNPROCESSABLE,
					 "%s: must have no control characters", what);
	}
	return ERROR_NONE;
}

void message_id(struct text id, const struct address_domain *domain, char out[MESSAGE_ID_BYTES])
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	g_autofree char *made = NULL;
	if (id.n == 0)
		made = g_uuid_string_random();
	else if (id.n > MAX_ID_TEXT_BYTES || strspn(id.s, plain) < id.n)
		made = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)id.s, id.n);
	else
		made = g_strndup(id.s, id.n);
	g_snprintf(out, MESSAGE_ID_BYTES, "%s@%s", made, domain->text);
}

/*
 * Whether a text must go as encoded words: because it is not ASCII; because
 * it, or a part, could be taken for one; because of blanks that folding loses;
 * because a word would make too long a line.
 */
static bool needs_encoding(struct text t)
{
	size_t word = 0;
	char last = ' ';
	for (size_t i = 0; i < t.n; i++) {
		char c = t.s[i];
		bool blanks = c == ' ' && last == ' ';
		bool marks = (c == '?' && last == '=') || (c == '=' && last == '?');
		word = c == ' ' ? 0 : word + 1;
		if ((unsigned char)c >= 0x80 || blanks || marks || word > MAX_WORD_BYTES)
			return true;
		last = c;
	}
	return t.n > 0 && last == ' ';
}

/* Writes text as encoded words (RFC 2047), each of whole characters. */
static char *encode_words(struct text t)
{
	GString *out = g_string_new(NULL);
	const char *end = t.s + t.n;
	for (const char *start = t.s; start < end;) {
		const char *stop = start;
		while (stop < end && g_utf8_next_char(stop) - start <= ENCODED_WORD_BYTES)
			stop = g_utf8_next_char(stop);
		g_autofree char *word =
			g_base64_encode((const guchar *)start, (gsize)(stop - start));
		g_string_append_printf(out, "%s=?utf-8?b?%s?=", out->len ? " " : "", word);
		start = stop;
	}
	return g_string_free(out, FALSE);
}

/* The text as it is to be handed to GMime; freed with g_free. */
static char *header_text(struct text t, bool encode)
{
	return encode || needs_encoding(t) ? encode_words(t) : g_strndup(t.s, t.n);
}

static void add_mailbox(GMimeMessage *message, GMimeAddressType type, const struct mailbox *m)
{
	/* GMime folds a long quoted string with a tab, which becomes part of the name. */
	bool is_long = m->name.n > MAX_WORD_BYTES;
	g_autofree char *name = m->name.n > 0 ? header_text(m->name, is_long) : NULL;
	InternetAddress *address = internet_address_mailbox_new(name, m->address->text);
	internet_address_set_charset(address, "utf-8");
	internet_address_list_add(g_mime_message_get_addresses(message, type), address);
	g_object_unref(address);
}

/* The text with each line end, CRLF, CR or LF, as CRLF: a lone CR may not travel (RFC 5321 2.3.8).
 */
static GMimeStream *with_crlf(struct text t)
{
	GByteArray *bytes = g_byte_array_sized_new((guint)(t.n + t.n / 16));
	const char *end = t.s + t.n;
	for (const char *at = t.s; at < end;) {
		const char *stop = at;
		while (stop < end && *stop != '\r' && *stop != '\n')
			stop++;
		g_byte_array_append(bytes, (const guint8 *)at, (guint)(stop - at));
		if (stop == end)
			break;
		g_byte_array_append(bytes, (const guint8 *)"\r\n", 2);
		at = stop + (end - stop >= 2 && stop[0] == '\r' && stop[1] == '\n' ? 2 : 1);
	}
	return g_mime_stream_mem_new_with_byte_array(bytes);
}

/* Takes stream over. */
static void set_content(GMimePart *part, GMimeStream *stream)
{
	GMimeDataWrapper *wrapper =
		g_mime_data_wrapper_new_with_stream(stream, GMIME_CONTENT_ENCODING_DEFAULT);
	g_mime_part_set_content(part, wrapper);
	g_object_unref(wrapper);
	g_object_unref(stream);
}

static void add_part(GMimeMultipart *parent, const char *subtype, struct text content)
{
	GMimePart *part = g_mime_part_new_with_type("text", subtype);
	g_mime_object_set_content_type_parameter(GMIME_OBJECT(part), "charset", "utf-8");
	set_content(part, with_crlf(content));
	g_mime_part_set_content_encoding(
		part, g_mime_part_get_best_content_encoding(part, GMIME_ENCODING_CONSTRAINT_7BIT));
	g_mime_multipart_add(parent, GMIME_OBJECT(part));
	g_object_unref(part);
}

/* Names the file, in UTF-8 as RFC 2231 has it. */
static void set_file_name(GMimePart *part, struct text name)
{
	g_autofree char *copy = g_strndup(name.s, name.n);
	GMimeContentDisposition *disposition = g_mime_content_disposition_new();
	g_mime_content_disposition_set_disposition(disposition, GMIME_DISPOSITION_ATTACHMENT);
	g_mime_content_disposition_set_parameter(disposition, "filename", copy);
	GMimeParam *param = g_mime_param_list_get_parameter(
		g_mime_content_disposition_get_parameters(disposition), "filename");
	g_mime_param_set_charset(param, "utf-8");
	g_mime_param_set_encoding_method(param, GMIME_PARAM_ENCODING_METHOD_RFC2231);
	g_mime_object_set_content_disposition(GMIME_OBJECT(part), disposition);
	g_object_unref(disposition);
}

static void add_attachment(GMimeMultipart *parent, const struct attachment *a)
{
	struct text type = attachment_type(a);
	g_autofree char *first = g_ascii_strdown(type.s, (gssize)type.n);
	char *second = strchr(first, '/');
	*second++ = '\0';
	CLEANUP(buffer_finish) struct buffer bytes = { 0 };
	attachment_decode(a, &bytes);
	GMimePart *part = g_mime_part_new_with_type(first, second);
	set_file_name(part, a->name);
	set_content(part,
		    g_mime_stream_mem_new_with_buffer(bytes.bytes ? bytes.bytes : "", bytes.size));
	g_mime_part_set_content_encoding(part, GMIME_CONTENT_ENCODING_BASE64);
	g_mime_multipart_add(parent, GMIME_OBJECT(part));
	g_object_unref(part);
}

static void set_date(GMimeMessage *message, int64_t date_ms)
{
	GDateTime *date = g_date_time_new_from_unix_utc(date_ms / 1000);
	if (date)
		g_mime_message_set_date(message, date);
	g_clear_pointer(&date, g_date_time_unref);
}

static void add_mailboxes(GMimeMessage *message, GMimeAddressType type, const struct mailbox *list,
			  size_t count)
{
	for (size_t i = 0; i < count; i++)
		add_mailbox(message, type, &list[i]);
}

/* Both texts, and the files behind them. */
static GMimeMultipart *make_body(const struct message *m)
{
	GMimeMultipart *alternative = g_mime_multipart_new_with_subtype("alternative");
	add_part(alternative, "plain", m->plain);
	add_part(alternative, "html", m->html);
	if (m->attachment_count == 0)
		return alternative;
	GMimeMultipart *mixed = g_mime_multipart_new_with_subtype("mixed");
	g_mime_multipart_add(mixed, GMIME_OBJECT(alternative));
	g_object_unref(alternative);
	for (size_t i = 0; i < m->attachment_count; i++)
		add_attachment(mixed, &m->attachments[i]);
	return mixed;
}

static GMimeMessage *compose(const struct message *m)
{
	GMimeMessage *message = g_mime_message_new(TRUE);
	g_autofree char *subject = header_text(m->subject, false);
	add_mailbox(message, GMIME_ADDRESS_TYPE_FROM, &m->from);
	if (m->reply_to.address)
		add_mailbox(message, GMIME_ADDRESS_TYPE_REPLY_TO, &m->reply_to);
	add_mailboxes(message, GMIME_ADDRESS_TYPE_TO, m->to, m->to_count);
	add_mailboxes(message, GMIME_ADDRESS_TYPE_CC, m->cc, m->cc_count);
	g_mime_message_set_subject(message, subject, "utf-8");
	set_date(message, m->date_ms);
	g_mime_message_set_message_id(message, m->id);
	GMimeMultipart *body = make_body(m);
	g_mime_message_set_mime_part(message, GMIME_OBJECT(body));
	g_object_unref(body);
	return message;
}

/* GMime keeps tables of its own, once for the process; nothing is to be ended. */
static void initialize(void)
{
	static gsize done;
	if (g_once_init_enter(&done)) {
		g_mime_init();
		g_once_init_leave(&done, 1);
	}
}

static enum error_code check(const struct message *m, struct error *e)
{
	enum error_code code;
	if ((code = header_check(m->from.name, "from_name", e)) ||
	    (code = header_check(m->subject, "subject", e)) ||
	    (code = check_part(m->plain, "message", e)) || (code = check_part(m->html, "html", e)))
		return code;
	for (size_t i = 0; !code && i < m->to_count; i++)
		code = header_check(m->to[i].name, "to", e);
	return code;
}

enum error_code message_write(const struct message *m, struct buffer *out, struct error *e)
{
	enum error_code code = check(m, e);
	if (code)
		return code;
	initialize();
	GMimeMessage *message = compose(m);
	GByteArray *bytes = g_byte_array_new();
	GMimeStream *stream = g_mime_stream_mem_new_with_byte_array(bytes);
	GMimeFormatOptions *format = g_mime_format_options_new();
	g_mime_format_options_set_newline_format(format, GMIME_NEWLINE_FORMAT_DOS);
	if (g_mime_object_write_to_stream(GMIME_OBJECT(message), format, stream) < 0)
		code = error_set(e, ERROR_INTERNAL, "the mail could not be written");
	else
		buffer_append(out, bytes->data, bytes->len);
	if (!code && out->failed)
		code = error_set(e, ERROR_INTERNAL, "out of memory");
	g_mime_format_options_free(format);
	g_object_unref(stream);
	g_object_unref(message);
	return code;
}
