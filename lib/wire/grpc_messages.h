/*
 * grpc_messages: the messages of logs.proto and health.proto, by protobuf-c.
 *
 * What is appended is the bare message, without its prefix. Text that is read
 * is well-formed UTF-8 without NUL, and borrowed from the message that holds it.
 */
#ifndef FLEXI_WIRE_GRPC_MESSAGES_H
#define FLEXI_WIRE_GRPC_MESSAGES_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/text.h"

struct log_request; /* one that was read */

/*
 * Reads a LogRequest with an entry. On success the caller destroys *out; on
 * error nothing is owned. name and data live as long as *out.
 */
enum error_code log_request_read(struct text message, struct log_request **out, struct text *name,
				 struct text *data, struct error *e);
void log_request_destroy(struct log_request *request);

void log_request_append(struct buffer *out, struct text name, struct text data);

/* Whether message is a LogResponse, whatever it says. */
bool log_response_read(struct text message);
void log_response_append(struct buffer *out, const char *result);

enum health { HEALTH_SERVING = 1, HEALTH_NOT_SERVING = 2, HEALTH_SERVICE_UNKNOWN = 3 };

/* Appends the name of the service that a HealthCheckRequest asks for. */
enum error_code health_request_read(struct text message, struct buffer *service, struct error *e);
void health_response_append(struct buffer *out, enum health health);

/* Whether message is a HealthCheckResponse; fills *health if it is. */
bool health_response_read(struct text message, enum health *health);

#endif
