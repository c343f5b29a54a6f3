/* notify: one datagram. */
#include "daemon/notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/config.h"
#include "core/log.h"

void notify_systemd(const char *state)
{
	const char *path = config()->notify_socket;
	size_t n = strlen(path);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (n == 0)
		return;
	if (n > sizeof(address.sun_path)) {
		log_warning("NOTIFY_SOCKET is too long for a socket's address");
		return;
	}
	memcpy(address.sun_path, path, n);
	if (address.sun_path[0] == '@') /* no file: a name that only the kernel keeps */
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL,
			     (const struct sockaddr *)&address, size) < 0)
		log_warning("systemd cannot be told", LOG_TEXT("state", state), LOG_ERRNO(errno));
	if (fd >= 0)
		close(fd);
}
