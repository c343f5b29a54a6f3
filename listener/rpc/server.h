/* server: listens, and keeps the connections. One in a process. */
#ifndef FLEXI_LISTENER_RPC_SERVER_H
#define FLEXI_LISTENER_RPC_SERVER_H

#include <uv.h>

#include "core/error.h"

/* Listens at LOG_RPC_LISTEN; ERROR_CONFIG if that cannot be. */
enum error_code server_open(uv_loop_t *loop, struct error *e);

/*
 * Takes no more connections and no more calls, has those under way answered,
 * and calls `drained` when the last connection is gone.
 */
void server_drain(void (*drained)(void));

#endif
