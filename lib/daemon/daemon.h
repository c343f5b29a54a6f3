/*
 * daemon: what every long-running program does alike: settings and log first,
 * then a libuv loop until SIGTERM or SIGINT, readiness told on descriptor 3,
 * its status to who asks (status.h), and an end that begins STOP_DELAY_MS later
 * and waits DRAIN_TIMEOUT_MS for what is under way, and no longer.
 *
 *	int main(void)
 *	{
 *		return daemon_run(&(struct daemon){ .name = "x-logd", .start = start, .stop = stop });
 *	}
 */
#ifndef FLEXI_DAEMON_DAEMON_H
#define FLEXI_DAEMON_DAEMON_H

#include <uv.h>

#include "core/error.h"

struct daemon {
	const char *name;

	/* Opens what the daemon needs, on loop. On error the program ends. */
	enum error_code (*start)(uv_loop_t *loop, struct error *e);

	/* Called once, after SIGTERM or SIGINT: takes nothing more, and sees to it that
	 * daemon_end is called when nothing is under way any more. */
	void (*stop)(void);

	/* Called at SIGHUP, unless it is stopping; NULL: SIGHUP is ignored. */
	void (*reload)(void);

	/* What the log says when DRAIN_TIMEOUT_MS is over and something is still under way. */
	const char *gave_up;
};

/*
 * Runs until daemon_end. Returns the exit status: 0 after an ordered stop, 100
 * if a setting is wrong, 111 if it cannot work now.
 */
int daemon_run(const struct daemon *daemon);

/*
 * Writes a newline to descriptor 3, if that was open at the start (s6's notification-fd), and tells
 * systemd, if it asks (NOTIFY_SOCKET). Once.
 */
void daemon_ready(void);

/*
 * What was promised is done: daemon_run returns as soon as all handles of the
 * loop are closed, and if that takes longer than DAEMON_LAST_WAIT_MS the
 * program ends with 0 all the same.
 */
void daemon_end(void);

/* For goodbyes, and for threads that still connect when everything else is done. */
enum { DAEMON_LAST_WAIT_MS = 4000 };

#endif
