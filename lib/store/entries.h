/*
 * entries: the collection of log entries on MongoDB.
 *
 * One client a process. Writes are repeated by whoever calls, with the same
 * ids: a second insert of an id with the same content is a success, with other
 * content it is ERROR_CONFLICT. After a failure to reach the store, calls fail
 * at once for PEER_PAUSE_MS.
 */
#ifndef FLEXI_STORE_ENTRIES_H
#define FLEXI_STORE_ENTRIES_H

#include "entry/entry.h"

/*
 * Inserts count entries in one call. verdicts[i] tells what became of
 * entries[i]: ERROR_NONE if it is stored (journalled by a majority where the
 * store knows that), ERROR_CONFLICT, or why it is not or may not be stored.
 * Returns ERROR_NONE if every verdict is; else, also in e, ERROR_PEER_DOWN,
 * ERROR_PEER_FULL or ERROR_PEER_TIMEOUT if the store was away for any of them
 * (all of them may be sent again), or else what the first failure was.
 */
enum error_code entries_insert(const struct entry *entries, size_t count, struct error *verdicts,
			       struct error *e);

/* A stored entry owns its texts, in one allocation. */
struct stored_entry {
	struct entry entry;
	int64_t updated_ms;
	char *texts;
};

struct stored_list {
	struct stored_entry *entries;
	size_t count;
	bool more; /* whether older ones follow */
};

/* Where an entry stands in the order of all: by created_at, then by id. */
struct entry_position {
	int64_t accepted_ms;
	char id[ENTRY_ID_BYTES]; /* a valid one */
};

/* What to list. What is NULL does not matter. */
struct entries_query {
	size_t most;	   /* how many at most */
	size_t most_bytes; /* end after so many bytes of names and data; 0: never */
	const struct text *name;
	const enum entry_level *level;	    /* an entry without a level counts as INFO */
	const struct entry_position *after; /* only what is older */
};

/*
 * Newest first. An entry that is alone over most_bytes is listed all the same,
 * so that a reader who goes on after the last one comes to the end. On success
 * the caller finishes *list. ERROR_BAD_INPUT for an id that is none.
 */
enum error_code entries_list(const struct entries_query *query, struct stored_list *list,
			     struct error *e);

/* Newest first, at most `most`. On success the caller finishes *list. */
enum error_code entries_all(size_t most, struct stored_list *list, struct error *e);

/* On success the caller finishes *stored. */
enum error_code entries_by_id(const char *id, struct stored_entry *stored, struct error *e);

/* Sets name, data and level of entry->id, and updated_at. ERROR_NOT_FOUND if it is not there. */
enum error_code entries_update(const struct entry *entry, struct error *e);

/* Whether the store answers. */
enum error_code entries_ping(struct error *e);

/* Removes the collection and all that is in it. */
enum error_code entries_drop(struct error *e);

void stored_entry_finish(struct stored_entry *stored);
void stored_list_finish(struct stored_list *list);

#endif
