/*
 * scratch_database: a database of its own for a test, beside the one that TEST_DSN names, whose
 * role must be allowed to create it. `migrate` makes it, scratch_database_drop removes it.
 */
#ifndef FLEXI_TESTS_SCRATCH_DATABASE_H
#define FLEXI_TESTS_SCRATCH_DATABASE_H

#include <unistd.h>

#include "core/clock.h"
#include "store/postgres.h"

enum { SCRATCH_TIMEOUT_MS = 10000 };

struct scratch_database {
	char name[64];
	char dsn[1024];
};

/* TEST_DSN with host and port replaced, unless they are NULL, and the scratch database named. */
static inline void scratch_database_dsn(const struct scratch_database *s, const char *host,
					const char *port, char *dsn, size_t size)
{
	PQconninfoOption *options = postgres_dsn_parse(getenv("TEST_DSN"), NULL);
	assert_non_null(options);
	size_t n = 0;
	for (PQconninfoOption *o = options; o->keyword; o++) {
		const char *value = o->val;
		if (host && strcmp(o->keyword, "host") == 0)
			value = host;
		if (port && strcmp(o->keyword, "port") == 0)
			value = port;
		if (value && *value && strcmp(o->keyword, "dbname") != 0)
			n += (size_t)snprintf(dsn + n, size - n, "%s='%s' ", o->keyword, value);
	}
	snprintf(dsn + n, size - n, "dbname=%s timezone=UTC", s->name);
	postgres_dsn_free(&options);
}

/* Names it; nothing is created yet. */
static inline void scratch_database_init(struct scratch_database *s, const char *test)
{
	snprintf(s->name, sizeof(s->name), "flexi_%s_%d", test, (int)getpid());
	scratch_database_dsn(s, NULL, NULL, s->dsn, sizeof(s->dsn));
}

/* Runs SQL in database, or in the scratch one if that is NULL. Returns the first value, "" if none;
 * NULL if it failed. Valid until the next call. */
static inline const char *scratch_database_query(const struct scratch_database *s,
						 const char *database, const char *sql)
{
	static char value[256];
	const struct postgres_target target = { .dsn = s->dsn, .database = database };
	int64_t deadline_ms = clock_now_ms() + SCRATCH_TIMEOUT_MS;
	CLEANUP(postgres_finish) PGconn *connection = NULL;
	CLEANUP(postgres_clear) PGresult *result = NULL;
	if (postgres_connect(&target, deadline_ms, &connection, NULL, NULL) ||
	    postgres_run_script(connection, sql, deadline_ms, &result, NULL))
		return NULL;
	snprintf(value, sizeof(value), "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
	return value;
}

static inline int scratch_database_drop(const struct scratch_database *s)
{
	char sql[128];
	snprintf(sql, sizeof(sql), "drop database if exists %s with (force)", s->name);
	return scratch_database_query(s, "postgres", sql) ? 0 : -1;
}

#endif
