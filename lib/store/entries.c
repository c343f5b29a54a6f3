/* entries: reading, changing and dropping; inserting is in entries_insert.c. */
#include "store/entries.h"

#include <stdlib.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/utf8.h"
#include "store/entry_document.h"
#include "store/mongo.h"

enum { NAMESPACE_NOT_FOUND = 26, FIRST_ROOM = 32 };

/* Copies what the document holds into one allocation; false if short of memory. */
static bool copy_stored(const bson_t *document, struct stored_entry *stored)
{
	struct stored_entry s = { 0 };
	entry_document_read(document, &s.entry, &s.updated_ms);
	size_t name = s.entry.name.n;
	size_t data = s.entry.data.n;
	s.texts = malloc(name + data + 2);
	if (!s.texts)
		return false;
	memcpy(s.texts, s.entry.name.s, name);
	s.texts[name] = '\0';
	memcpy(s.texts + name + 1, s.entry.data.s, data);
	s.texts[name + 1 + data] = '\0';
	/* Others may have written what is not UTF-8. */
	for (char *at = s.texts; at < s.texts + name + data + 2; at += strlen(at) + 1)
		utf8_mend(at);
	s.entry.name.s = s.texts;
	s.entry.data.s = s.texts + name + 1;
	*stored = s;
	return true;
}

static bool out_of_memory(bson_error_t *error)
{
	bson_set_error(error, MONGOC_ERROR_BSON, MONGOC_ERROR_BSON_INVALID, "out of memory");
	return false;
}

static bool by_id_filter(bson_t *filter, const char *id)
{
	bson_oid_t oid;
	bson_oid_init_from_string(&oid, id);
	return BSON_APPEND_OID(filter, "_id", &oid);
}

/* A read of stored entries: one by its id, or those of a query. */
struct reading {
	const char *id; /* NULL: those of the query */
	const struct entries_query *query;
	size_t room;
	size_t bytes;
	struct stored_list list;
};

/* {created_at: {$lte: T}, $or: [{created_at: {$lt: T}}, {_id: {$lt: ID}}]}: T bounds the index. */
static void append_older(bson_t *filter, const struct entry_position *after)
{
	bson_t inner;
	bson_t either;
	bson_t branch;
	bson_oid_t id;
	bson_oid_init_from_string(&id, after->id);
	BSON_APPEND_DOCUMENT_BEGIN(filter, "created_at", &inner);
	BSON_APPEND_DATE_TIME(&inner, "$lte", after->accepted_ms);
	bson_append_document_end(filter, &inner);
	BSON_APPEND_ARRAY_BEGIN(filter, "$or", &either);
	BSON_APPEND_DOCUMENT_BEGIN(&either, "0", &branch);
	BSON_APPEND_DOCUMENT_BEGIN(&branch, "created_at", &inner);
	BSON_APPEND_DATE_TIME(&inner, "$lt", after->accepted_ms);
	bson_append_document_end(&branch, &inner);
	bson_append_document_end(&either, &branch);
	BSON_APPEND_DOCUMENT_BEGIN(&either, "1", &branch);
	BSON_APPEND_DOCUMENT_BEGIN(&branch, "_id", &inner);
	BSON_APPEND_OID(&inner, "$lt", &id);
	bson_append_document_end(&branch, &inner);
	bson_append_document_end(&either, &branch);
	bson_append_array_end(filter, &either);
}

/* Reads as entry_document does: where there is no level, it is INFO. */
static void append_level(bson_t *filter, enum entry_level level)
{
	bson_t condition;
	bson_t names;
	if (level != ENTRY_INFO) {
		BSON_APPEND_UTF8(filter, "level", entry_level_name(level));
		return;
	}
	BSON_APPEND_DOCUMENT_BEGIN(filter, "level", &condition);
	BSON_APPEND_ARRAY_BEGIN(&condition, "$in", &names);
	BSON_APPEND_UTF8(&names, "0", entry_level_name(level));
	BSON_APPEND_NULL(&names, "1");
	bson_append_array_end(&condition, &names);
	bson_append_document_end(filter, &condition);
}

static void write_query(const struct entries_query *query, bson_t *filter, bson_t *options)
{
	bson_t sort;
	if (query->name)
		bson_append_utf8(filter, "name", -1, query->name->s, (int)query->name->n);
	if (query->level)
		append_level(filter, *query->level);
	if (query->after)
		append_older(filter, query->after);
	BSON_APPEND_DOCUMENT_BEGIN(options, "sort", &sort);
	BSON_APPEND_INT32(&sort, "created_at", -1);
	BSON_APPEND_INT32(&sort, "_id", -1);
	bson_append_document_end(options, &sort);
	/* One more than wanted tells that there are more. */
	BSON_APPEND_INT64(options, "limit",
			  query->most >= INT64_MAX ? INT64_MAX : (int64_t)query->most + 1);
}

/* Whether what the query wants is there already; then the document at hand is of the next page. */
static bool is_complete(const struct reading *reading)
{
	const struct entries_query *query = reading->query;
	return query && (reading->list.count == query->most ||
			 (query->most_bytes && reading->bytes >= query->most_bytes));
}

static bool take(struct reading *reading, const bson_t *document, bson_error_t *error)
{
	struct stored_list *list = &reading->list;
	if (is_complete(reading)) {
		list->more = true;
		return true;
	}
	if (list->count == reading->room) {
		size_t room = reading->room ? reading->room * 2 : FIRST_ROOM;
		struct stored_entry *entries = reallocarray(list->entries, room, sizeof(*entries));
		if (!entries)
			return out_of_memory(error);
		list->entries = entries;
		reading->room = room;
	}
	if (!copy_stored(document, &list->entries[list->count]))
		return out_of_memory(error);
	reading->bytes +=
		list->entries[list->count].entry.name.n + list->entries[list->count].entry.data.n;
	list->count++;
	return clock_now_ms() <= mongo_deadline_ms() || mongo_too_late(error);
}

static bool read_stored(mongoc_database_t *database, mongoc_collection_t *collection, void *context,
			bson_error_t *error)
{
	(void)database;
	struct reading *reading = context;
	stored_list_finish(&reading->list); /* of a first run that failed */
	reading->room = reading->bytes = 0;
	bson_t filter = BSON_INITIALIZER;
	bson_t options = BSON_INITIALIZER;
	if (reading->id)
		by_id_filter(&filter, reading->id);
	else
		write_query(reading->query, &filter, &options);
	mongoc_cursor_t *cursor =
		mongoc_collection_find_with_opts(collection, &filter, &options, NULL);
	const bson_t *document;
	bool ok = true;
	while (ok && !reading->list.more && mongoc_cursor_next(cursor, &document))
		ok = take(reading, document, error);
	ok = ok && !mongoc_cursor_error(cursor, error);
	mongoc_cursor_destroy(cursor);
	bson_destroy(&options);
	bson_destroy(&filter);
	return ok;
}

static enum error_code check_id(const char *id, struct error *e)
{
	if (!entry_id_is_valid(text_of(id)))
		return error_set(e, ERROR_BAD_INPUT, "id: must be 24 hexadecimal digits");
	return ERROR_NONE;
}

static enum error_code check_query(const struct entries_query *query, struct error *e)
{
	if (query->name && !bson_utf8_validate(query->name->s, query->name->n, false))
		return error_set(e, ERROR_BAD_INPUT, "name: must be UTF-8 without NUL");
	return query->after ? check_id(query->after->id, e) : ERROR_NONE;
}

enum error_code entries_list(const struct entries_query *query, struct stored_list *list,
			     struct error *e)
{
	*list = (struct stored_list){ 0 };
	struct reading reading = { .query = query };
	enum error_code code = check_query(query, e);
	if (code || query->most == 0) /* to MongoDB that would be no limit */
		return code;
	code = mongo_run(read_stored, &reading, e);
	if (code)
		stored_list_finish(&reading.list);
	else
		*list = reading.list;
	return code;
}

enum error_code entries_all(size_t most, struct stored_list *list, struct error *e)
{
	return entries_list(&(struct entries_query){ .most = most }, list, e);
}

enum error_code entries_by_id(const char *id, struct stored_entry *stored, struct error *e)
{
	CLEANUP(stored_list_finish) struct stored_list list = { 0 };
	struct reading reading = { .id = id };
	enum error_code code = check_id(id, e);
	if (!code)
		code = mongo_run(read_stored, &reading, e);
	list = reading.list;
	if (code)
		return code;
	if (list.count == 0)
		return error_set(e, ERROR_NOT_FOUND, "no such entry");
	*stored = list.entries[0];
	list.entries[0] = (struct stored_entry){ 0 };
	return ERROR_NONE;
}

struct update {
	const struct entry *entry;
	bool found;
};

static bool update(mongoc_database_t *database, mongoc_collection_t *collection, void *context,
		   bson_error_t *error)
{
	(void)database;
	struct update *u = context;
	const struct entry *entry = u->entry;
	const char *level = entry_level_name(entry->level);
	bson_t filter = BSON_INITIALIZER;
	bson_t change = BSON_INITIALIZER;
	bson_t set;
	bson_t reply;
	by_id_filter(&filter, entry->id);
	BSON_APPEND_DOCUMENT_BEGIN(&change, "$set", &set);
	bson_append_utf8(&set, "name", -1, entry->name.s, (int)entry->name.n);
	bson_append_utf8(&set, "data", -1, entry->data.s, (int)entry->data.n);
	bson_append_utf8(&set, "level", -1, level, -1);
	bson_append_date_time(&set, "updated_at", -1, clock_wall_ms());
	bson_append_document_end(&change, &set);
	bool ok = mongoc_collection_update_one(collection, &filter, &change, NULL, &reply, error);
	bson_iter_t at;
	u->found = bson_iter_init_find(&at, &reply, "matchedCount") && bson_iter_as_int64(&at) > 0;
	bson_destroy(&reply);
	bson_destroy(&change);
	bson_destroy(&filter);
	return ok;
}

enum error_code entries_update(const struct entry *entry, struct error *e)
{
	struct update u = { .entry = entry };
	enum error_code code = entry_document_check(entry, e);
	if (!code)
		code = mongo_run(update, &u, e);
	if (!code && !u.found)
		code = error_set(e, ERROR_NOT_FOUND, "no such entry");
	return code;
}

static bool drop(mongoc_database_t *database, mongoc_collection_t *collection, void *context,
		 bson_error_t *error)
{
	(void)database;
	(void)context;
	return mongoc_collection_drop_with_opts(collection, NULL, error) ||
	       (error->domain == MONGOC_ERROR_SERVER && error->code == NAMESPACE_NOT_FOUND);
}

enum error_code entries_drop(struct error *e)
{
	return mongo_run(drop, NULL, e);
}

static bool ping(mongoc_database_t *database, mongoc_collection_t *collection, void *context,
		 bson_error_t *error)
{
	(void)collection;
	(void)context;
	bson_t command = BSON_INITIALIZER;
	BSON_APPEND_INT32(&command, "ping", 1);
	bool ok = mongoc_database_command_simple(database, &command, NULL, NULL, error);
	bson_destroy(&command);
	return ok;
}

enum error_code entries_ping(struct error *e)
{
	return mongo_run(ping, NULL, e);
}

void stored_entry_finish(struct stored_entry *stored)
{
	free(stored->texts);
	*stored = (struct stored_entry){ 0 };
}

void stored_list_finish(struct stored_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		stored_entry_finish(&list->entries[i]);
	free(list->entries);
	*list = (struct stored_list){ 0 };
}
