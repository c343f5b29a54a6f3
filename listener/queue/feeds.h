/*
 * feeds: all triggers of TRIGGERS_FILE, each with its feed.
 */
#ifndef FLEXI_LISTENER_FEEDS_H
#define FLEXI_LISTENER_FEEDS_H

#include <uv.h>

#include "core/error.h"

/*
 * Reads the file and makes the feeds what it says: new triggers start, those
 * that are gone or have changed come to their end, the others are not touched.
 * On error everything stays as it was. `ready` is called once, when all
 * consumers have been established.
 */
enum error_code feeds_load(uv_loop_t *loop, void (*ready)(void), struct error *e);

/* Stops all; `stopped` is called, perhaps at once, when nothing is under way any more. */
void feeds_stop(void (*stopped)(void));

/* How many feeds still hold memory or a thread. */
int feeds_count(void);

#endif
