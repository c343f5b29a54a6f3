/*
 * rpc: the transport that calls RPCServer.LogInfo at LOG_RPC_ADDR.
 *
 * Id, level and time travel in fields of their own, which a Go server skips:
 * it stores the entry all the same, at least once. The connection is kept
 * between calls; one that timed out is closed, so that no answer of an earlier
 * call can be taken for a later one's.
 */
#ifndef FLEXI_TRANSPORT_RPC_H
#define FLEXI_TRANSPORT_RPC_H

#include "transport/transport.h"

/*
 * A kept connection that turns out to be gone is remade once, and the entry
 * sent again under its id: a server that does not know ids may then store it
 * twice.
 */
enum outcome rpc_send(const struct entry *entry, int64_t deadline_ms, struct error *e);

/*
 * Asks whether the server answers, on a new connection and without an entry: by
 * a method that no server has. One that says so is there.
 */
enum error_code rpc_check(int64_t deadline_ms, struct error *e);

/* Closes the connection if there is one. */
void rpc_close(void);

#endif
