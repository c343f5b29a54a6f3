/* rpc: headers and bodies, and what was defined for them. */
#include "wire/rpc.h"

struct header {
	struct text method;
	uint64_t seq;
	struct text error;
};

static const struct gob_member header_members[] = {
	{ "ServiceMethod", GOB_STRING, offsetof(struct header, method) },
	{ "Seq", GOB_UINT, offsetof(struct header, seq) },
	{ "Error", GOB_STRING, offsetof(struct header, error) },
};

static const struct gob_member payload_members[] = {
	{ "Name", GOB_STRING, offsetof(struct rpc_payload, name) },
	{ "Data", GOB_STRING, offsetof(struct rpc_payload, data) },
	{ "ID", GOB_STRING, offsetof(struct rpc_payload, id) },
	{ "Level", GOB_STRING, offsetof(struct rpc_payload, level) },
	{ "CreatedAt", GOB_INT, offsetof(struct rpc_payload, created_ms) },
};

enum type { REQUEST, RESPONSE, PAYLOAD, LONG_PAYLOAD, NOTHING };

/* A request is a response without Error, and a plain payload one without our extras. */
static const struct gob_struct shapes[RPC_TYPES] = {
	[REQUEST] = { "Request", "rpc.Request", header_members, 2 },
	[RESPONSE] = { "Response", "rpc.Response", header_members, 3 },
	[PAYLOAD] = { "RPCPayload", "main.RPCPayload", payload_members, 2 },
	[LONG_PAYLOAD] = { "RPCPayload", "main.RPCPayload", payload_members, 5 },
	[NOTHING] = { "", "struct {}", NULL, 0 },
};

/* ---- reading ---- */

/* Keeps a header until its body has come, which may be much later. */
static enum error_code keep_header(struct rpc_reader *r, const struct gob_value *value,
				   enum type type, struct error *e)
{
	struct header h = { .method = text_of(""), .error = text_of("") };
	struct error why;
	if (gob_read_struct(&r->types, value, &shapes[type], &h, &why))
		return error_set(e, ERROR_BAD_INPUT, "a header is malformed: %s", why.text);
	if (h.method.n > RPC_MAX_HEADER_BYTES || h.error.n > RPC_MAX_HEADER_BYTES)
		return error_set(e, ERROR_BAD_INPUT, "a header is over %d bytes",
				 RPC_MAX_HEADER_BYTES);
	buffer_clear(&r->header);
	buffer_append_text(&r->header, h.method);
	buffer_append_text(&r->header, h.error);
	if (r->header.failed)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	r->method_bytes = h.method.n;
	r->seq = h.seq;
	r->has_header = true;
	return ERROR_NONE;
}

static void take_body(struct rpc_reader *r, const struct gob_value *value, struct rpc_message *m)
{
	struct text header = buffer_text(&r->header);
	size_t n = r->method_bytes;
	*m = (struct rpc_message){
		.method = { header.s, n },
		.seq = r->seq,
		.error = { header.s + n, header.n - n },
		.body = *value,
	};
	r->has_header = false;
}

static enum error_code read_message(struct rpc_reader *r, enum type header, struct text stream,
				    size_t *used, bool *whole, struct rpc_message *message,
				    struct error *e)
{
	enum error_code code = ERROR_NONE;
	*used = 0;
	*whole = false;
	while (!code && !*whole) {
		struct text rest = { stream.s + *used, stream.n - *used };
		struct text frame;
		struct gob_value value;
		size_t taken;
		code = gob_frame(rest, r->max_bytes, &frame, &taken, e);
		if (code || taken == 0)
			break;
		*used += taken;
		code = gob_read(&r->types, frame, &value, e);
		if (code || value.type == 0)
			continue;
		*whole = r->has_header;
		if (r->has_header)
			take_body(r, &value, message);
		else
			code = keep_header(r, &value, header, e);
	}
	return code;
}

enum error_code rpc_read_call(struct rpc_reader *r, struct text stream, size_t *used, bool *whole,
			      struct rpc_message *message, struct error *e)
{
	return read_message(r, REQUEST, stream, used, whole, message, e);
}

enum error_code rpc_read_answer(struct rpc_reader *r, struct text stream, size_t *used, bool *whole,
				struct rpc_message *message, struct error *e)
{
	return read_message(r, RESPONSE, stream, used, whole, message, e);
}

enum error_code rpc_read_payload(const struct rpc_reader *r, const struct gob_value *body,
				 struct rpc_payload *payload, struct error *e)
{
	*payload = (struct rpc_payload){
		.name = text_of(""),
		.data = text_of(""),
		.id = text_of(""),
		.level = text_of(""),
	};
	return gob_read_struct(&r->types, body, &shapes[LONG_PAYLOAD], payload, e);
}

enum error_code rpc_skip_body(const struct rpc_reader *r, const struct gob_value *body,
			      struct error *e)
{
	return gob_skip(&r->types, body, e);
}

void rpc_reader_finish(struct rpc_reader *r)
{
	gob_types_finish(&r->types);
	buffer_finish(&r->header);
}

/* ---- writing ---- */

/* A type gets the next id, and is defined, when it is first used. */
static void write_value(struct rpc_writer *w, struct buffer *out, enum type type, const void *value)
{
	if (w->ids[type] == 0) {
		w->ids[type] = GOB_FIRST_TYPE + w->count++;
		gob_write_definition(out, w->ids[type], &shapes[type]);
	}
	gob_write_struct(out, w->ids[type], &shapes[type], value);
}

static bool has_extras(const struct rpc_payload *p)
{
	return p->id.n > 0 || p->level.n > 0 || p->created_ms != 0;
}

void rpc_write_call(struct rpc_writer *w, struct buffer *out, struct text method, uint64_t seq,
		    const struct rpc_payload *payload)
{
	struct header h = { .method = method, .seq = seq };
	write_value(w, out, REQUEST, &h);
	write_value(w, out, has_extras(payload) ? LONG_PAYLOAD : PAYLOAD, payload);
}

void rpc_write_result(struct rpc_writer *w, struct buffer *out, struct text method, uint64_t seq,
		      struct text result)
{
	struct header h = { .method = method, .seq = seq };
	write_value(w, out, RESPONSE, &h);
	gob_write_string(out, result);
}

void rpc_write_error(struct rpc_writer *w, struct buffer *out, struct text method, uint64_t seq,
		     struct text error)
{
	struct header h = { .method = method, .seq = seq, .error = error };
	write_value(w, out, RESPONSE, &h);
	write_value(w, out, NOTHING, NULL);
}

/* ---- errors ---- */

static const struct {
	enum error_code code;
	const char *word;
} words[] = {
	{ ERROR_BAD_INPUT, "invalid: " },   { ERROR_CONFLICT, "conflict: " },
	{ ERROR_TOO_LARGE, "too large: " }, { ERROR_PEER_FULL, "full: " },
	{ ERROR_PEER_DOWN, "down: " },	    { ERROR_PEER_TIMEOUT, "timeout: " },
	{ ERROR_INTERNAL, "failed: " },
};

/* How Go's errors begin when no method has run. */
static const char *const words_of_go[] = { "rpc: ", "gob: " };

static bool begins_with(struct text t, const char *word)
{
	size_t n = strlen(word);
	return t.n >= n && memcmp(t.s, word, n) == 0;
}

void rpc_error_text(const struct error *e, struct error *out)
{
	const char *word = "failed: ";
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].code == e->code)
			word = words[i].word;
	}
	error_set(out, e->code, "%s%s", word, e->text);
}

enum error_code rpc_error_read(struct text error, struct text *sentence)
{
	*sentence = error;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!begins_with(error, words[i].word))
			continue;
		size_t n = strlen(words[i].word);
		*sentence = (struct text){ error.s + n, error.n - n };
		return words[i].code;
	}
	for (size_t i = 0; i < sizeof(words_of_go) / sizeof(words_of_go[0]); i++) {
		if (begins_with(error, words_of_go[i]))
			return ERROR_CONFIG;
	}
	return ERROR_PEER_ANSWER;
}
