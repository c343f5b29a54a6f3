/*
 * rpc: the messages of Go's net/rpc over gob, for a server and for a client.
 *
 * A call is a header {ServiceMethod, Seq} and an argument; its answer is a
 * header {ServiceMethod, Seq, Error} and a result, or an empty struct if there
 * is an error. Answers may come in any order: Seq says to which call one
 * belongs. See https://pkg.go.dev/net/rpc.
 *
 * The argument of LogInfo is RPCPayload{Name, Data}. Callers of this house add
 * ID, Level and CreatedAt, which a server of others skips.
 */
#ifndef FLEXI_WIRE_RPC_H
#define FLEXI_WIRE_RPC_H

#include "wire/gob.h"

#define RPC_LOG_INFO	"RPCServer.LogInfo"
#define RPC_LOG_INFO_OK "Processed payload via RPC:" /* and the entry's name */

enum {
	RPC_MAX_HEADER_BYTES = 4096, /* of a method and an error together */
	RPC_TYPES = 5,
};

struct rpc_payload {
	struct text name;
	struct text data;
	struct text id;	    /* "" if it was not said, like the next two */
	struct text level;  /* "INFO", "WARNING", "ERROR" */
	int64_t created_ms; /* when the entry was accepted, since 1970 UTC; 0 */
};

/* ---- reading ---- */

/* What one side of a connection has said so far. Zeroed is the start. */
struct rpc_reader {
	struct gob_types types;
	size_t max_bytes; /* of one message; set by the owner */
	bool has_header;  /* the next value is its body */
	uint64_t seq;
	size_t method_bytes;
	struct buffer header; /* method and error */
};

/* A call, or an answer; the texts are valid until the next rpc_read. */
struct rpc_message {
	struct text method;
	uint64_t seq;
	struct text error;     /* of an answer; "" if it is none */
	struct gob_value body; /* within the stream that was given */
};

/*
 * Reads the next call or answer off a stream. *used is how much of the stream
 * was taken, in any case; *whole says whether *message is filled, and is false
 * if more must come. Errors end the connection: ERROR_BAD_INPUT,
 * ERROR_TOO_LARGE, ERROR_INTERNAL when memory is short.
 */
enum error_code rpc_read_call(struct rpc_reader *r, struct text stream, size_t *used, bool *whole,
			      struct rpc_message *message, struct error *e);
enum error_code rpc_read_answer(struct rpc_reader *r, struct text stream, size_t *used, bool *whole,
				struct rpc_message *message, struct error *e);

/*
 * Reads the body of a call. ERROR_UNPROCESSABLE, in Go's words, if it is
 * something else, which the connection outlives; ERROR_BAD_INPUT if it is broken.
 */
enum error_code rpc_read_payload(const struct rpc_reader *r, const struct gob_value *body,
				 struct rpc_payload *payload, struct error *e);

/* Looks over a body that is of no interest: ERROR_BAD_INPUT if it is broken. */
enum error_code rpc_skip_body(const struct rpc_reader *r, const struct gob_value *body,
			      struct error *e);

void rpc_reader_finish(struct rpc_reader *r);

/* ---- writing: a buffer that failed shows at its end ---- */

/* What we have defined on a connection so far. Zeroed is the start. */
struct rpc_writer {
	int64_t ids[RPC_TYPES];
	int count;
};

/* Appends a call. A payload without extras goes as Go sends it. */
void rpc_write_call(struct rpc_writer *w, struct buffer *out, struct text method, uint64_t seq,
		    const struct rpc_payload *payload);

void rpc_write_result(struct rpc_writer *w, struct buffer *out, struct text method, uint64_t seq,
		      struct text result);

void rpc_write_error(struct rpc_writer *w, struct buffer *out, struct text method, uint64_t seq,
		     struct text error);

/* ---- errors ---- */

/*
 * The text of an answer's error: the sentence, led by a word for the code that
 * rpc_error_read understands ("conflict: id …"). out is cut between characters.
 */
void rpc_error_text(const struct error *e, struct error *out);

/*
 * The code that an answer's error stands for: ours by their word, which
 * *sentence goes without; what Go's net/rpc says before a method runs is
 * ERROR_CONFIG; anything else, the words of a method of others, is
 * ERROR_PEER_ANSWER.
 */
enum error_code rpc_error_read(struct text error, struct text *sentence);

#endif
