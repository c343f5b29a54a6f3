/* postgres: connecting, and running statements, by libpq's asynchronous calls and poll(2). */
#include "store/postgres.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/limits.h"
#include "core/log.h"

/* Connections to peers that vanished are noticed by the kernel after this, idle or not. */
#define KEEPALIVE_IDLE_S     "10"
#define KEEPALIVE_INTERVAL_S "5"
#define KEEPALIVE_COUNT	     "3"

enum { MAX_CONNECT_OPTIONS = 64, NUMBER_BYTES = 24 };

static enum error_code too_late(struct error *e)
{
	return error_set(e, ERROR_PEER_TIMEOUT, "PostgreSQL did not answer in time");
}

/* Waits until the connection's socket is ready, or says that it is too late. */
static enum error_code wait_for(const PGconn *connection, short events, int64_t deadline_ms,
				struct error *e)
{
	struct pollfd p = { .fd = PQsocket(connection), .events = events };
	if (p.fd < 0)
		return error_set(e, ERROR_PEER_DOWN, "PostgreSQL cannot be reached");
	for (;;) {
		int left = clock_left_ms(deadline_ms);
		int n = left > 0 ? poll(&p, 1, left) : 0;
		if (n > 0)
			return ERROR_NONE;
		if (n == 0)
			return too_late(e);
		if (errno != EINTR)
			return error_set(e, ERROR_INTERNAL, "poll: %s", strerror(errno));
	}
}

/* The keywords and values that libpq connects with; a later one counts. */
struct connect_options {
	const char *keywords[MAX_CONNECT_OPTIONS + 1];
	const char *values[MAX_CONNECT_OPTIONS + 1];
	int count;
};

static void add_option(struct connect_options *o, const char *keyword, const char *value)
{
	if (o->count == MAX_CONNECT_OPTIONS)
		return;
	o->keywords[o->count] = keyword;
	o->values[o->count++] = value;
}

static void add_defaults(struct connect_options *o, const PQconninfoOption *dsn,
			 const char *tcp_user_timeout)
{
	add_option(o, "tcp_user_timeout", tcp_user_timeout);
	add_option(o, "keepalives", "1");
	add_option(o, "keepalives_idle", KEEPALIVE_IDLE_S);
	add_option(o, "keepalives_interval", KEEPALIVE_INTERVAL_S);
	add_option(o, "keepalives_count", KEEPALIVE_COUNT);
	add_option(o, "gssencmode", "disable");
	add_option(o, "fallback_application_name", log_program());
	/* Set in other modes, libpq would verify where the DSN does not ask for it. */
	if (strncmp(postgres_dsn_value(dsn, "sslmode"), "verify-", 7) == 0)
		add_option(o, "sslrootcert", config()->tls_ca_file);
	for (; dsn->keyword; dsn++) {
		if (dsn->val)
			add_option(o, dsn->keyword, dsn->val);
	}
}

/* Notices ("already exists, skipping") are nothing that anybody waits for. */
static void log_notice(void *context, const char *message)
{
	(void)context;
	log_debug("a notice of PostgreSQL", LOG_TEXT("notice", message));
}

static enum error_code start(const struct postgres_target *target, PGconn **connection,
			     struct error *e)
{
	CLEANUP(postgres_dsn_free) PQconninfoOption *dsn = postgres_dsn_parse(target->dsn, e);
	if (!dsn)
		return e ? e->code : ERROR_CONFIG;
	/* Without timezone, now() in a column without a time zone would be the server's local time.
	 */
	CLEANUP(buffer_finish) struct buffer session = { 0 };
	buffer_printf(&session, "-c statement_timeout=%ld -c timezone=UTC %s",
		      target->statement_timeout_ms, postgres_dsn_value(dsn, "options"));
	char user_timeout[NUMBER_BYTES];
	snprintf(user_timeout, sizeof(user_timeout), "%ld", config()->store_timeout_ms);
	struct connect_options o = { 0 };
	add_defaults(&o, dsn, user_timeout);
	add_option(&o, "options", buffer_text(&session).s);
	add_option(&o, "client_encoding", "UTF8");
	if (target->database)
		add_option(&o, "dbname", target->database);
	*connection = session.failed ? NULL : PQconnectStartParams(o.keywords, o.values, 0);
	if (!*connection)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	/* Verbose errors name the SQLSTATE, which libpq does not tell of a failed connection. */
	PQsetErrorVerbosity(*connection, PQERRORS_VERBOSE);
	PQsetNoticeProcessor(*connection, log_notice, NULL);
	return ERROR_NONE;
}

/* Finds the last ": XXXXX: " that stands behind a severity. */
static void read_sqlstate(const char *message, char sqlstate[SQLSTATE_BYTES])
{
	enum { DIGITS = SQLSTATE_BYTES - 1 };
	sqlstate[0] = '\0';
	for (const char *s = strstr(message, ":  "); s; s = strstr(s + 1, ":  ")) {
		const char *code = s + 3;
		size_t n = strspn(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		if (n == DIGITS && code[n] == ':') {
			memcpy(sqlstate, code, DIGITS);
			sqlstate[DIGITS] = '\0';
		}
	}
}

static enum error_code refused(const PGconn *connection, char sqlstate[SQLSTATE_BYTES],
			       struct error *e)
{
	char state[SQLSTATE_BYTES];
	read_sqlstate(PQerrorMessage(connection), state);
	if (sqlstate)
		memcpy(sqlstate, state, sizeof(state));
	log_warning("no connection to PostgreSQL", LOG_TEXT("reason", PQerrorMessage(connection)));
	return error_set(e, ERROR_PEER_DOWN, "PostgreSQL cannot be reached%s%s%s",
			 *state ? " (SQLSTATE " : "", state, *state ? ")" : "");
}

enum error_code postgres_connect(const struct postgres_target *target, int64_t deadline_ms,
				 PGconn **out, char sqlstate[SQLSTATE_BYTES], struct error *e)
{
	CLEANUP(postgres_finish) PGconn *connection = NULL;
	if (sqlstate)
		sqlstate[0] = '\0';
	enum error_code code = start(target, &connection, e);
	if (code)
		return code;
	PostgresPollingStatusType next = PQstatus(connection) == CONNECTION_BAD
						 ? PGRES_POLLING_FAILED
						 : PGRES_POLLING_WRITING;
	while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
		code = wait_for(connection, next == PGRES_POLLING_READING ? POLLIN : POLLOUT,
				deadline_ms, e);
		if (code)
			return code;
		next = PQconnectPoll(connection);
	}
	if (next != PGRES_POLLING_OK || PQsetnonblocking(connection, 1) != 0)
		return refused(connection, sqlstate, e);
	PQsetErrorVerbosity(connection, PQERRORS_DEFAULT);
	*out = connection;
	connection = NULL;
	return ERROR_NONE;
}

static enum error_code lost(const PGconn *connection, struct error *e)
{
	log_warning("the connection to PostgreSQL broke",
		    LOG_TEXT("reason", PQerrorMessage(connection)));
	return error_set(e, ERROR_PEER_DOWN, "PostgreSQL closed the connection");
}

static enum error_code finish_sending(PGconn *connection, int64_t deadline_ms, struct error *e)
{
	for (;;) {
		int rest = PQflush(connection);
		if (rest == 0)
			return ERROR_NONE;
		if (rest < 0)
			return lost(connection, e);
		/* The server may be waiting for us to read before it reads on. */
		enum error_code code = wait_for(connection, POLLIN | POLLOUT, deadline_ms, e);
		if (code)
			return code;
		if (!PQconsumeInput(connection))
			return lost(connection, e);
	}
}

static enum error_code next_result(PGconn *connection, int64_t deadline_ms, PGresult **result,
				   struct error *e)
{
	while (PQisBusy(connection)) {
		enum error_code code = wait_for(connection, POLLIN, deadline_ms, e);
		if (code)
			return code;
		if (!PQconsumeInput(connection))
			return lost(connection, e);
	}
	*result = PQgetResult(connection);
	return ERROR_NONE;
}

/* Reads all results of what was sent and keeps the last one, which is the failed one if any is. */
static enum error_code collect(PGconn *connection, int64_t deadline_ms, PGresult **last,
			       struct error *e)
{
	enum error_code code = finish_sending(connection, deadline_ms, e);
	while (!code) {
		PGresult *result = NULL;
		code = next_result(connection, deadline_ms, &result, e);
		if (code || !result)
			break;
		PQclear(*last);
		*last = result;
		if (PQresultStatus(result) == PGRES_COPY_IN ||
		    PQresultStatus(result) == PGRES_COPY_OUT)
			return error_set(e, ERROR_BAD_INPUT, "COPY is not for here");
	}
	if (!code && (!*last || PQstatus(connection) == CONNECTION_BAD))
		code = lost(connection, e);
	return code;
}

/* What a SQLSTATE, or the class that begins it, means to a caller. The first that fits counts. */
static const struct {
	const char *prefix;
	enum error_code code;
	const char *sentence;
} states[] = {
	{ SQLSTATE_UNIQUE_VIOLATION, ERROR_CONFLICT, "the value is in use" },
	{ "22", ERROR_BAD_INPUT, "PostgreSQL does not take the value" },
	{ "23", ERROR_BAD_INPUT, "PostgreSQL does not take the value" },
	{ "57014", ERROR_PEER_TIMEOUT, "PostgreSQL did not answer in time" },
	{ "55P03", ERROR_PEER_TIMEOUT, "PostgreSQL did not answer in time" },
	{ "57P", ERROR_PEER_DOWN, "PostgreSQL is shutting down or starting" },
	{ "08", ERROR_PEER_DOWN, "PostgreSQL closed the connection" },
	{ "53", ERROR_PEER_FULL, "PostgreSQL is out of resources" },
	{ "40", ERROR_PEER_FULL, "PostgreSQL rolled the transaction back" },
	{ "", ERROR_PEER_ANSWER, "PostgreSQL refused the statement" },
};

static enum error_code check(const PGresult *result, struct error *e)
{
	ExecStatusType status = PQresultStatus(result);
	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY)
		return ERROR_NONE;
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	size_t i = 0;
	while (strncmp(state ? state : "", states[i].prefix, strlen(states[i].prefix)) != 0)
		i++;
	if (states[i].code != ERROR_CONFLICT)
		log_warning("PostgreSQL refused", LOG_TEXT("sqlstate", state),
			    LOG_TEXT("reason", primary));
	return error_set(e, states[i].code, "%s", states[i].sentence);
}

static enum error_code finish_run(PGconn *connection, int sent, int64_t deadline_ms, PGresult **out,
				  struct error *e)
{
	CLEANUP(postgres_clear) PGresult *result = NULL;
	if (!sent)
		return lost(connection, e);
	enum error_code code = collect(connection, deadline_ms, &result, e);
	if (!code)
		code = check(result, e);
	if (out && code != ERROR_PEER_DOWN && code != ERROR_PEER_TIMEOUT) {
		*out = result;
		result = NULL;
	}
	return code;
}

enum error_code postgres_run(PGconn *connection, const struct postgres_statement *s,
			     int64_t deadline_ms, PGresult **result, struct error *e)
{
	int sent =
		PQsendQueryParams(connection, s->sql, s->count, NULL, s->parameters, NULL, NULL, 0);
	return finish_run(connection, sent, deadline_ms, result, e);
}

enum error_code postgres_run_script(PGconn *connection, const char *script, int64_t deadline_ms,
				    PGresult **result, struct error *e)
{
	return finish_run(connection, PQsendQuery(connection, script), deadline_ms, result, e);
}

static PGconn *own;

void postgres_close(void)
{
	postgres_finish(&own);
}

/*
 * Sees an end that the server has sent while the connection was idle: no round
 * trip, so no promise either, but a statement that is not sent into a closed
 * connection need not be repeated.
 */
static bool is_gone(PGconn *connection)
{
	struct pollfd p = { .fd = PQsocket(connection), .events = POLLIN };
	if (p.fd >= 0 && poll(&p, 1, 0) == 0)
		return PQstatus(connection) != CONNECTION_OK;
	return !PQconsumeInput(connection) || PQstatus(connection) != CONNECTION_OK;
}

static enum error_code query_once(const struct postgres_statement *statement, int64_t deadline_ms,
				  bool *kept, PGresult **result, struct error *e)
{
	if (own && is_gone(own))
		postgres_close();
	*kept = own != NULL;
	if (!own) {
		const struct postgres_target target = { .dsn = config()->dsn,
							.statement_timeout_ms =
								config()->store_timeout_ms };
		enum error_code code = postgres_connect(&target, deadline_ms, &own, NULL, e);
		if (code)
			return code;
	}
	enum error_code code = postgres_run(own, statement, deadline_ms, result, e);
	if (code == ERROR_PEER_DOWN || code == ERROR_PEER_TIMEOUT)
		postgres_close();
	/* A statement that went out on a connection that then broke may have been carried out. */
	if (code == ERROR_PEER_DOWN && !statement->repeatable)
		code = error_set(e, ERROR_PEER_TIMEOUT, "PostgreSQL closed the connection");
	return code;
}

enum error_code postgres_query(const struct postgres_statement *statement, PGresult **result,
			       struct error *e)
{
	int64_t deadline_ms = clock_now_ms() + config()->store_timeout_ms;
	bool kept = false;
	enum error_code code = query_once(statement, deadline_ms, &kept, result, e);
	if (code == ERROR_PEER_DOWN && kept && statement->repeatable)
		code = query_once(statement, deadline_ms, &kept, result, e);
	return code;
}

enum error_code postgres_ping(struct error *e)
{
	CLEANUP(postgres_clear) PGresult *result = NULL;
	return postgres_query(&(struct postgres_statement){ .sql = "select 1", .repeatable = true },
			      &result, e);
}

void postgres_clear(PGresult **result)
{
	PQclear(*result);
	*result = NULL;
}

void postgres_finish(PGconn **connection)
{
	PQfinish(*connection);
	*connection = NULL;
}
