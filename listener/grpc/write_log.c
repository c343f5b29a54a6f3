/* write_log: from the message and its metadata to an entry, and on to the writer. */
#include "write_log.h"

#include "core/clock.h"
#include "wire/grpc_messages.h"

static struct writer *writer;

void write_log_use(struct writer *w)
{
	writer = w;
}

enum error_code write_log_metadata(const struct call_metadata *metadata, struct entry *entry,
				   struct error *e)
{
	struct text id = text_of(metadata->id);
	struct text level = text_of(metadata->level);
	struct text created_at = text_of(metadata->created_at);
	entry->level = ENTRY_INFO;
	entry->accepted_ms = clock_wall_ms();
	if (id.n > 0 && !entry_id_is_valid(id))
		return error_set(e, ERROR_BAD_INPUT,
				 GRPC_ENTRY_ID ": must be 24 hexadecimal digits");
	if (level.n > 0 && !entry_level_from_name(level, &entry->level))
		return error_set(e, ERROR_BAD_INPUT,
				 GRPC_ENTRY_LEVEL ": must be INFO, WARNING or ERROR");
	if (created_at.n > 0 && !clock_from_text(created_at, &entry->accepted_ms))
		return error_set(e, ERROR_BAD_INPUT,
				 GRPC_ENTRY_CREATED_AT
				 ": must be a time like 2026-01-31T23:59:59.999Z");
	if (id.n > 0)
		entry_id_from_message_id(id, entry->id);
	else
		entry_id_new(entry->id);
	return ERROR_NONE;
}

static void on_stored(void *context, const struct error *e)
{
	struct call *call = context;
	if (e->code) {
		call_fail(call, e);
		return;
	}
	CLEANUP(buffer_finish) struct buffer answer = { 0 };
	log_response_append(&answer, "logged!");
	call_send(call, buffer_text(&answer));
	call_finish(call, GRPC_OK, NULL);
}

void write_log(struct call *call, struct text message)
{
	struct log_request *request = NULL;
	struct entry entry = { 0 };
	struct error e;
	enum error_code code = log_request_read(message, &request, &entry.name, &entry.data, &e);
	if (!code) {
		code = write_log_metadata(&call->metadata, &entry, &e);
		if (!code)
			code = writer_put(writer, &entry, on_stored, call, &e);
		log_request_destroy(request);
	}
	if (code)
		call_fail(call, &e);
}
