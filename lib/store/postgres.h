/*
 * postgres: connections to PostgreSQL whose every wait ends at a deadline.
 *
 * All calls of libpq are here and in the files of lib/store that include this
 * header. A wait is a poll(2) on libpq's asynchronous calls, so that a server
 * that is frozen is a timeout too, while connecting as well as later; only the
 * resolver's look-up of a host's name is bounded by the resolver alone.
 * Deadlines are monotonic milliseconds (core/clock).
 */
#ifndef FLEXI_STORE_POSTGRES_H
#define FLEXI_STORE_POSTGRES_H

#include <stdint.h>

#include <libpq-fe.h>

#include "core/buffer.h"
#include "core/error.h"

enum { SQLSTATE_BYTES = 6 };

#define SQLSTATE_UNIQUE_VIOLATION "23505"
#define SQLSTATE_NO_SUCH_DATABASE "3D000"
#define SQLSTATE_DATABASE_EXISTS  "42P04"

struct postgres_target {
	const char *dsn;	   /* a connection string or URI; `timezone` in it is passed over */
	const char *database;	   /* instead of the DSN's; NULL: the DSN's */
	long statement_timeout_ms; /* the server ends a statement after it; 0: never */
};

/*
 * Connects; the session's times are UTC. On success the caller PQfinishes
 * *connection; on error nothing is owned: ERROR_CONFIG for a DSN that cannot
 * be, ERROR_PEER_DOWN, ERROR_PEER_TIMEOUT. sqlstate, if not NULL, gets the
 * server's reason for refusing, or "".
 */
enum error_code postgres_connect(const struct postgres_target *target, int64_t deadline_ms,
				 PGconn **connection, char sqlstate[SQLSTATE_BYTES],
				 struct error *e);

/* A statement with text parameters $1, $2, …; a NULL parameter is the SQL null. */
struct postgres_statement {
	const char *sql;
	int count;
	const char *const *parameters;
	/* Whether it may run a second time when the first one's fate is not known. */
	bool repeatable;
};

/*
 * Runs one statement and waits for its result. ERROR_NONE: it succeeded and
 * the caller PQclears *result. After ERROR_PEER_DOWN and ERROR_PEER_TIMEOUT the
 * connection is out of step, to be finished. Other errors come from the
 * server's SQLSTATE, and only then *result, if not NULL, is the failed one.
 */
enum error_code postgres_run(PGconn *connection, const struct postgres_statement *statement,
			     int64_t deadline_ms, PGresult **result, struct error *e);

/* As postgres_run, for a script of several statements without parameters. */
enum error_code postgres_run_script(PGconn *connection, const char *script, int64_t deadline_ms,
				    PGresult **result, struct error *e);

/*
 * Runs one statement on the process's own connection to DSN within
 * STORE_TIMEOUT_MS. It is opened at first use and remade when it is found
 * gone; a repeatable statement is then run once more.
 */
enum error_code postgres_query(const struct postgres_statement *statement, PGresult **result,
			       struct error *e);

/* Whether PostgreSQL answers, on that connection and in that time. */
enum error_code postgres_ping(struct error *e);

/* Closes the process's own connection; the next statement opens another. */
void postgres_close(void);

/*
 * The options of a connection string or URI, without `timezone`, which libpq
 * does not know. On success the caller PQconninfoFrees it; NULL with e filled.
 */
PQconninfoOption *postgres_dsn_parse(const char *dsn, struct error *e);

/* The value of one of them, "" if it is not set. */
const char *postgres_dsn_value(const PQconninfoOption *options, const char *keyword);

/* For CLEANUP. */
void postgres_clear(PGresult **result);
void postgres_finish(PGconn **connection);
void postgres_dsn_free(PQconninfoOption **options);

#endif
