/*
 * gob: the encoding of Go's encoding/gob, as much of it as net/rpc needs.
 *
 * Format: https://pkg.go.dev/encoding/gob (Encoding Details). A stream is a
 * sequence of messages, each led by its length. A message defines a type, or
 * is a value of a type that is built in or was defined before on the same
 * stream. Fields of a struct are found by name: unknown ones are skipped,
 * missing ones keep what they were, zero values are not sent.
 *
 * A gob_struct says which members of a C struct go under which names; the same
 * table writes and reads it. Text that was read points into the message, and
 * no NUL follows it.
 */
#ifndef FLEXI_WIRE_GOB_H
#define FLEXI_WIRE_GOB_H

#include <stdint.h>

#include "core/buffer.h"
#include "core/error.h"
#include "core/text.h"

enum {
	GOB_MAX_TYPES = 32,		   /* definitions of one stream */
	GOB_MAX_FIELDS = 64,		   /* of one struct */
	GOB_MAX_DEFINITIONS_BYTES = 16384, /* of one stream */
	GOB_MAX_DEPTH = 16,		   /* of a value within values */
	GOB_FIRST_TYPE = 65,		   /* the ids that we give start here, as Go's do */
};

/* What is built in. */
enum gob_kind {
	GOB_BOOL = 1,
	GOB_INT = 2,
	GOB_UINT = 3,
	GOB_FLOAT = 4,
	GOB_BYTES = 5,
	GOB_STRING = 6,
	GOB_COMPLEX = 7,
	GOB_INTERFACE = 8,
};

struct gob_member {
	const char *name;
	enum gob_kind kind; /* GOB_UINT: uint64_t, GOB_INT: int64_t, GOB_STRING: struct text */
	size_t offset;
};

struct gob_struct {
	const char *name;    /* "" for a type without one */
	const char *go_type; /* as Go's errors name it: "main.Payload" */
	const struct gob_member *members;
	size_t count;
};

/* ---- writing: a buffer that failed shows at its end ---- */

/* Appends the message that defines shape as type id. */
void gob_write_definition(struct buffer *out, int64_t id, const struct gob_struct *shape);

/* Appends a message with *value, whose type was defined as id. */
void gob_write_struct(struct buffer *out, int64_t id, const struct gob_struct *shape,
		      const void *value);

/* Appends a message with a string. */
void gob_write_string(struct buffer *out, struct text value);

/* ---- reading ---- */

/*
 * Looks for a message at the start of a stream. *used is how much of the
 * stream it takes, or 0 if more must come. ERROR_BAD_INPUT if this is no gob,
 * ERROR_TOO_LARGE if the message is over max_bytes.
 */
enum error_code gob_frame(struct text stream, size_t max_bytes, struct text *message, size_t *used,
			  struct error *e);

struct gob_type;

/* The types that one stream has defined. Zeroed is empty; gob_types_finish frees. */
struct gob_types {
	struct gob_type *list;
	int count;
	size_t bytes; /* of their definitions */
};

void gob_types_finish(struct gob_types *types);

/* A value that has come: its type, and its bytes. */
struct gob_value {
	int64_t type;
	struct text bytes;
};

/*
 * Takes a message. A definition is kept and leaves value->type 0; anything
 * else is a value. ERROR_BAD_INPUT: no gob, or over a limit; the stream is of
 * no more use.
 */
enum error_code gob_read(struct gob_types *types, struct text message, struct gob_value *value,
			 struct error *e);

/*
 * Reads a value into *out, whose members keep what they were where nothing
 * came. ERROR_UNPROCESSABLE, in Go's words, if the value is well formed but of
 * another type; the stream may go on. ERROR_BAD_INPUT as above.
 */
enum error_code gob_read_struct(const struct gob_types *types, const struct gob_value *value,
				const struct gob_struct *shape, void *out, struct error *e);
enum error_code gob_read_string(const struct gob_types *types, const struct gob_value *value,
				struct text *out, struct error *e);

/* Checks that a value of any known type is well formed. */
enum error_code gob_skip(const struct gob_types *types, const struct gob_value *value,
			 struct error *e);

#endif
