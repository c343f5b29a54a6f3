/*
 * grpc: what gRPC writes around its messages and beside them, over HTTP/2.
 *
 * The format is that of grpc/doc/PROTOCOL-HTTP2.md in the gRPC project. Pure:
 * nothing here reads or writes a connection.
 */
#ifndef FLEXI_WIRE_GRPC_H
#define FLEXI_WIRE_GRPC_H

#include <stdint.h>

#include "core/buffer.h"
#include "core/error.h"
#include "core/text.h"

#define GRPC_CONTENT_TYPE "application/grpc"

/* What entries carry beside the messages of logs.proto, as metadata. */
#define GRPC_ENTRY_ID	      "x-log-id"
#define GRPC_ENTRY_LEVEL      "x-log-level"
#define GRPC_ENTRY_CREATED_AT "x-log-created-at"
/* A trailer: "not-stored" is said of an entry that for certain was not. */
#define GRPC_OUTCOME	"x-log-outcome"
#define GRPC_NOT_STORED "not-stored"

enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_ALREADY_EXISTS = 6,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_DATA_LOSS = 15,
	GRPC_UNAUTHENTICATED = 16,
	GRPC_STATUSES
};

/* The status that tells a caller of an error. */
enum grpc_status grpc_status_of(enum error_code code);

/* ---- grpc-timeout ---- */

enum { GRPC_TIMEOUT_BYTES = sizeof("99999999m") };

/* Reads at most 8 digits and a unit, rounded up to milliseconds. Returns whether it was that. */
bool grpc_timeout_read(struct text in, int64_t *ms);

/* Writes ms, at least 1, in the finest unit that 8 digits leave room for. */
void grpc_timeout_write(int64_t ms, char out[GRPC_TIMEOUT_BYTES]);

/* ---- grpc-message ---- */

/* Appends text percent-encoded, and back; what is no escape stays as it is. */
void grpc_percent_encode(struct text text, struct buffer *out);
void grpc_percent_decode(struct text text, struct buffer *out);

/* ---- messages ---- */

enum { GRPC_PREFIX_BYTES = 5 };

/* Appends what stands before a message of n bytes that is not compressed. */
void grpc_prefix_append(struct buffer *out, size_t n);

/* One message on its way in. A zeroed intake is an empty one. */
struct grpc_intake {
	unsigned char prefix[GRPC_PREFIX_BYTES];
	unsigned prefix_size;
	size_t size; /* of the message, once the prefix is whole */
	struct buffer message;
	bool whole;
};

/*
 * Takes the next bytes. The message grows with what came, whatever size was
 * announced. GRPC_OK, or why no message can come of it, with a sentence in
 * *why: over `most` bytes, compressed, or a second message.
 */
enum grpc_status grpc_intake_take(struct grpc_intake *in, struct text bytes, size_t most,
				  const char **why);

void grpc_intake_finish(struct grpc_intake *in);

#endif
