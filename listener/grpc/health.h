/*
 * health: grpc.health.v1.Health, for the whole server ("") and logs.LogService.
 *
 * It is serving while the store can be reached and the server is not about to end.
 */
#ifndef FLEXI_LISTENER_GRPC_HEALTH_H
#define FLEXI_LISTENER_GRPC_HEALTH_H

#include "call.h"

/* Tells those who watch if that is something new. */
void health_set(bool serving);

/* Not serving, for good: watchers are told so, and sent away. */
void health_end(void);

/* The methods. */
void health_check(struct call *call, struct text message);
void health_watch(struct call *call, struct text message);
void health_watcher_gone(struct call *call);

#endif
