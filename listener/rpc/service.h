/* service: the methods that can be called: RPCServer.LogInfo. */
#ifndef FLEXI_LISTENER_RPC_SERVICE_H
#define FLEXI_LISTENER_RPC_SERVICE_H

#include "connection.h"
#include "store/writer.h"

/* Where entries go. */
void service_use(struct writer *writer);

/*
 * Takes a call: the connection is answered now or later, an unknown method or
 * a wrong argument with an error in Go's words. An error returned means that
 * the argument is broken, and with it the stream.
 */
enum error_code service_call(struct connection *c, const struct rpc_message *call, struct error *e);

#endif
