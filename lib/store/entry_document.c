/* entry_document: entries to and from BSON. */
#include "store/entry_document.h"

/* Room for all of a document but name and data, so that it is allocated once. */
enum { FIXED_BYTES = 160 };

static bool is_clean(struct text t)
{
	return bson_utf8_validate(t.s, t.n, false);
}

enum error_code entry_document_check(const struct entry *entry, struct error *e)
{
	if (strnlen(entry->id, ENTRY_ID_BYTES) != ENTRY_ID_DIGITS ||
	    strspn(entry->id, "0123456789abcdef") != ENTRY_ID_DIGITS)
		return error_set(e, ERROR_BAD_INPUT,
				 "id: must be 24 lower case hexadecimal digits");
	if ((unsigned)entry->level >= ENTRY_LEVELS)
		return error_set(e, ERROR_BAD_INPUT, "level: unknown");
	if (entry->name.n > MAX_ENTRY_TEXT_BYTES ||
	    entry->data.n > MAX_ENTRY_TEXT_BYTES - entry->name.n)
		return error_set(e, ERROR_TOO_LARGE, "name and data: over %d bytes",
				 MAX_ENTRY_TEXT_BYTES);
	if (!is_clean(entry->name))
		return error_set(e, ERROR_BAD_INPUT, "name: must be UTF-8 without NUL");
	if (!is_clean(entry->data))
		return error_set(e, ERROR_BAD_INPUT, "data: must be UTF-8 without NUL");
	return ERROR_NONE;
}

static bool append_text(bson_t *document, const char *key, struct text t)
{
	return bson_append_utf8(document, key, -1, t.s, (int)t.n);
}

bson_t *entry_document_new(const struct entry *entry)
{
	bson_oid_t id;
	bson_oid_init_from_string(&id, entry->id);
	bson_t *document = bson_sized_new(entry->name.n + entry->data.n + FIXED_BYTES);
	if (document && bson_append_oid(document, "_id", -1, &id) &&
	    append_text(document, "name", entry->name) &&
	    append_text(document, "data", entry->data) &&
	    append_text(document, "level", text_of(entry_level_name(entry->level))) &&
	    bson_append_date_time(document, "created_at", -1, entry->accepted_ms) &&
	    bson_append_date_time(document, "updated_at", -1, entry->accepted_ms))
		return document;
	bson_destroy(document);
	return NULL;
}

static struct text read_text(const bson_iter_t *at)
{
	uint32_t n = 0;
	const char *s = bson_iter_utf8(at, &n);
	return s ? (struct text){ s, n } : text_of("");
}

void entry_document_read(const bson_t *document, struct entry *entry, int64_t *updated_ms)
{
	*entry = (struct entry){ .level = ENTRY_INFO, .name = text_of(""), .data = text_of("") };
	*updated_ms = 0;
	bson_iter_t at;
	if (!bson_iter_init(&at, document))
		return;
	while (bson_iter_next(&at)) {
		const char *key = bson_iter_key(&at);
		if (strcmp(key, "_id") == 0 && BSON_ITER_HOLDS_OID(&at))
			bson_oid_to_string(bson_iter_oid(&at), entry->id);
		else if (strcmp(key, "name") == 0)
			entry->name = read_text(&at);
		else if (strcmp(key, "data") == 0)
			entry->data = read_text(&at);
		else if (strcmp(key, "level") == 0)
			entry_level_from_name(read_text(&at), &entry->level);
		else if (strcmp(key, "created_at") == 0 && BSON_ITER_HOLDS_DATE_TIME(&at))
			entry->accepted_ms = bson_iter_date_time(&at);
		else if (strcmp(key, "updated_at") == 0 && BSON_ITER_HOLDS_DATE_TIME(&at))
			*updated_ms = bson_iter_date_time(&at);
	}
}
