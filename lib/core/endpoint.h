/* endpoint: where a daemon listens: HOST:PORT with a numeric address, an IPv6 one in brackets. */
#ifndef FLEXI_CORE_ENDPOINT_H
#define FLEXI_CORE_ENDPOINT_H

#include <sys/socket.h>

#include "core/error.h"

/* Fills *out. ERROR_CONFIG, with the name of the setting in its sentence, if text is none. */
enum error_code endpoint_read(const char *setting, const char *text, struct sockaddr_storage *out,
			      struct error *e);

#endif
