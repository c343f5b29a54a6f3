/* call_request: what call.c and call_request.c ask of each other. */
#ifndef FLEXI_LISTENER_GRPC_CALL_REQUEST_H
#define FLEXI_LISTENER_GRPC_CALL_REQUEST_H

#include "call.h"

/* Answers a request that no method gets; by a status of HTTP if it is not of gRPC at all. */
void call_refuse(struct call *call, enum grpc_status status, const char *sentence);
void call_refuse_http(struct call *call, const char status[sizeof("200")]);

/* Frees what came of the body. */
void call_release_body(struct call *call);

#endif
