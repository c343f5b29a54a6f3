/* log: stores entries, one or many, for a caller or from a queue. */
#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "handler/handler.h"
#include "store/entries.h"

/* Entries with what became of each. */
struct work {
	size_t count;
	struct entry *entries;
	struct error *verdicts;
};

static void work_finish(struct work *w)
{
	free(w->entries);
	free(w->verdicts);
}

static enum error_code work_init(struct work *w, size_t count, struct error *e)
{
	if (count == 0 || count > MAX_BATCH_ITEMS)
		return error_set(e, ERROR_BAD_INPUT, "the body: must hold 1 to %d entries",
				 MAX_BATCH_ITEMS);
	*w = (struct work){ count, calloc(count, sizeof(struct entry)),
			    calloc(count, sizeof(struct error)) };
	return w->entries && w->verdicts ? ERROR_NONE
					 : error_set(e, ERROR_INTERNAL, "out of memory");
}

/* One entry, or an array of them. One that is malformed refuses all: nothing is stored. */
static enum error_code read_body(struct json_object *body, struct work *w, struct error *e)
{
	bool many = json_object_is_type(body, json_type_array);
	enum error_code code = work_init(w, many ? json_object_array_length(body) : 1, e);
	for (size_t i = 0; i < w->count && !code; i++) {
		char where[32] = "";
		if (many)
			snprintf(where, sizeof(where), "entries[%zu]", i);
		code = entry_from_peer_json(many ? json_object_array_get_idx(body, i) : body, where,
					    &w->entries[i], e);
	}
	return code;
}

static struct json_object *list_failures(const struct work *w)
{
	struct json_object *list = json_object_new_array();
	for (size_t i = 0; i < w->count && list; i++) {
		if (!w->verdicts[i].code)
			continue;
		struct json_object *o = json_object_new_object();
		json_add_number(o, "index", (int64_t)i);
		json_add_text(o, "id", text_of(w->entries[i].id));
		json_add_text(o, "reason", text_of(w->verdicts[i].text));
		json_object_array_add(list, o);
	}
	return list;
}

static struct reply log_now(struct request *rq)
{
	struct error e;
	struct json_object *body = NULL;
	CLEANUP(work_finish) struct work w = { 0 };
	if (request_json(rq, &body, &e) || read_body(body, &w, &e))
		return reply_error(&e);
	if (!entries_insert(w.entries, w.count, w.verdicts, &e))
		return reply_ok(202, "logged");
	struct reply r = reply_error(&e);
	return json_object_is_type(body, json_type_array) ? reply_failures(r, list_failures(&w))
							  : r;
}

/* What the message does not say, its envelope does: the id, and the level in the key. */
static enum error_code read_item(const struct item *item, struct entry *entry, struct error *e)
{
	*entry = (struct entry){ .level = ENTRY_INFO };
	entry_id_from_message_id(item->id, entry->id);
	entry_level_from_routing_key(item->key, &entry->level);
	return entry_from_peer_json(item->payload, "entry", entry, e);
}

static enum error_code log_items(struct item *items, size_t count, struct error *e)
{
	CLEANUP(work_finish) struct work w = { 0 };
	size_t *origin = calloc(count, sizeof(*origin)); /* of an entry among the items */
	enum error_code code = work_init(&w, count, e);
	w.count = 0;
	for (size_t i = 0; i < count && !code && origin; i++) {
		if (!read_item(&items[i], &w.entries[w.count], &items[i].verdict))
			origin[w.count++] = i;
	}
	if (!code && !origin)
		code = error_set(e, ERROR_INTERNAL, "out of memory");
	if (!code && w.count > 0) {
		code = entries_insert(w.entries, w.count, w.verdicts, e);
		for (size_t i = 0; i < w.count; i++)
			items[origin[i]].verdict = w.verdicts[i];
		/* A store that is away or hangs is no item's fault: all of them wait, their ids
		 * kept. */
		if (code == ERROR_PEER_TIMEOUT)
			code = error_set(e, ERROR_PEER_DOWN, "the log store does not answer");
		else if (!error_is_pause(code))
			code = ERROR_NONE;
	}
	free(origin);
	return code;
}

int main(void)
{
	return handler_run(
		&(struct handler){ .methods = METHOD_POST, .call = log_now, .batch = log_items });
}
