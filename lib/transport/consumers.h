/* consumers: whether somebody takes what waits in the queues. */
#ifndef FLEXI_TRANSPORT_CONSUMERS_H
#define FLEXI_TRANSPORT_CONSUMERS_H

#include <stdint.h>

#include "core/error.h"

/*
 * Asks RabbitMQ whether each queue of TRIGGERS_FILE is there and has a consumer,
 * which is the listener. ERROR_PEER_DOWN names the first that has none.
 */
enum error_code consumers_check(int64_t deadline_ms, struct error *e);

#endif
