/*
 * status: who connects to RUN_DIR/NAME.sock is told in one line of JSON what the
 * daemon NAME is about, and is let go:
 *
 *	{"program":"listener","version":"0.1.0","pid":17,"state":"ready"}
 *
 * An answer at all says that the daemon's loop goes round. The newest daemon of
 * that name has the socket; where there is no RUN_DIR there is none.
 */
#ifndef FLEXI_DAEMON_STATUS_H
#define FLEXI_DAEMON_STATUS_H

#include <uv.h>

/* Its failure is logged, and keeps nobody from working. The socket does not keep the loop alive. */
void status_open(uv_loop_t *loop, const char *name);

/* "starting" at first; "ready"; "stopping". state must stay valid. */
void status_say(const char *state);

#endif
