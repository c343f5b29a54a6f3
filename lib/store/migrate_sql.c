/* migrate_sql: the database, its lock, and the numbered SQL files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/config.h"
#include "store/migrate.h"
#include "store/migration_files.h"
#include "store/postgres.h"

/* How long one file, or another migration that holds the lock, may take. */
enum { MIGRATION_TIMEOUT_MS = 10 * 60 * 1000 };

/* Any number will do that nobody else takes: "flexi" in ASCII. */
#define ADVISORY_LOCK "439788627049"

/* Where to be while the DSN's own database does not exist. */
#define MAINTENANCE_DATABASE "postgres"

struct migration_lock {
	PGconn *connection;
};

static enum error_code connect_to(const char *database, PGconn **connection,
				  char sqlstate[SQLSTATE_BYTES], struct error *e)
{
	const struct postgres_target target = { .dsn = config()->dsn, .database = database };
	return postgres_connect(&target, clock_now_ms() + config()->store_timeout_ms, connection,
				sqlstate, e);
}

/* The name of the DSN's database; libpq takes the user's where none is named. */
static enum error_code database_name(char **name, struct error *e)
{
	CLEANUP(postgres_dsn_free) PQconninfoOption *dsn = postgres_dsn_parse(config()->dsn, e);
	if (!dsn)
		return ERROR_CONFIG;
	const char *database = postgres_dsn_value(dsn, "dbname");
	if (!*database)
		database = postgres_dsn_value(dsn, "user");
	*name = strdup(database);
	return *name ? ERROR_NONE : error_set(e, ERROR_INTERNAL, "out of memory");
}

static void free_text(char **text)
{
	free(*text);
}

static enum error_code create_database(const struct migration *m, struct error *e)
{
	CLEANUP(free_text) char *name = NULL;
	CLEANUP(postgres_finish) PGconn *connection = NULL;
	CLEANUP(postgres_clear) PGresult *result = NULL;
	CLEANUP(buffer_finish) struct buffer sql = { 0 };
	enum error_code code = database_name(&name, e);
	if (code)
		return code;
	if (connect_to(MAINTENANCE_DATABASE, &connection, NULL, NULL))
		return error_set(e, ERROR_CONFIG,
				 "DSN: database %s does not exist, and cannot be created from here",
				 name);
	char *quoted = PQescapeIdentifier(connection, name, strlen(name));
	buffer_printf(&sql, "create database %s", quoted ? quoted : "");
	PQfreemem(quoted);
	const struct postgres_statement create = { .sql = buffer_text(&sql).s };
	code = postgres_run(connection, &create, clock_now_ms() + MIGRATION_TIMEOUT_MS, &result,
			    NULL);
	const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	if (!code)
		migrate_report(m, "created database %s", name);
	else if (!state || (strcmp(state, SQLSTATE_DATABASE_EXISTS) != 0 &&
			    strcmp(state, SQLSTATE_UNIQUE_VIOLATION) != 0))
		return error_set(e, ERROR_CONFIG,
				 "DSN: database %s does not exist, and this user may not create it "
				 "(SQLSTATE %s)",
				 name, state ? state : "unknown");
	return ERROR_NONE; /* or another migration was faster */
}

static enum error_code lock_database(PGconn *connection, struct error *e)
{
	const struct postgres_statement lock = { .sql = "select pg_advisory_lock(" ADVISORY_LOCK
							")" };
	enum error_code code =
		postgres_run(connection, &lock, clock_now_ms() + MIGRATION_TIMEOUT_MS, NULL, e);
	if (code == ERROR_PEER_TIMEOUT)
		error_set(e, code, "another migration has been at work for too long");
	return code;
}

/* Connects, as long as waiting can help; creates the database once if that is what is missing. */
static enum error_code wait_and_connect(const struct migration *m, PGconn **connection,
					struct error *e)
{
	char sqlstate[SQLSTATE_BYTES];
	int pause_ms = 0;
	bool created = false;
	for (;;) {
		enum error_code code = connect_to(NULL, connection, sqlstate, e);
		if (!code || code == ERROR_CONFIG || code == ERROR_INTERNAL)
			return code;
		if (strcmp(sqlstate, SQLSTATE_NO_SUCH_DATABASE) == 0 && !created) {
			created = true;
			code = create_database(m, e);
			if (code)
				return code;
			continue;
		}
		if (strncmp(sqlstate, "28", 2) == 0)
			return error_set(e, ERROR_CONFIG,
					 "DSN: PostgreSQL refuses the login (SQLSTATE %s)",
					 sqlstate);
		if (!migrate_wait(m, &pause_ms, e))
			return code;
	}
}

enum error_code migrate_begin(const struct migration *m, struct migration_lock **lock,
			      struct error *e)
{
	CLEANUP(postgres_finish) PGconn *connection = NULL;
	enum error_code code = wait_and_connect(m, &connection, e);
	if (!code)
		code = lock_database(connection, e);
	if (code)
		return code;
	*lock = malloc(sizeof(**lock));
	if (!*lock)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	**lock = (struct migration_lock){ connection };
	connection = NULL;
	return ERROR_NONE;
}

void migrate_end(struct migration_lock *lock)
{
	if (lock)
		postgres_finish(&lock->connection);
	free(lock);
}

static enum error_code run(PGconn *connection, const char *sql, int count,
			   const char *const *parameters, PGresult **result, struct error *e)
{
	const struct postgres_statement statement = { .sql = sql,
						      .count = count,
						      .parameters = parameters };
	return postgres_run(connection, &statement, clock_now_ms() + MIGRATION_TIMEOUT_MS, result,
			    e);
}

/* Says where and why the server refused a file, to the person who wrote it. */
static enum error_code explain(const struct migration_file *file, const PGresult *result,
			       enum error_code code, struct error *e)
{
	const char *reason = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
	const char *position =
		result ? PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION) : NULL;
	if (!reason)
		return code;
	int line = 1;
	long left = position ? strtol(position, NULL, 10) : 1;
	for (const char *s = file->text; *s && left > 1; s++) {
		line += *s == '\n';
		left -= ((unsigned char)*s & 0xC0) != 0x80; /* counted in characters */
	}
	if (position)
		return error_set(e, code, "%s: line %d: %s", file->name, line, reason);
	return error_set(e, code, "%s: %s", file->name, reason);
}

static enum error_code run_file(PGconn *connection, const struct migration_file *file,
				struct error *e)
{
	CLEANUP(postgres_clear) PGresult *result = NULL;
	enum error_code code = postgres_run_script(
		connection, file->text, clock_now_ms() + MIGRATION_TIMEOUT_MS, &result, e);
	if (code)
		return explain(file, result, code, e);
	if (PQtransactionStatus(connection) != PQTRANS_INTRANS)
		return error_set(e, ERROR_CONFIG,
				 "%s: must not begin or end a transaction: it runs inside one",
				 file->name);
	return ERROR_NONE;
}

static enum error_code apply(PGconn *connection, const struct migration_file *file, struct error *e)
{
	const char *row[] = { file->name, file->checksum };
	enum error_code code = run(connection, "begin", 0, NULL, NULL, e);
	if (!code)
		code = run_file(connection, file, e);
	if (!code)
		code = run(connection, "insert into migrations (name, checksum) values ($1, $2)", 2,
			   row, NULL, e);
	if (!code)
		code = run(connection, "commit", 0, NULL, NULL, e);
	if (code)
		run(connection, "rollback", 0, NULL, NULL, NULL);
	return code;
}

static enum error_code apply_if_new(const struct migration *m, PGconn *connection,
				    const struct migration_file *file, struct error *e)
{
	CLEANUP(postgres_clear) PGresult *result = NULL;
	const char *name[] = { file->name };
	enum error_code code = run(connection, "select checksum from migrations where name = $1", 1,
				   name, &result, e);
	if (code)
		return code;
	if (PQntuples(result) == 0) {
		code = apply(connection, file, e);
		if (!code)
			migrate_report(m, "applied %s", file->name);
		return code;
	}
	if (strcmp(PQgetvalue(result, 0, 0), file->checksum) != 0)
		return error_set(e, ERROR_CONFIG,
				 "%s: was applied with other contents; put them back, and add a "
				 "file for the change",
				 file->name);
	return ERROR_NONE;
}

static enum error_code apply_directory(const struct migration *m, PGconn *connection,
				       const char *directory, struct error *e)
{
	CLEANUP(migration_files_finish) struct migration_files files = { 0 };
	enum error_code code = migration_files_load(m->directory, directory, "sql", &files, e);
	for (size_t i = 0; i < files.count && !code; i++)
		code = apply_if_new(m, connection, &files.list[i], e);
	return code;
}

static const char create_table[] = "create table if not exists migrations ("
				   "name text primary key, "
				   "checksum text not null, "
				   "applied_at timestamptz not null default now())";

enum error_code migrate_sql(const struct migration *m, struct migration_lock *lock, struct error *e)
{
	enum error_code code = run(lock->connection, create_table, 0, NULL, NULL, e);
	if (!code)
		code = apply_directory(m, lock->connection, "sql", e);
	if (code || !*m->seed)
		return code;
	if (strspn(m->seed, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(m->seed))
		return error_set(e, ERROR_CONFIG, "SEED: must be letters, digits and hyphens");
	CLEANUP(buffer_finish) struct buffer directory = { 0 };
	buffer_printf(&directory, "sql/seed/%s", m->seed);
	return apply_directory(m, lock->connection, buffer_text(&directory).s, e);
}
