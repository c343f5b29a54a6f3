/*
 * generation: the workers of one version of the handler.
 *
 * A pool has one that serves; while it rolls, a second one that is being tried
 * beside it; and any number that leave, whose workers were told to stop and
 * finish the request in hand. A generation has a slot for each worker that it
 * shall have; a slot starts its worker again, with backoff, until the generation
 * leaves or is held.
 *
 * Workers of all generations share the socket, and its O_NONBLOCK: our handlers
 * set it, a plain FastCGI program ends when it meets it. So it is left as it is
 * at first; when a worker dies soon after it was started with O_NONBLOCK, its
 * generation gets the socket without, and that death does not count. What the
 * workers of a generation that has proved itself made of it is kept for it.
 */
#ifndef FLEXI_SPAWN_POOL_GENERATION_H
#define FLEXI_SPAWN_POOL_GENERATION_H

#include <stdbool.h>
#include <uv.h>

#include "layout.h"
#include "pool_roll.h"
#include "pool_worker.h"

struct generation;

struct generation_options {
	uv_loop_t *loop;
	const struct worker_command *command; /* copied; its program too, not its arguments */
	const char *hash;		      /* of the version; "" if it has none */
	int workers;
	void (*changed)(void *context); /* a worker was started or died */
	void *context;
};

/* NULL if memory is short. Starts nothing yet. */
struct generation *generation_new(const struct generation_options *options);

/* Starts every worker that is missing and not due later. */
void generation_start(struct generation *g);

/* Starts no worker again until generation_start. */
void generation_hold(struct generation *g);

/* It has proved itself. */
void generation_settled(struct generation *g);

/*
 * Tells its workers to stop: SIGTERM now, SIGKILL to who is left after drain_ms.
 * The caller gives it up: it frees itself when its last worker has ended.
 */
void generation_leave(struct generation *g, long drain_ms);

/* Looks for workers, of any generation, that ended. */
void generations_reap(void);

/* How many workers were told to stop and have not ended yet. */
int generations_leaving(void);

const char *generation_hash(const struct generation *g);
void generation_rename(struct generation *g, const char *hash);
int generation_wanted(const struct generation *g);
int generation_running(const struct generation *g);
long generation_restarts(const struct generation *g);

/* Whether it has no worker, because each died again and again soon after its start. */
bool generation_is_failing(const struct generation *g);

/* What roll_judge wants to know. */
struct roll generation_roll(const struct generation *g);

#endif
