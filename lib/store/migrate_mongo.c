/* migrate_mongo: the numbered files of database commands. */
#include "core/buffer.h"
#include "core/config.h"
#include "store/migrate.h"
#include "store/migration_files.h"
#include "store/mongo.h"

enum { NAMESPACE_EXISTS = 48 };

struct command {
	const bson_t *command;
	bool changed; /* whether it did something */
};

static int64_t reply_number(const bson_t *reply, const char *name)
{
	bson_iter_t at;
	return bson_iter_init_find(&at, reply, name) ? bson_iter_as_int64(&at) : 0;
}

/* createIndexes counts the indexes before and after; of other commands nothing is known. */
static bool has_changed(const bson_t *reply)
{
	if (!bson_has_field(reply, "numIndexesBefore"))
		return true;
	return reply_number(reply, "numIndexesBefore") != reply_number(reply, "numIndexesAfter");
}

static bool send_command(mongoc_database_t *database, mongoc_collection_t *entries, void *context,
			 bson_error_t *error)
{
	(void)entries;
	struct command *c = context;
	bson_t reply;
	bool ok = mongoc_database_command_simple(database, c->command, NULL, &reply, error);
	c->changed = ok && has_changed(&reply);
	if (!ok && error->domain == MONGOC_ERROR_SERVER && error->code == NAMESPACE_EXISTS)
		ok = true;
	bson_destroy(&reply);
	return ok;
}

static enum error_code send_and_wait(const struct migration *m, struct command *command,
				     struct error *e)
{
	int pause_ms = 0;
	for (;;) {
		enum error_code code = mongo_run(send_command, command, e);
		if ((code != ERROR_PEER_DOWN && code != ERROR_PEER_TIMEOUT) ||
		    !migrate_wait(m, &pause_ms, e))
			return code;
		mongo_close(); /* and with it the pause */
	}
}

static enum error_code run_command(const struct migration *m, const struct migration_file *file,
				   const bson_iter_t *element, struct error *e)
{
	const uint8_t *bytes = NULL;
	uint32_t size = 0;
	bson_t command;
	bson_iter_t first;
	if (!BSON_ITER_HOLDS_DOCUMENT(element))
		return error_set(e, ERROR_CONFIG, "%s: a command must be an object", file->name);
	bson_iter_document(element, &size, &bytes);
	if (!bson_init_static(&command, bytes, size) || !bson_iter_init(&first, &command) ||
	    !bson_iter_next(&first))
		return error_set(e, ERROR_CONFIG, "%s: a command must not be empty", file->name);
	struct command c = { .command = &command };
	const char *of = BSON_ITER_HOLDS_UTF8(&first) ? bson_iter_utf8(&first, NULL) : "";
	enum error_code code = send_and_wait(m, &c, e);
	if (!code && c.changed)
		migrate_report(m, "applied %s: %s %s", file->name, bson_iter_key(&first), of);
	return code;
}

static enum error_code run_file(const struct migration *m, const struct migration_file *file,
				struct error *e)
{
	bson_error_t error = { 0 };
	bson_t *document =
		bson_new_from_json((const uint8_t *)file->text, (ssize_t)file->size, &error);
	if (!document)
		return error_set(e, ERROR_CONFIG, "%s: %s", file->name, error.message);
	bson_iter_t at;
	bson_iter_t element;
	enum error_code code = ERROR_NONE;
	if (!bson_iter_init_find(&at, document, "commands") || !BSON_ITER_HOLDS_ARRAY(&at) ||
	    !bson_iter_recurse(&at, &element))
		code = error_set(e, ERROR_CONFIG, "%s: must be {\"commands\": […]}", file->name);
	while (!code && bson_iter_next(&element))
		code = run_command(m, file, &element, e);
	bson_destroy(document);
	return code;
}

enum error_code migrate_mongo(const struct migration *m, struct error *e)
{
	CLEANUP(migration_files_finish) struct migration_files files = { 0 };
	enum error_code code = migration_files_load(m->directory, "mongo-init", "json", &files, e);
	for (size_t i = 0; i < files.count && !code; i++)
		code = run_file(m, &files.list[i], e);
	return code;
}
