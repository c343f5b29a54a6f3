/*
 * service: the s6 service of a handler, RUN_DIR/services/PLACE.NAME.
 *
 * It is made whole under a hidden name and then renamed, so that s6-svscan never
 * sees a part of it. To remove it, it is renamed to a hidden name first: its
 * supervisor stops the pool, which finishes what is in hand, while a new
 * service of the same name may already be made beside it.
 */
#ifndef FLEXI_SPAWN_WATCH_SERVICE_H
#define FLEXI_SPAWN_WATCH_SERVICE_H

#include <stdbool.h>
#include <uv.h>

#include "core/error.h"
#include "core/limits.h"

/* Finds serve and log-run from where this program lies. */
enum error_code service_init(uv_loop_t *loop, struct error *e);

bool service_exists(const char *place, const char *name);

/* Makes the service, or brings its scripts up to date; s6 is told if it is new. */
enum error_code service_ensure(const char *place, const char *name, struct error *e);

/* Has the pool roll to the wanted version. */
void service_roll(const char *place, const char *name);

/*
 * The front door forgets the handler, its pool is told to stop. The rest is removed
 * when the pool has ended, by services_sweep.
 */
enum error_code service_remove(const char *place, const char *name, struct error *e);

/* Whether its pool runs and has announced itself to the front door. */
bool service_is_live(const char *place, const char *name);

/*
 * Looks after the services that were removed, also by an earlier watch. Called now and
 * then; returns whether there are any left. ended is called for each whose
 * pool has ended, when its directory is gone.
 */
bool services_sweep(void (*ended)(const char *place, const char *name));

/* Calls each for every service of a handler that is there. */
void services_each(void (*each)(const char *place, const char *name));

#endif
