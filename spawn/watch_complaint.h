/*
 * complaint: one log line for each file in HANDLERS_DIR that will not do, however
 * often it is looked at.
 */
#ifndef FLEXI_SPAWN_WATCH_COMPLAINT_H
#define FLEXI_SPAWN_WATCH_COMPLAINT_H

void complaint_log(const char *place, const char *file, const char *message);

#endif
