/*
 * blame: who is at fault.
 */
#ifndef FLEXI_MAIL_BLAME_H
#define FLEXI_MAIL_BLAME_H

#include "core/error.h"

/* Turns a complaint about a value into one about a setting: whoever sent the mail is not to blame. */
static inline enum error_code blame_settings(enum error_code code, struct error *e)
{
	if (code != ERROR_UNPROCESSABLE && code != ERROR_BAD_INPUT)
		return code;
	if (e)
		e->code = ERROR_CONFIG;
	return ERROR_CONFIG;
}

#endif
