/* mongo: the client, its timeouts, and what happens when the store is away. */
#include "store/mongo.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/limits.h"
#include "core/log.h"

/*
 * What an operation may take at most, in twelfths of STORE_TIMEOUT_MS: a first try that failed at
 * once, then selecting a server, then its answer. Together that is the whole.
 */
enum { AT_ONCE_TWELFTHS = 1, CONNECT_TWELFTHS = 4, ANSWER_TWELFTHS = 7 };

/* A rescan blocks whoever calls next. Servers that change are noticed by the errors they give. */
enum { RESCAN_MS = 10 * 60 * 1000 };

static const char *database_name = MONGO_DATABASE;
static mongoc_client_t *client;
static int64_t paused_until_ms;
static int64_t deadline_ms;

static void log_line(mongoc_log_level_t level, const char *domain, const char *message,
		     void *context)
{
	(void)context;
	/* Its warnings are about what we do not need, or come back as errors: of no use to many. */
	if (level <= MONGOC_LOG_LEVEL_CRITICAL)
		log_warning("libmongoc", LOG_TEXT("domain", domain), LOG_TEXT("reason", message));
	else if (level <= MONGOC_LOG_LEVEL_WARNING)
		log_debug("libmongoc", LOG_TEXT("domain", domain), LOG_TEXT("reason", message));
}

/*
 * libmongoc shows its counters in a file of shared memory, made before main by a
 * constructor of its own (Debian's; the environment would have to say otherwise
 * before the program starts). A program that is killed would leave the file behind,
 * and one that gets the same number later would complain of it.
 */
__attribute__((constructor)) static void hide_counters(void)
{
	char name[32];
	snprintf(name, sizeof(name), "/mongoc-%u", (unsigned)getpid());
	shm_unlink(name);
}

void mongo_init(void)
{
	static bool done;
	if (done)
		return;
	setenv("MONGOC_DISABLE_SHM", "1", 1); /* where there is no such constructor */
	mongoc_log_set_handler(log_line, NULL);
	mongoc_init();
	done = true;
}

static bool set_unless_given(mongoc_uri_t *uri, const char *option, long value)
{
	return mongoc_uri_has_option(uri, option) ||
	       mongoc_uri_set_option_as_int32(uri, option, (int32_t)value);
}

static long share_ms(int twelfths)
{
	return config()->store_timeout_ms * twelfths / 12;
}

static bool set_timeouts(mongoc_uri_t *uri)
{
	long share = share_ms(CONNECT_TWELFTHS);
	long connect = share < CONNECT_TIMEOUT_MS ? share : CONNECT_TIMEOUT_MS;
	return set_unless_given(uri, MONGOC_URI_CONNECTTIMEOUTMS, connect) &&
	       set_unless_given(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, connect) &&
	       set_unless_given(uri, MONGOC_URI_SOCKETTIMEOUTMS, share_ms(ANSWER_TWELFTHS)) &&
	       set_unless_given(uri, MONGOC_URI_HEARTBEATFREQUENCYMS, RESCAN_MS);
}

/* The library's own second try would double the time; ours is bounded, and needs no replica set. */
static bool set_behaviour(mongoc_uri_t *uri)
{
	if (!mongoc_uri_has_option(uri, MONGOC_URI_RETRYWRITES) &&
	    !mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, false))
		return false;
	if (!mongoc_uri_has_option(uri, MONGOC_URI_RETRYREADS) &&
	    !mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYREADS, false))
		return false;
	if (mongoc_uri_get_tls(uri) && !mongoc_uri_has_option(uri, MONGOC_URI_TLSCAFILE) &&
	    !mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_TLSCAFILE, config()->tls_ca_file))
		return false;
	return mongoc_uri_get_appname(uri) || !*log_program() ||
	       mongoc_uri_set_appname(uri, log_program());
}

/* Majority and journalled, where the URL does not say otherwise; it may not ask for no answer. */
static enum error_code set_write_concern(const mongoc_uri_t *uri, struct error *e)
{
	mongoc_write_concern_t *concern =
		mongoc_write_concern_copy(mongoc_client_get_write_concern(client));
	if (!mongoc_uri_has_option(uri, MONGOC_URI_W))
		mongoc_write_concern_set_w(concern, MONGOC_WRITE_CONCERN_W_MAJORITY);
	if (!mongoc_uri_has_option(uri, MONGOC_URI_JOURNAL))
		mongoc_write_concern_set_journal(concern, true);
	/* Shorter than the wait for the answer, so that a slow majority is told apart from silence.
	 */
	if (!mongoc_uri_has_option(uri, MONGOC_URI_WTIMEOUTMS))
		mongoc_write_concern_set_wtimeout_int64(concern,
							share_ms(ANSWER_TWELFTHS) * 9 / 10);
	bool answered = mongoc_write_concern_is_acknowledged(concern) &&
			mongoc_write_concern_is_valid(concern);
	if (answered)
		mongoc_client_set_write_concern(client, concern);
	mongoc_write_concern_destroy(concern);
	return answered ? ERROR_NONE
			: error_set(e, ERROR_CONFIG, "MONGO_URL: writes must be acknowledged (w)");
}

static enum error_code open_client(struct error *e)
{
	mongo_init();
	/* The library's own message may quote the password. */
	mongoc_uri_t *uri = mongoc_uri_new_with_error(config()->mongo_url, NULL);
	if (!uri)
		return error_set(e, ERROR_CONFIG, "MONGO_URL: not a URL of MongoDB");
	enum error_code code = ERROR_NONE;
	if (!set_timeouts(uri) || !set_behaviour(uri))
		code = error_set(e, ERROR_CONFIG, "MONGO_URL: an option cannot be set");
	bson_error_t error = { 0 };
	if (!code && !(client = mongoc_client_new_from_uri_with_error(uri, &error))) {
		log_error("no client of MongoDB", LOG_TEXT("reason", error.message));
		code = error_set(e, ERROR_CONFIG, "MONGO_URL: cannot be used");
	}
	if (!code) {
		mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
		code = set_write_concern(uri, e);
	}
	if (code)
		mongo_close();
	mongoc_uri_destroy(uri);
	return code;
}

/* Codes of the server that say "not now": it did nothing, or it is not known whether it did. */
static const struct {
	int64_t server_code;
	enum error_code code;
} server_codes[] = {
	{ 10107, ERROR_PEER_DOWN },    /* NotWritablePrimary */
	{ 13435, ERROR_PEER_DOWN },    /* NotPrimaryNoSecondaryOk */
	{ 13436, ERROR_PEER_DOWN },    /* NotPrimaryOrSecondary */
	{ 189, ERROR_PEER_TIMEOUT },   /* PrimarySteppedDown */
	{ 91, ERROR_PEER_TIMEOUT },    /* ShutdownInProgress */
	{ 11600, ERROR_PEER_TIMEOUT }, /* InterruptedAtShutdown */
	{ 11602, ERROR_PEER_TIMEOUT }, /* InterruptedDueToReplStateChange */
	{ 50, ERROR_PEER_TIMEOUT },    /* MaxTimeMSExpired */
	{ 64, ERROR_PEER_TIMEOUT },    /* WriteConcernFailed */
	{ 14031, ERROR_PEER_FULL },    /* OutOfDiskSpace */
	{ 10334, ERROR_TOO_LARGE },    /* BSONObjectTooLarge */
};

enum error_code mongo_code(int64_t server_code)
{
	for (size_t i = 0; i < sizeof(server_codes) / sizeof(server_codes[0]); i++) {
		if (server_codes[i].server_code == server_code)
			return server_codes[i].code;
	}
	return ERROR_PEER_ANSWER;
}

static enum error_code classify(const bson_error_t *error)
{
	switch (error->domain) {
	case MONGOC_ERROR_SERVER_SELECTION:
	case MONGOC_ERROR_CLIENT: /* its login was refused */
		return ERROR_PEER_DOWN;
	case MONGOC_ERROR_STREAM:
	case MONGOC_ERROR_PROTOCOL:
		return ERROR_PEER_TIMEOUT;
	case MONGOC_ERROR_SERVER:
		return mongo_code(error->code);
	default:
		return ERROR_PEER_ANSWER;
	}
}

static const char *sentence(enum error_code code)
{
	switch (code) {
	case ERROR_PEER_DOWN:
		return "MongoDB cannot be reached";
	case ERROR_PEER_TIMEOUT:
		return "MongoDB did not answer in time";
	case ERROR_PEER_FULL:
		return "MongoDB is out of disk space";
	case ERROR_TOO_LARGE:
		return "over MongoDB's limit for one document";
	default:
		return "MongoDB refused";
	}
}

static bool run_once(mongo_operation *operation, void *context, bson_error_t *error)
{
	mongoc_database_t *database = mongoc_client_get_database(client, database_name);
	mongoc_collection_t *entries = mongoc_database_get_collection(database, MONGO_COLLECTION);
	bool ok = operation(database, entries, context, error);
	mongoc_collection_destroy(entries);
	mongoc_database_destroy(database);
	return ok;
}

static enum error_code try_once(mongo_operation *operation, void *context, struct error *e)
{
	enum error_code code = client ? ERROR_NONE : open_client(e);
	if (code)
		return code;
	bson_error_t error = { 0 };
	if (run_once(operation, context, &error))
		return ERROR_NONE;
	code = classify(&error);
	log_warning("MongoDB failed", LOG_INT("domain", error.domain), LOG_INT("code", error.code),
		    LOG_TEXT("reason", error.message));
	if (code == ERROR_PEER_DOWN || code == ERROR_PEER_TIMEOUT)
		mongo_close();
	return error_set(e, code, "%s", sentence(code));
}

enum error_code mongo_run(mongo_operation *operation, void *context, struct error *e)
{
	int64_t now = clock_now_ms();
	if (now < paused_until_ms)
		return error_set(e, ERROR_PEER_DOWN, "%s", sentence(ERROR_PEER_DOWN));
	deadline_ms = now + config()->store_timeout_ms;
	bool kept = client != NULL;
	enum error_code code = try_once(operation, context, e);
	bool at_once = clock_now_ms() - now <= share_ms(AT_ONCE_TWELFTHS);
	if (code == ERROR_PEER_TIMEOUT && kept && at_once) {
		code = try_once(operation, context, e);
		/* Nothing was sent now, but what became of the first try is not known. */
		if (code == ERROR_PEER_DOWN)
			code = error_set(e, ERROR_PEER_TIMEOUT, "%s", sentence(ERROR_PEER_TIMEOUT));
	}
	if (code == ERROR_PEER_DOWN || code == ERROR_PEER_TIMEOUT)
		paused_until_ms = clock_now_ms() + PEER_PAUSE_MS;
	return code;
}

static bool ping(mongoc_database_t *database, mongoc_collection_t *entries, void *context,
		 bson_error_t *error)
{
	bson_t command = BSON_INITIALIZER;
	(void)entries;
	(void)context;
	BSON_APPEND_INT32(&command, "ping", 1);
	bool ok = mongoc_database_command_simple(database, &command, NULL, NULL, error);
	bson_destroy(&command);
	return ok;
}

enum error_code mongo_ping(struct error *e)
{
	return mongo_run(ping, NULL, e);
}

int64_t mongo_deadline_ms(void)
{
	return deadline_ms;
}

bool mongo_too_late(bson_error_t *error)
{
	bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET, "too late");
	return false;
}

void mongo_close(void)
{
	if (client)
		mongoc_client_destroy(client);
	client = NULL;
	paused_until_ms = 0;
}

void mongo_use_database(const char *name)
{
	database_name = name;
}
