/*
 * log_action: what every handler does with {"log":{"name","data"}}, whatever
 * way to the log it stands for.
 */
#ifndef FLEXI_TRANSPORT_LOG_ACTION_H
#define FLEXI_TRANSPORT_LOG_ACTION_H

#include "handler/reply.h"
#include "handler/request.h"

/*
 * Sends the entry in the body's "log" over the transport of that name; NULL:
 * over the one that the body names as "transport", or those of LOG_TRANSPORTS.
 * Answers 202 with the transport's words and the entry's id, or the error.
 */
struct reply log_action(struct request *rq, const char *transport);

#endif
