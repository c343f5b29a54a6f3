/*
 * address: a mail address that may stand in an envelope and in a header.
 *
 * Much stricter than RFC 5321 section 4.1.2, because what passes here reaches
 * the mail server as it is: the part before the @ is a dot-atom of ASCII (no
 * quoted strings), the part after it a domain name (no address literals, no
 * trailing dot) of one label or more. There is no display name, no space, no
 * comment, no second address. So a struct address holds no byte that could end
 * a command or a header, or begin another one.
 *
 * A domain is put in small letters, and one in another script into ASCII by
 * IDNA 2003, which is what GLib has. Where IDNA 2008 would name another domain
 * (sharp s, final sigma, the joiners) it is refused, never guessed at.
 */
#ifndef FLEXI_MAIL_ADDRESS_H
#define FLEXI_MAIL_ADDRESS_H

#include "core/error.h"
#include "core/text.h"

/* RFC 5321 section 4.5.3.1: a path is 256 octets with its < and >; a domain is 255. */
enum {
	MAX_ADDRESS_BYTES = 254,
	MAX_ADDRESS_LOCAL_BYTES = 64,
	MAX_ADDRESS_DOMAIN_BYTES = 255,
};

struct address {
	char text[MAX_ADDRESS_BYTES + 1]; /* ASCII only */
};

struct address_domain {
	char text[MAX_ADDRESS_DOMAIN_BYTES + 1]; /* ASCII only */
};

/*
 * Fills *out if and only if in is an address; otherwise ERROR_UNPROCESSABLE
 * with a sentence that begins with `what` ("to: not an address: …") and never
 * repeats the input.
 */
enum error_code address_parse(struct text in, const char *what, struct address *out,
			      struct error *e);

/* The same for a domain name alone ("MAIL_DOMAIN: not a domain name: …"). */
enum error_code address_domain_parse(struct text in, const char *what, struct address_domain *out,
				     struct error *e);

#endif
