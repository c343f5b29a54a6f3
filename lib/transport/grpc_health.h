/* grpc_health: whether the gRPC log server serves, by grpc.health.v1. */
#ifndef FLEXI_TRANSPORT_GRPC_HEALTH_H
#define FLEXI_TRANSPORT_GRPC_HEALTH_H

#include <stdint.h>

#include "core/error.h"

/*
 * Asks LOG_GRPC_ADDR on a connection of its own. ERROR_PEER_DOWN: it cannot be
 * reached, or says that it does not serve, which it does while its store is away.
 */
enum error_code grpc_health_check(int64_t deadline_ms, struct error *e);

#endif
