/* address: what may stand before the @, what may stand after it, and how long it may be. */
#include "mail/address.h"

#include <glib.h>
#include <string.h>

/* Beyond this nothing is looked at; an IDN grows no shorter than its ASCII form by so much. */
enum { MAX_INPUT_BYTES = 1024, MAX_LABEL_BYTES = 63 };

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* atext of RFC 5322 section 3.2.3. */
static bool is_atom_character(char c)
{
	return is_letter_or_digit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* Why these bytes cannot stand before the @, or NULL. */
static const char *local_fault(struct text local)
{
	if (local.n == 0)
		return "nothing before the @";
	if (local.n > MAX_ADDRESS_LOCAL_BYTES)
		return "more than 64 bytes before the @";
	bool empty = true;
	for (size_t i = 0; i < local.n; i++) {
		char c = local.s[i];
		if ((unsigned char)c >= 0x80)
			return "only ASCII may stand before the @";
		if (c != '.' && !is_atom_character(c))
			return "a character that may not stand before the @";
		if (c == '.' && empty)
			return "an empty part before the @";
		empty = c == '.';
	}
	return empty ? "an empty part before the @" : NULL;
}

/* Why this ASCII name cannot be a domain (letters, digits and hyphens in labels), or NULL. */
static const char *domain_fault(const char *name)
{
	size_t label = 0;
	for (const char *c = name;; c++) {
		if (*c != '.' && *c != '\0') {
			if (!is_letter_or_digit(*c) && *c != '-')
				return "a character that no domain name has";
			if (label == 0 && *c == '-')
				return "a part of the domain name begins with a hyphen";
			label++;
			continue;
		}
		if (label == 0)
			return "an empty part in the domain name";
		if (label > MAX_LABEL_BYTES)
			return "a part of the domain name is longer than 63 bytes";
		if (c[-1] == '-')
			return "a part of the domain name ends with a hyphen";
		if (*c == '\0')
			return NULL;
		label = 0;
	}
}

/* Whether IDNA 2003 and 2008 would make different names of it. */
static bool is_ambiguous(const char *name)
{
	static const gunichar differs[] = { 0x00DF, 0x1E9E, 0x03C2, 0x200C, 0x200D };
	for (const char *c = name; *c; c = g_utf8_next_char(c)) {
		for (size_t i = 0; i < G_N_ELEMENTS(differs); i++) {
			if (g_utf8_get_char(c) == differs[i])
				return true;
		}
	}
	return false;
}

/* Fills *out and returns NULL, or returns why it cannot. */
static const char *domain_to_ascii(struct text in, struct address_domain *out)
{
	if (in.n == 0)
		return "no domain name";
	if (in.n > MAX_INPUT_BYTES)
		return "the domain name is too long";
	/* Without NUL, as g_utf8_validate sees to. */
	if (!g_utf8_validate(in.s, (gssize)in.n, NULL))
		return "not UTF-8";
	g_autofree char *name = g_strndup(in.s, in.n);
	if (is_ambiguous(name))
		return "standards differ on this domain name: give it in its xn-- form";
	g_autofree char *ascii = g_hostname_to_ascii(name);
	if (!ascii)
		return "the domain name has no ASCII form";
	size_t n = strlen(ascii);
	if (n > MAX_ADDRESS_DOMAIN_BYTES)
		return "the domain name is too long";
	const char *fault = domain_fault(ascii);
	if (!fault)
		memcpy(out->text, ascii, n + 1);
	return fault;
}

/* Fills *out and returns NULL, or returns why it cannot. */
static const char *parse(struct text in, struct address *out)
{
	if (in.n == 0)
		return "empty";
	if (in.n > MAX_INPUT_BYTES)
		return "longer than 254 bytes";
	const char *at = memchr(in.s, '@', in.n);
	if (!at)
		return "no @";
	struct text local = { in.s, (size_t)(at - in.s) };
	struct text domain = { at + 1, in.n - local.n - 1 };
	if (memchr(domain.s, '@', domain.n))
		return "more than one @";
	struct address_domain ascii;
	const char *fault = local_fault(local);
	if (!fault)
		fault = domain_to_ascii(domain, &ascii);
	if (fault)
		return fault;
	size_t n = strlen(ascii.text);
	if (local.n + 1 + n > MAX_ADDRESS_BYTES)
		return "longer than 254 bytes";
	memcpy(out->text, local.s, local.n);
	out->text[local.n] = '@';
	memcpy(out->text + local.n + 1, ascii.text, n + 1);
	return NULL;
}

enum error_code address_parse(struct text in, const char *what, struct address *out,
			      struct error *e)
{
	const char *fault = parse(in, out);
	if (fault)
		return error_set(e, ERROR_UNPROCESSABLE, "%s: not an address: %s", what, fault);
	return ERROR_NONE;
}

enum error_code address_domain_parse(struct text in, const char *what, struct address_domain *out,
				     struct error *e)
{
	const char *fault = domain_to_ascii(in, out);
	if (fault)
		return error_set(e, ERROR_UNPROCESSABLE, "%s: not a domain name: %s", what, fault);
	return ERROR_NONE;
}
