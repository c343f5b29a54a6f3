/*
 * worker: how one process of a handler is started.
 *
 * It has the listening socket on fd 0, our standard output and error, and no
 * other descriptor; default signal handling with nothing blocked; SIGTERM when
 * its pool dies.
 */
#ifndef FLEXI_SPAWN_POOL_WORKER_H
#define FLEXI_SPAWN_POOL_WORKER_H

#include <sys/types.h>

struct worker_command {
	const char *program;	/* the file to execute */
	char *const *arguments; /* argv, the handler's name first */
};

/* Starts a worker and returns its pid; -1 with errno set if there is no new process. */
pid_t worker_start(const struct worker_command *command);

#endif
