/* batch: who goes together, and how it is written down. */
#include "batch.h"

#include <stdint.h>
#include <stdlib.h>

#include "wire/json.h"

enum {
	/* What stands around a payload: the members' names, an id, an attempt. */
	ITEM_OVERHEAD_BYTES = 96,
	/* A table at most a quarter full finds its place at once. */
	ID_SLOTS = 4096,
};

_Static_assert(ID_SLOTS >= 4 * MAX_BATCH_MESSAGES, "the table of ids is too small");
_Static_assert((ID_SLOTS & (ID_SLOTS - 1)) == 0, "not a power of two");

/* Which ids are in the batch: a slot has a message's position + 1. */
struct ids {
	uint16_t slots[ID_SLOTS];
};

static size_t hash(const char *id)
{
	uint32_t h = 2166136261U; /* FNV-1a */
	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * 16777619U;
	return h & (ID_SLOTS - 1);
}

/* Notes the id of the message that would come next; false if the batch has it already. */
static bool note_id(struct ids *ids, const struct batch *b, const char *id)
{
	size_t slot = hash(id);
	while (ids->slots[slot]) {
		if (strcmp(b->messages[ids->slots[slot] - 1]->id, id) == 0)
			return false;
		slot = (slot + 1) & (ID_SLOTS - 1);
	}
	ids->slots[slot] = (uint16_t)(b->count + 1);
	return true;
}

size_t batch_cost(const struct message *m)
{
	return m->body.n + m->key.n + ITEM_OVERHEAD_BYTES;
}

static struct batch *batch_new(size_t room)
{
	struct batch *b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->messages = calloc(room, sizeof(struct message *));
	if (!b->messages) {
		free(b);
		return NULL;
	}
	return b;
}

static void take(struct batch *b, struct message_list *from, struct message *m)
{
	TAILQ_REMOVE(from, m, next);
	b->messages[b->count++] = m;
}

struct batch *batch_gather(struct message_list *waiting, size_t max_count, size_t max_bytes)
{
	struct message *m = TAILQ_FIRST(waiting);
	if (max_count > MAX_BATCH_MESSAGES)
		max_count = MAX_BATCH_MESSAGES;
	struct batch *b = m ? batch_new(m->alone ? 1 : max_count) : NULL;
	if (!b)
		return NULL;
	if (m->alone) {
		take(b, waiting, m);
		return b;
	}
	struct ids ids = { 0 };
	size_t bytes = 0;
	for (struct message *after; m && b->count < max_count; m = after) {
		after = TAILQ_NEXT(m, next);
		if (b->count > 0 && bytes + batch_cost(m) > max_bytes)
			break;
		if (m->alone || !note_id(&ids, b, m->id))
			continue;
		bytes += batch_cost(m);
		take(b, waiting, m);
	}
	return b;
}

struct batch *batch_halve(struct batch *b)
{
	size_t kept = (b->count + 1) / 2;
	struct batch *second = batch_new(b->count - kept);
	if (!second)
		return NULL;
	second->feed = b->feed;
	second->count = b->count - kept;
	memcpy(second->messages, b->messages + kept, second->count * sizeof(struct message *));
	b->count = kept;
	return second;
}

void batch_destroy(struct batch *b)
{
	if (!b)
		return;
	free(b->messages);
	free(b);
}

static bool is_plain(struct text t)
{
	for (size_t i = 0; i < t.n; i++) {
		if (t.s[i] < 0x20 || t.s[i] == 0x7F || t.s[i] == '"' || t.s[i] == '\\')
			return false;
	}
	return true;
}

/* A routing key may be any bytes; what is no clean text goes as question marks. */
static void append_key(struct buffer *body, struct text key)
{
	if (is_plain(key)) {
		buffer_append_text(body, key);
		return;
	}
	CLEANUP(buffer_finish) struct buffer string = { 0 };
	buffer_append_string(&string, "\"");
	for (size_t i = 0; i < key.n; i++) {
		if (key.s[i] == '"' || key.s[i] == '\\')
			buffer_append_string(&string, "\\");
		buffer_append(&string, key.s + i, 1);
	}
	buffer_append_string(&string, "\"");
	struct json_object *value = NULL;
	struct text text = buffer_text(&string);
	bool clean = !json_parse(text, "key", &value, NULL);
	json_put(&value);
	body->failed = body->failed || string.failed;
	for (size_t i = 1; i + 1 < text.n; i++) {
		bool ascii = text.s[i] >= 0x20 && text.s[i] != 0x7F;
		buffer_append(body, clean || ascii ? text.s + i : "?", 1);
	}
}

static void append_item(struct buffer *body, const struct message *m)
{
	buffer_append_string(body, "{\"id\":\"");
	buffer_append_string(body, m->id);
	buffer_append_string(body, "\",\"key\":\"");
	append_key(body, m->key);
	buffer_printf(body, "\",\"attempt\":%d,\"payload\":", m->attempts + 1);
	buffer_append_text(body, m->body);
	buffer_append_string(body, "}");
}

void batch_body(const struct batch *batch, struct buffer *body)
{
	buffer_append_string(body, "[");
	for (size_t i = 0; i < batch->count; i++) {
		if (i > 0)
			buffer_append_string(body, ",");
		append_item(body, batch->messages[i]);
	}
	buffer_append_string(body, "]");
}
