/* server: listens, and keeps the connections. One in a process. */
#ifndef FLEXI_LISTENER_GRPC_SERVER_H
#define FLEXI_LISTENER_GRPC_SERVER_H

#include <uv.h>

#include "core/error.h"

/* Listens at address (HOST:PORT, numeric); ERROR_CONFIG if that cannot be. */
enum error_code server_open(uv_loop_t *loop, const char *address, struct error *e);

/*
 * Takes no more connections, bids the others farewell in two steps, and calls
 * `drained` when the last one is gone.
 */
void server_drain(void (*drained)(void));

#endif
