/*
 * mongo: the process's one client of MongoDB.
 *
 * All calls of libmongoc are here and in the files of lib/store that include
 * this header. The client is made at first use, so after every fork; timeouts
 * and the write concern (majority, journalled) come from STORE_TIMEOUT_MS and
 * here, unless MONGO_URL has its own. A client that could not reach the store
 * is thrown away and its successor made PEER_PAUSE_MS later: libmongoc's own
 * way back takes up to a minute, and blocks.
 */
#ifndef FLEXI_STORE_MONGO_H
#define FLEXI_STORE_MONGO_H

#include <stdint.h>

#include <mongoc/mongoc.h>

#include "core/error.h"

#define MONGO_DATABASE	 "logs"
#define MONGO_COLLECTION "logs"

/*
 * An operation on the database, or on its collection of entries. It returns
 * false with *error filled when it could not be carried out. It may run twice.
 */
typedef bool mongo_operation(mongoc_database_t *database, mongoc_collection_t *entries,
			     void *context, bson_error_t *error);

/*
 * Runs the operation; once more on a new client if the connection broke at
 * once, which is what a restarted store looks like. The whole takes at most
 * STORE_TIMEOUT_MS. ERROR_PEER_DOWN: nothing was sent. ERROR_PEER_TIMEOUT: it
 * is not known what the store did. ERROR_PEER_ANSWER, ERROR_TOO_LARGE: refused.
 */
enum error_code mongo_run(mongo_operation *operation, void *context, struct error *e);

/* Whether MongoDB answers, in the same time. */
enum error_code mongo_ping(struct error *e);

/* Sets libmongoc up, which mongo_run does too: for those that have threads, before the first. */
void mongo_init(void);

/* What a code of the server means to a caller, of the whole operation or of one document. */
enum error_code mongo_code(int64_t server_code);

/* When an operation that reads on and on must stop: monotonic milliseconds. */
int64_t mongo_deadline_ms(void);

/* Fills error so that mongo_run returns ERROR_PEER_TIMEOUT. Returns false. */
bool mongo_too_late(bson_error_t *error);

/* Throws the client away, and forgets a pause; the next operation makes another. */
void mongo_close(void);

/* Uses another database than MONGO_DATABASE, for tests. name must stay valid. */
void mongo_use_database(const char *name);

#endif
