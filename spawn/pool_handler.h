/*
 * handler: what the pool serves: the generation that serves, the one that is
 * being tried while it rolls, and when the one takes the other's place.
 *
 * There is one, so its functions name none.
 */
#ifndef FLEXI_SPAWN_POOL_HANDLER_H
#define FLEXI_SPAWN_POOL_HANDLER_H

#include <stdbool.h>
#include <uv.h>

#include "core/error.h"
#include "pool_options.h"
#include "pool_publish.h"

/* Starts the workers. options must stay valid. */
enum error_code handler_start(uv_loop_t *loop, const struct pool_options *options, struct error *e);

/* Rolls to the version and the settings that are there now; again, if it rolls already. */
void handler_roll(void);

/* Tells all workers to stop; stopped is called when the last one has ended. */
void handler_stop(long drain_ms, void (*stopped)(void));

/* Whether to publish NAME.status from now on. */
void handler_publish(bool publish);

#endif
