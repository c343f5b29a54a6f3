/* service: from a call's argument to an entry, on to the writer, and back to an answer. */
#include "service.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"

#define SERVICE "RPCServer."

/* The end of the year 9999: more than a date that is stored can say. */
static const int64_t MAX_TIME_MS = 253402300799999;

static struct writer *writer;

/* What is kept of a call until its entry is stored. */
struct call {
	struct connection *connection;
	uint64_t seq;
	struct text name; /* the entry's */
	char name_bytes[];
};

void service_use(struct writer *w)
{
	writer = w;
}

static size_t call_bytes(const struct call *call)
{
	return sizeof(*call) + call->name.n;
}

static void on_stored(void *context, const struct error *e)
{
	struct call *call = context;
	struct text method = text_of(RPC_LOG_INFO);
	if (e->code) {
		struct error text;
		rpc_error_text(e, &text);
		connection_fail(call->connection, call_bytes(call), method, call->seq,
				text_of(text.text));
	} else {
		CLEANUP(buffer_finish) struct buffer result = { 0 };
		buffer_append_string(&result, RPC_LOG_INFO_OK);
		buffer_append_text(&result, call->name);
		connection_answer(call->connection, call_bytes(call), method, call->seq,
				  buffer_text(&result));
	}
	free(call);
}

/* An answer that needs nobody else. */
static void refuse(struct connection *c, const struct rpc_message *m, struct text error)
{
	connection_begin_call(c, 0);
	connection_fail(c, 0, m->method, m->seq, error);
}

static enum error_code read_entry(const struct rpc_payload *p, struct entry *entry, struct error *e)
{
	char id[ENTRY_ID_BYTES];
	snprintf(id, sizeof(id), "%.*s", (int)p->id.n, p->id.s);
	*entry = (struct entry){
		.name = p->name, .data = p->data, .level = ENTRY_INFO, .accepted_ms = p->created_ms
	};
	if (p->id.n == 0)
		entry_id_new(entry->id);
	else if (p->id.n == ENTRY_ID_DIGITS && entry_id_is_valid(text_of(id)))
		entry_id_from_message_id(text_of(id), entry->id);
	else
		return error_set(e, ERROR_BAD_INPUT, "ID: must be %d hexadecimal digits",
				 ENTRY_ID_DIGITS);
	if (p->level.n > 0 && !entry_level_from_name(p->level, &entry->level))
		return error_set(e, ERROR_BAD_INPUT, "Level: must be INFO, WARNING or ERROR");
	if (p->created_ms < 0 || p->created_ms > MAX_TIME_MS)
		return error_set(e, ERROR_BAD_INPUT, "CreatedAt: must be milliseconds since 1970");
	if (p->created_ms == 0)
		entry->accepted_ms = clock_wall_ms();
	return ERROR_NONE;
}

static struct call *call_new(struct connection *c, uint64_t seq, struct text name)
{
	struct call *call = malloc(sizeof(*call) + name.n);
	if (!call)
		return NULL;
	*call = (struct call){ c, seq, { call->name_bytes, name.n } };
	if (name.n > 0)
		memcpy(call->name_bytes, name.s, name.n);
	return call;
}

static enum error_code put(struct connection *c, uint64_t seq, const struct entry *entry,
			   struct error *e)
{
	struct call *call = call_new(c, seq, entry->name);
	if (!call)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	enum error_code code = writer_put(writer, entry, on_stored, call, e);
	if (code)
		free(call);
	else
		connection_begin_call(c, call_bytes(call));
	return code;
}

static enum error_code log_info(struct connection *c, const struct rpc_message *m, struct error *e)
{
	struct rpc_payload payload;
	struct entry entry;
	enum error_code code = rpc_read_payload(&c->reader, &m->body, &payload, e);
	if (code == ERROR_UNPROCESSABLE) {
		refuse(c, m, text_of(e->text));
		return ERROR_NONE;
	}
	if (code)
		return code;
	struct error why;
	code = read_entry(&payload, &entry, &why);
	if (!code)
		code = put(c, m->seq, &entry, &why);
	if (code) {
		struct error text;
		rpc_error_text(&why, &text);
		refuse(c, m, text_of(text.text));
	}
	return ERROR_NONE;
}

static const struct {
	const char *name;
	enum error_code (*run)(struct connection *c, const struct rpc_message *m, struct error *e);
} methods[] = {
	{ RPC_LOG_INFO, log_info },
};

/* What Go's server says of a method that it has not. */
static const char *complaint(struct text method)
{
	size_t n = method.n;
	while (n > 0 && method.s[n - 1] != '.')
		n--;
	if (n == 0)
		return "rpc: service/method request ill-formed: ";
	bool known = text_equal((struct text){ method.s, n }, text_of(SERVICE));
	return known ? "rpc: can't find method " : "rpc: can't find service ";
}

enum error_code service_call(struct connection *c, const struct rpc_message *call, struct error *e)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (text_equal(call->method, text_of(methods[i].name)))
			return methods[i].run(c, call, e);
	}
	enum error_code code = rpc_skip_body(&c->reader, &call->body, e);
	if (code)
		return code;
	CLEANUP(buffer_finish) struct buffer text = { 0 };
	buffer_append_string(&text, complaint(call->method));
	buffer_append_text(&text, call->method);
	refuse(c, call, buffer_text(&text));
	return ERROR_NONE;
}
