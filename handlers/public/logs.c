/* logs: stored entries for who may read them: a page of them, newest first, or one by its id. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "handler/handler.h"
#include "handler/query.h"
#include "store/entries.h"

enum {
	DEFAULT_ENTRIES = 20,
	MAX_ENTRIES = 100,
	MAX_PAGE_BYTES = 4 * 1024 *
			 1024, /* of names and data; the page ends with the entry that is over it */
	TIME_DIGITS = 16,
	CURSOR_DIGITS = TIME_DIGITS + ENTRY_ID_DIGITS,
};

static const char bearer[] = "Bearer ";

/* Another origin's page in a browser on this machine is not its user. */
static bool is_foreign_page(const struct request *rq)
{
	const char *site = request_variable(rq, "HTTP_SEC_FETCH_SITE");
	return *site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0;
}

static bool knows_token(const struct request *rq)
{
	const char *header = request_variable(rq, "HTTP_AUTHORIZATION");
	const char *token = config()->logs_token;
	return *token && strncasecmp(header, bearer, sizeof(bearer) - 1) == 0 &&
	       text_is_secret(text_of(header + sizeof(bearer) - 1), text_of(token));
}

static enum error_code check_access(const struct request *rq, struct error *e)
{
	long access = config()->logs_access;
	if (access == LOGS_ACCESS_OFF)
		return error_set(e, ERROR_NOT_FOUND, "stored entries are not shown here");
	if (knows_token(rq) || (access == LOGS_ACCESS_OPEN && !is_foreign_page(rq)))
		return ERROR_NONE;
	if (!*config()->logs_token && access == LOGS_ACCESS_TOKEN)
		log_error("LOGS_ACCESS is token, but there is no LOGS_TOKEN: nobody may read");
	return error_set(e, ERROR_CREDENTIALS, "a token is needed: Authorization: Bearer TOKEN");
}

/* A cursor is where its page ended: created_at and the id, in hexadecimal digits. */
static void write_cursor(const struct entry *last, char out[CURSOR_DIGITS + 1])
{
	snprintf(out, CURSOR_DIGITS + 1, "%016llx%s", (unsigned long long)last->accepted_ms,
		 last->id);
}

static enum error_code read_cursor(struct text cursor, struct entry_position *after,
				   struct error *e)
{
	char time[TIME_DIGITS + 1];
	if (cursor.n != CURSOR_DIGITS || strspn(cursor.s, "0123456789abcdef") != CURSOR_DIGITS)
		return error_set(e, ERROR_BAD_INPUT, "cursor: must be the `next` of another page");
	snprintf(time, sizeof(time), "%s", cursor.s);
	after->accepted_ms = (int64_t)strtoull(time, NULL, 16);
	snprintf(after->id, sizeof(after->id), "%s", cursor.s + TIME_DIGITS);
	return ERROR_NONE;
}

static int add_time(struct json_object *object, const char *name, int64_t wall_ms)
{
	char text[CLOCK_TEXT_BYTES];
	clock_text(wall_ms, text);
	return json_add_text(object, name, text_of(text));
}

/* NULL when memory is short. */
static struct json_object *entry_json(const struct stored_entry *stored)
{
	const struct entry *entry = &stored->entry;
	struct json_object *o = json_object_new_object();
	if (o && !json_add_text(o, "id", text_of(entry->id)) &&
	    !json_add_text(o, "name", entry->name) && !json_add_text(o, "data", entry->data) &&
	    !json_add_text(o, "level", text_of(entry_level_name(entry->level))) &&
	    !add_time(o, "created_at", entry->accepted_ms) &&
	    !add_time(o, "updated_at", stored->updated_ms))
		return o;
	json_object_put(o);
	return NULL;
}

static struct json_object *page_json(const struct stored_list *list)
{
	struct json_object *page = json_object_new_object();
	struct json_object *entries = json_object_new_array();
	bool ok = page && entries;
	for (size_t i = 0; i < list->count && ok; i++) {
		struct json_object *o = entry_json(&list->entries[i]);
		ok = o && json_object_array_add(entries, o) == 0;
	}
	char cursor[CURSOR_DIGITS + 1];
	if (list->more)
		write_cursor(&list->entries[list->count - 1].entry, cursor);
	ok = ok && !json_add(page, "entries", json_object_get(entries)) &&
	     !(list->more ? json_add_text(page, "next", text_of(cursor))
			  : json_object_object_add(page, "next", NULL));
	json_object_put(entries);
	if (ok)
		return page;
	json_object_put(page);
	return NULL;
}

enum { LIMIT, CURSOR, NAME, LEVEL, PARAMETERS };

static enum error_code read_query(struct query_parameter *given, struct entries_query *query,
				  struct entry_position *after, enum entry_level *level,
				  struct error *e)
{
	int64_t most = DEFAULT_ENTRIES;
	if (query_number(&given[LIMIT], 1, MAX_ENTRIES, &most, e))
		return e->code;
	if (given[CURSOR].given && read_cursor(given[CURSOR].value, after, e))
		return e->code;
	if (given[LEVEL].given && !entry_level_from_name(given[LEVEL].value, level))
		return error_set(e, ERROR_BAD_INPUT, "level: must be INFO, WARNING or ERROR");
	*query = (struct entries_query){
		.most = (size_t)most,
		.most_bytes = MAX_PAGE_BYTES,
		.after = given[CURSOR].given ? after : NULL,
		.name = given[NAME].given ? &given[NAME].value : NULL,
		.level = given[LEVEL].given ? level : NULL,
	};
	return ERROR_NONE;
}

static struct reply list_entries(struct request *rq)
{
	struct error e;
	struct query_parameter given[PARAMETERS] = {
		[LIMIT] = { .name = "limit" },
		[CURSOR] = { .name = "cursor" },
		[NAME] = { .name = "name" },
		[LEVEL] = { .name = "level" },
	};
	struct entries_query query;
	struct entry_position after;
	enum entry_level level;
	CLEANUP(buffer_finish) struct buffer room = { 0 };
	CLEANUP(stored_list_finish) struct stored_list list = { 0 };
	if (query_read(request_query(rq), given, PARAMETERS, &room, &e) ||
	    read_query(given, &query, &after, &level, &e) || entries_list(&query, &list, &e))
		return reply_error(&e);
	return reply_data(200, page_json(&list), "%zu listed", list.count);
}

static struct reply show_entry(struct request *rq, const char *id)
{
	struct error e;
	CLEANUP(buffer_finish) struct buffer room = { 0 };
	CLEANUP(stored_entry_finish) struct stored_entry stored = { 0 };
	if (query_read(request_query(rq), NULL, 0, &room, &e))
		return reply_error(&e);
	if (!entry_id_is_valid(text_of(id)))
		error_set(&e, ERROR_NOT_FOUND, "no such entry");
	else if (!entries_by_id(id, &stored, &e))
		return reply_data(200, entry_json(&stored), "entry %s", stored.entry.id);
	return reply_error(&e);
}

static struct reply logs(struct request *rq)
{
	struct error e;
	const char *path = request_path(rq);
	if (check_access(rq, &e)) {
		struct reply r = reply_error(&e);
		r.challenge = e.code == ERROR_CREDENTIALS ? "Bearer" : NULL;
		return r;
	}
	return *path && strcmp(path, "/") != 0 ? show_entry(rq, path + 1) : list_entries(rq);
}

int main(void)
{
	return handler_run(
		&(struct handler){ .methods = METHOD_GET, .call = logs, .subpaths = true });
}
