/*
 * publish: what a pool tells others by files under RUN_DIR/PLACE.
 *
 * NAME.live, with the pool's pid in it, says to the front door that the handler
 * exists. It outlives the pool on purpose: a request that comes while a pool
 * restarts waits in the socket's backlog. watch removes it with the handler.
 *
 * NAME.status is JSON, one object in one line, replaced whole at each change:
 *
 *	{"pid":7,"place":"public","name":"hello","state":"serving",
 *	 "since":"2026-01-31T23:59:59.999Z","version":"<64 hex digits>",
 *	 "protocol":"fastcgi","workers":{"wanted":2,"running":2,"leaving":0},
 *	 "restarts":0,"refused":""}
 *
 * state: "starting" in the first second; "serving"; "rolling" while a new version is being tried; "failing": no
 * worker, for each dies soon after its start; "stopping". since: when this pool
 * started. version: the content's hash, "" for a program named on the command line.
 * restarts: workers that had to be started again since then. refused: the version
 * that was tried last and not taken, "" after one was taken. The file outlives
 * the pool too: only while pid runs is it true.
 */
#ifndef FLEXI_SPAWN_POOL_PUBLISH_H
#define FLEXI_SPAWN_POOL_PUBLISH_H

#include "core/error.h"

struct status {
	const char *place;
	const char *name;
	const char *state;
	const char *version;
	const char *protocol;
	const char *refused;
	int wanted;
	int running;
	int leaving;
	long restarts;
};

/* Makes NAME.live, atomically. */
enum error_code publish_live(const char *place, const char *name, struct error *e);

enum error_code publish_status(const struct status *status, struct error *e);

#endif
