/* handler: settings and log first, then FastCGI or CGI, as fd 0 says. */
#include "handler/handler.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/config.h"
#include "core/log.h"
#include "handler/exchange.h"

static bool is_listening(int fd)
{
	int listening = 0;
	socklen_t size = sizeof(listening);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening;
}

/* What is opened later must not become standard output or error: log lines would go into it. */
static void occupy_standard_descriptors(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int handler_run(const struct handler *handler)
{
	struct error e;
	occupy_standard_descriptors();
	log_init(program_invocation_short_name, LOG_LEVEL_INFO);
	if (config_load(&e)) {
		log_error("a setting is wrong", LOG_REASON(&e));
		return EXIT_FAILURE;
	}
	log_init(program_invocation_short_name, (enum log_level)config()->log_level);
	return is_listening(0) ? worker_run(handler) : cgi_run(handler);
}
