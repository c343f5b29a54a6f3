/*
 * grpc: the transport that calls logs.LogService/WriteLog at LOG_GRPC_ADDR.
 *
 * Id, level and time travel as metadata, which a server that does not know
 * them ignores: it stores the entry all the same, at least once. The
 * connection is kept between calls.
 */
#ifndef FLEXI_TRANSPORT_GRPC_H
#define FLEXI_TRANSPORT_GRPC_H

#include "transport/transport.h"

enum outcome grpc_send(const struct entry *entry, int64_t deadline_ms, struct error *e);

/* Closes the connection if there is one. */
void grpc_close(void);

#endif
