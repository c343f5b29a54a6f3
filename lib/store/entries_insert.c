/* entries_insert: many entries in one unordered insert, and what became of each. */
#include <stdlib.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/log.h"
#include "store/entries.h"
#include "store/entry_document.h"
#include "store/mongo.h"

enum { DUPLICATE_KEY = MONGOC_ERROR_DUPLICATE_KEY };

/* One call. sent[k] is the position among entries of the k-th document that goes out. */
struct insertion {
	const struct entry *entries;
	struct error *verdicts;
	size_t *sent;
	size_t sent_count;
	bson_t **documents;
	/* Positions of entries whose id was there already; sorted by id, then compared. */
	size_t *duplicates;
	size_t duplicate_count;
	size_t error_count;  /* documents that the server said an error of */
	bool concern_failed; /* written, but not as safely as asked for */
};

static void insertion_finish(struct insertion *in)
{
	for (size_t k = 0; in->documents && k < in->sent_count; k++)
		bson_destroy(in->documents[k]);
	free(in->documents);
	free(in->sent);
	free(in->duplicates);
}

static void verdict_none(struct error *verdict)
{
	verdict->code = ERROR_NONE;
	verdict->text[0] = '\0';
}

/* Builds a document of every entry that can be stored; the others get their verdict. */
static bool build(struct insertion *in, size_t count)
{
	in->sent = calloc(count, sizeof(*in->sent));
	in->duplicates = calloc(count, sizeof(*in->duplicates));
	in->documents = calloc(count, sizeof(void *));
	if (!in->sent || !in->duplicates || !in->documents)
		return false;
	for (size_t i = 0; i < count; i++) {
		verdict_none(&in->verdicts[i]);
		if (entry_document_check(&in->entries[i], &in->verdicts[i]))
			continue;
		size_t k = in->sent_count++;
		in->sent[k] = i;
		in->documents[k] = entry_document_new(&in->entries[i]);
		if (!in->documents[k])
			return false;
	}
	return true;
}

static int64_t member_number(const bson_iter_t *element, const char *name)
{
	bson_iter_t member;
	return bson_iter_recurse(element, &member) && bson_iter_find(&member, name)
		       ? bson_iter_as_int64(&member)
		       : -1;
}

static const char *member_text(const bson_iter_t *element, const char *name)
{
	bson_iter_t member;
	const char *s = bson_iter_recurse(element, &member) && bson_iter_find(&member, name)
				? bson_iter_utf8(&member, NULL)
				: NULL;
	return s ? s : "";
}

static void note_write_error(struct insertion *in, const bson_iter_t *element)
{
	int64_t k = member_number(element, "index");
	int64_t server_code = member_number(element, "code");
	if (k < 0 || (size_t)k >= in->sent_count || in->error_count == in->sent_count)
		return;
	size_t i = in->sent[k];
	in->error_count++;
	if (server_code == DUPLICATE_KEY) {
		in->duplicates[in->duplicate_count++] = i;
		return;
	}
	log_warning("MongoDB refused an entry", LOG_TEXT("id", in->entries[i].id),
		    LOG_INT("code", server_code),
		    LOG_TEXT("reason", member_text(element, "errmsg")));
	error_set(&in->verdicts[i], mongo_code(server_code),
		  "MongoDB refused the entry (code %lld)", (long long)server_code);
}

/* Calls note for each element of the array `name`, if the reply has it. */
static void each_element(const bson_t *reply, const char *name, struct insertion *in,
			 void (*note)(struct insertion *, const bson_iter_t *))
{
	bson_iter_t at;
	bson_iter_t element;
	if (bson_iter_init_find(&at, reply, name) && BSON_ITER_HOLDS_ARRAY(&at) &&
	    bson_iter_recurse(&at, &element)) {
		while (bson_iter_next(&element))
			note(in, &element);
	}
}

static void note_concern_error(struct insertion *in, const bson_iter_t *element)
{
	in->concern_failed = true;
	log_warning("MongoDB did not confirm a write",
		    LOG_INT("code", member_number(element, "code")),
		    LOG_TEXT("reason", member_text(element, "errmsg")));
}

/*
 * Takes what the store said of single documents, and of how safe they are. Returns whether it
 * accounts for all of them: inserted, or with an error of its own.
 */
static bool read_reply(struct insertion *in, const bson_t *reply)
{
	/* A second run starts over: what the first one stored comes back as duplicates. */
	in->duplicate_count = 0;
	in->error_count = 0;
	in->concern_failed = false;
	each_element(reply, "writeErrors", in, note_write_error);
	each_element(reply, "writeConcernErrors", in, note_concern_error);
	bson_iter_t at;
	int64_t inserted =
		bson_iter_init_find(&at, reply, "insertedCount") ? bson_iter_as_int64(&at) : 0;
	return inserted + (int64_t)in->error_count == (int64_t)in->sent_count;
}

static bool insert(mongoc_database_t *database, mongoc_collection_t *collection, void *context,
		   bson_error_t *error)
{
	(void)database;
	struct insertion *in = context;
	bson_t options = BSON_INITIALIZER;
	BSON_APPEND_BOOL(&options, "ordered", false);
	BSON_APPEND_BOOL(&options, "validate", false); /* done by entry_document_check */
	bson_t reply;
	bool ok = mongoc_collection_insert_many(collection, (const bson_t **)in->documents,
						in->sent_count, &options, &reply, error);
	bool accounted = read_reply(in, &reply);
	/* Errors of single documents are an answer, unless none came for the others. */
	if (ok && !accounted)
		bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_INVALID_STATE,
			       "fewer were inserted than sent");
	if (ok || (error->domain != MONGOC_ERROR_STREAM &&
		   error->domain != MONGOC_ERROR_SERVER_SELECTION))
		ok = accounted;
	bson_destroy(&reply);
	bson_destroy(&options);
	return ok;
}

static int compare_ids(const void *a, const void *b, void *context)
{
	const struct entry *entries = context;
	return memcmp(entries[*(const size_t *)a].id, entries[*(const size_t *)b].id,
		      ENTRY_ID_DIGITS);
}

/* The first of the sorted duplicates that does not come before id. */
static size_t first_duplicate(const struct insertion *in, const char *id)
{
	size_t low = 0;
	size_t high = in->duplicate_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memcmp(in->entries[in->duplicates[middle]].id, id, ENTRY_ID_DIGITS) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void judge_duplicates(struct insertion *in, const struct entry *stored)
{
	for (size_t d = first_duplicate(in, stored->id); d < in->duplicate_count; d++) {
		size_t i = in->duplicates[d];
		if (memcmp(in->entries[i].id, stored->id, ENTRY_ID_DIGITS) != 0)
			return;
		if (entry_same_content(&in->entries[i], stored))
			verdict_none(&in->verdicts[i]);
		else
			error_set(&in->verdicts[i], ERROR_CONFLICT,
				  "id %s: in use for another entry", stored->id);
	}
}

/* Compares what is stored under the id of one duplicate with all that have that id. */
static bool compare_one(mongoc_collection_t *collection, const mongoc_read_prefs_t *primary,
			struct insertion *in, const char *id, bson_error_t *error)
{
	bson_oid_t oid;
	bson_t filter = BSON_INITIALIZER;
	bson_t options = BSON_INITIALIZER;
	bson_oid_init_from_string(&oid, id);
	BSON_APPEND_OID(&filter, "_id", &oid);
	BSON_APPEND_INT64(&options, "limit", 1);
	mongoc_cursor_t *cursor =
		mongoc_collection_find_with_opts(collection, &filter, &options, primary);
	const bson_t *document;
	if (mongoc_cursor_next(cursor, &document)) {
		struct entry stored;
		int64_t updated_ms;
		entry_document_read(document, &stored, &updated_ms);
		judge_duplicates(in, &stored);
	}
	bool ok = !mongoc_cursor_error(cursor, error);
	mongoc_cursor_destroy(cursor);
	bson_destroy(&options);
	bson_destroy(&filter);
	return ok;
}

/* One look-up for each id: the embedded store finds an _id by its index only when asked for one. */
static bool compare(mongoc_database_t *database, mongoc_collection_t *collection, void *context,
		    bson_error_t *error)
{
	(void)database;
	struct insertion *in = context;
	/* The primary's, whatever the URL prefers: another member may not have it yet. */
	mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
	const char *last = "";
	bool ok = true;
	for (size_t d = 0; ok && d < in->duplicate_count; d++) {
		const char *id = in->entries[in->duplicates[d]].id;
		if (strcmp(id, last) == 0)
			continue;
		last = id;
		ok = compare_one(collection, primary, in, id, error);
		if (ok && clock_now_ms() > mongo_deadline_ms())
			ok = mongo_too_late(error);
	}
	mongoc_read_prefs_destroy(primary);
	return ok;
}

/* Until they are compared, nobody knows whether the stored ones are the same entries. */
static void settle_duplicates(struct insertion *in)
{
	if (in->duplicate_count == 0)
		return;
	for (size_t d = 0; d < in->duplicate_count; d++)
		error_set(&in->verdicts[in->duplicates[d]], ERROR_PEER_TIMEOUT,
			  "MongoDB did not answer in time");
	qsort_r(in->duplicates, in->duplicate_count, sizeof(*in->duplicates), compare_ids,
		(void *)in->entries);
	mongo_run(compare, in, NULL);
}

static void fail_all(struct insertion *in, const struct error *why)
{
	for (size_t k = 0; k < in->sent_count; k++)
		in->verdicts[in->sent[k]] = *why;
}

static void doubt_all(struct insertion *in)
{
	for (size_t k = 0; k < in->sent_count; k++) {
		struct error *verdict = &in->verdicts[in->sent[k]];
		if (verdict->code == ERROR_NONE)
			error_set(verdict, ERROR_PEER_TIMEOUT,
				  "MongoDB did not confirm in time that the entry is safe");
	}
}

/* That the store is away weighs more than what is wrong with one entry: it concerns the others. */
static enum error_code worst(const struct error *verdicts, size_t count, struct error *e)
{
	const struct error *first = NULL;
	for (size_t i = 0; i < count; i++) {
		enum error_code code = verdicts[i].code;
		if (error_is_pause(code) || code == ERROR_PEER_TIMEOUT)
			return error_set(e, code, "%s", verdicts[i].text);
		if (code && !first)
			first = &verdicts[i];
	}
	return first ? error_set(e, first->code, "%s", first->text) : ERROR_NONE;
}

enum error_code entries_insert(const struct entry *entries, size_t count, struct error *verdicts,
			       struct error *e)
{
	CLEANUP(insertion_finish)
	struct insertion in = { .entries = entries, .verdicts = verdicts };
	struct error why = { 0 };
	if (count == 0)
		return ERROR_NONE;
	if (!build(&in, count)) {
		error_set(&why, ERROR_INTERNAL, "out of memory");
		for (size_t i = 0; i < count; i++)
			verdicts[i] = why;
	} else if (in.sent_count > 0) {
		if (mongo_run(insert, &in, &why))
			fail_all(&in, &why);
		else
			settle_duplicates(&in);
		if (in.concern_failed)
			doubt_all(&in);
	}
	return worst(verdicts, count, e);
}
