/* worker: fork and exec; libuv's own way of it cannot have the child die with its parent. */
#include "pool_worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/log.h"

enum { EXIT_CANNOT_RUN = 127, FIRST_OTHER_FD = 3 };

static void default_signals(void)
{
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL); /* fails for the few that cannot be changed */
}

static void become(const struct worker_command *command, pid_t pool)
{
	default_signals();
	/* What lets the front door bind low ports is not for programs that anybody dropped in. */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* It survives exec. If the pool died before this call, nobody would send the signal. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != pool)
		_exit(0);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close_range(FIRST_OTHER_FD, ~0U, 0);
	execv(command->program, command->arguments);
	log_error("the program cannot be run", LOG_TEXT("file", command->program),
		  LOG_ERRNO(errno));
	_exit(EXIT_CANNOT_RUN);
}

pid_t worker_start(const struct worker_command *command)
{
	sigset_t all;
	sigset_t before;
	pid_t pool = getpid();
	/* A signal between fork and exec would reach the loop's handler, which writes to our own pipe. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork();
	if (pid == 0)
		become(command, pool);
	int saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return pid;
}
