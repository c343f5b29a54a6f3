/* header: checks texts before they reach a header. */
#include "mail/header.h"

#include <glib.h>

static bool is_control(gunichar c)
{
	return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029;
}

enum error_code header_check(struct text value, const char *what, struct error *e)
{
	if (value.n > MAX_HEADER_TEXT_BYTES)
		return error_set(e, ERROR_UNPROCESSABLE, "%s: longer than %d bytes", what,
				 MAX_HEADER_TEXT_BYTES);
	if (!g_utf8_validate(value.s, (gssize)value.n, NULL))
		return error_set(e, ERROR_UNPROCESSABLE, "%s: not UTF-8", what);
	for (const char *c = value.s; c < value.s + value.n; c = g_utf8_next_char(c)) {
		if (is_control(g_utf8_get_char(c)))
			return error_set(e, ERROR_UNPROCESSABLE,
					 "%s: must be one line without control characters", what);
	}
	return ERROR_NONE;
}
