/* notify: tells systemd, where it asks for that, what state a program is in (sd_notify(3)). */
#ifndef FLEXI_DAEMON_NOTIFY_H
#define FLEXI_DAEMON_NOTIFY_H

/* Sends state ("READY=1", "STOPPING=1") to NOTIFY_SOCKET; nothing if that is not set. */
void notify_systemd(const char *state);

#endif
