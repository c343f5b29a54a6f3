/*
 * settings: what one handler's pool is told, from its command line and from
 * NAME.conf, which lies beside the program.
 *
 * NAME.conf is INI without sections:
 *
 *	workers = 4       ; how many at once, 1 to 256; default: WORKERS
 *	protocol = cgi    ; fastcgi (default), or cgi: run by fcgiwrap for each request
 *
 * An unknown setting or a wrong value is an error that names the line.
 */
#ifndef FLEXI_SPAWN_POOL_SETTINGS_H
#define FLEXI_SPAWN_POOL_SETTINGS_H

#include "core/error.h"

enum { SETTINGS_MOST_WORKERS = 256 };

enum protocol { PROTOCOL_FASTCGI, PROTOCOL_CGI };

struct pool_settings {
	int workers;
	enum protocol protocol;
};

/*
 * Reads the file over the values that *settings has; no such file is not an
 * error. On an error *settings is as it was.
 */
enum error_code pool_settings_load(const char *path, struct pool_settings *settings,
				   struct error *e);

#endif
