/*
 * gob and rpc, under a fuzzer: whatever comes in whatever pieces is refused or
 * read, within the limits, and what is read is read again from what we write
 * of it.
 *
 * The first byte says how: its lowest bit the role, the rest the size of the pieces.
 */
#include <stdint.h>
#include <stdlib.h>

#include "wire/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 64 * 1024 };

static void check(bool holds)
{
	if (!holds)
		abort();
}

static bool same_payload(const struct rpc_payload *a, const struct rpc_payload *b)
{
	return text_equal(a->name, b->name) && text_equal(a->data, b->data) &&
	       text_equal(a->id, b->id) && text_equal(a->level, b->level) &&
	       a->created_ms == b->created_ms;
}

static void repeat_call(const struct rpc_message *m, const struct rpc_payload *payload)
{
	struct rpc_writer w = { 0 };
	CLEANUP(rpc_reader_finish) struct rpc_reader r = { .max_bytes = 4 * (size_t)MOST };
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	struct rpc_message again;
	struct rpc_payload payload_again;
	size_t used;
	bool whole;
	rpc_write_call(&w, &out, m->method, m->seq, payload);
	check(!rpc_read_call(&r, buffer_text(&out), &used, &whole, &again, NULL));
	check(whole && used == out.size && again.seq == m->seq);
	check(text_equal(again.method, m->method));
	check(!rpc_read_payload(&r, &again.body, &payload_again, NULL));
	check(same_payload(payload, &payload_again));
}

static void take(struct rpc_reader *r, const struct rpc_message *m, bool is_call)
{
	struct rpc_payload payload;
	struct text result;
	struct error e;
	enum error_code skipped = rpc_skip_body(r, &m->body, &e);
	enum error_code code = rpc_read_payload(r, &m->body, &payload, &e);
	check(code == ERROR_NONE || code == ERROR_BAD_INPUT || code == ERROR_UNPROCESSABLE);
	check((code == ERROR_BAD_INPUT) == (skipped == ERROR_BAD_INPUT));
	if (!code && is_call)
		repeat_call(m, &payload);
	gob_read_string(&r->types, &m->body, &result, &e);
}

/* Takes what is whole of a stream; false when it is of no more use. */
static bool take_all(struct rpc_reader *r, struct buffer *in, bool is_call)
{
	size_t taken = 0;
	bool whole = true;
	enum error_code code = ERROR_NONE;
	while (whole && !code) {
		/* Of its own size, so that reading beyond it is seen. */
		size_t n = in->size - taken;
		char *bytes = malloc(n > 0 ? n : 1);
		struct rpc_message m;
		size_t used;
		if (!bytes)
			return false;
		memcpy(bytes, in->bytes + taken, n);
		struct text stream = { bytes, n };
		code = is_call ? rpc_read_call(r, stream, &used, &whole, &m, NULL)
			       : rpc_read_answer(r, stream, &used, &whole, &m, NULL);
		check(used <= n);
		if (!code && whole)
			take(r, &m, is_call);
		taken += used;
		free(bytes);
	}
	memmove(in->bytes, in->bytes + taken, in->size - taken);
	in->size -= taken;
	return !code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	bool is_call = (*data & 1) == 0;
	size_t piece = (size_t)(*data >> 1);
	piece = piece ? piece : size;
	CLEANUP(rpc_reader_finish) struct rpc_reader r = { .max_bytes = MOST };
	CLEANUP(buffer_finish) struct buffer in = { 0 };
	for (size_t at = 1; at < size; at += piece) {
		buffer_append(&in, data + at, size - at < piece ? size - at : piece);
		if (!take_all(&r, &in, is_call))
			break;
	}
	check(r.types.count <= GOB_MAX_TYPES && r.types.bytes <= GOB_MAX_DEFINITIONS_BYTES);
	return 0;
}
