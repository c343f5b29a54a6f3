/* endpoint: addresses as they are written in settings. */
#include "core/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What stands between the brackets, or before the colon; false if it is too long or not there. */
static bool cut_host(const char *text, const char *colon, char host[INET6_ADDRSTRLEN],
		     bool *bracketed)
{
	*bracketed = *text == '[';
	const char *end = *bracketed ? colon - 1 : colon;
	text += *bracketed;
	if (end <= text || end - text >= INET6_ADDRSTRLEN || (*bracketed && *end != ']'))
		return false;
	memcpy(host, text, (size_t)(end - text));
	host[end - text] = '\0';
	return true;
}

static bool read_port(const char *text, uint16_t *port)
{
	size_t digits = strspn(text, "0123456789");
	long number = strtol(text, NULL, 10);
	if (digits == 0 || digits > 5 || text[digits] || number < 1 || number > UINT16_MAX)
		return false;
	*port = htons((uint16_t)number);
	return true;
}

enum error_code endpoint_read(const char *setting, const char *text, struct sockaddr_storage *out,
			      struct error *e)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	char host[INET6_ADDRSTRLEN];
	bool bracketed = false;
	uint16_t port = 0;
	memset(out, 0, sizeof(*out));
	const char *colon = strrchr(text, ':');
	bool ok = colon && cut_host(text, colon, host, &bracketed) && read_port(colon + 1, &port);
	if (ok && bracketed && inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		return ERROR_NONE;
	}
	if (ok && !bracketed && inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = port;
		return ERROR_NONE;
	}
	return error_set(e, ERROR_CONFIG, "%s: must be ADDRESS:PORT or [ADDRESS]:PORT, not '%s'",
			 setting, text);
}
