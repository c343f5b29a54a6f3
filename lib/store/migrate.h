/*
 * migrate: brings PostgreSQL and MongoDB to what this version needs.
 *
 * A migration begins by waiting for PostgreSQL, creating the DSN's database if
 * it is missing and the role may, and taking an advisory lock there: so of two
 * migrations at the same time the second waits for the first, and then finds
 * nothing to do.
 *
 * sql/NNN_name.sql: each file is applied once, in the order of the numbers, in
 * one transaction with its row in the table migrations (so it may not begin or
 * commit one itself). A file that has changed since is an error.
 * sql/seed/SEED/NNN_name.sql: the same, only if a seed is named.
 * The first user: where no seed is named, admin_email gets one with
 * admin_password unless there is one of that address, whose password stays. A
 * development user who still has the development password stops the migration.
 * mongo-init/NNN_name.json: {"commands": [{…}, …]}, database commands in
 * MongoDB's extended JSON. They are sent each time, so they must do no harm the
 * second time; a collection that was dropped has its indexes again after it.
 */
#ifndef FLEXI_STORE_MIGRATE_H
#define FLEXI_STORE_MIGRATE_H

#include <stdint.h>

#include "core/error.h"

struct migration {
	const char *directory;	    /* what holds sql/ and mongo-init/ */
	const char *seed;	    /* "": none */
	const char *admin_email;    /* NULL or "": none */
	const char *admin_password; /* NULL or "": the user is there already */
	int64_t deadline_ms;	    /* how long to wait for a service that is down: monotonic */
	/* Gets one line for each thing that was done. */
	void (*report)(void *context, const char *line);
	/* Is told before each pause why there is one. Either may be NULL. */
	void (*waiting)(void *context, const struct error *why);
	void *context;
};

/* The lock, and the connection that holds it. */
struct migration_lock;

/*
 * On success the caller ends *lock. ERROR_CONFIG for what waiting cannot mend
 * (a login that is refused, a database that may not be created).
 */
enum error_code migrate_begin(const struct migration *m, struct migration_lock **lock,
			      struct error *e);
enum error_code migrate_sql(const struct migration *m, struct migration_lock *lock,
			    struct error *e);
enum error_code migrate_mongo(const struct migration *m, struct error *e);

/* Whether admin_email and admin_password can be. Asks nobody: ERROR_CONFIG names the setting. */
enum error_code migrate_admin_check(const struct migration *m, struct error *e);

/* After migrate_sql, while the lock is held. ERROR_CONFIG for what a person must settle. */
enum error_code migrate_admin(const struct migration *m, struct error *e);

/* NULL is allowed. */
void migrate_end(struct migration_lock *lock);

/* Reports a line, as printf makes it. */
void migrate_report(const struct migration *m, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Waits a little before the next try to reach a service, of which why is the
 * last error; false if the deadline has come. The first call has *pause_ms 0.
 */
bool migrate_wait(const struct migration *m, int *pause_ms, const struct error *why);

#endif
