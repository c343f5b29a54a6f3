/*
 * handlers: what lies in HANDLERS_DIR, and what was made of it.
 *
 * Whenever a file may have changed, handlers_touch has it looked at a moment
 * later. What is executable, whole and at rest is copied and becomes a handler, or
 * the next version of it; what is gone stops being one. A file that is not
 * executable (any more) or being written changes nothing at first, because it
 * may be on its way; an old one that stays so is taken for removed.
 */
#ifndef FLEXI_SPAWN_WATCH_HANDLERS_H
#define FLEXI_SPAWN_WATCH_HANDLERS_H

#include <stdbool.h>
#include <uv.h>

void handlers_init(uv_loop_t *loop);

/* Something happened to the file `word` in the directory of that place. */
void handlers_touch(const char *place, const char *word);

/* Has everything looked at that is there, that was there, or that has a service. */
void handlers_rescan(void);

/* Whether something was touched that has not been settled yet. */
bool handlers_are_busy(void);

/* Calls each for every handler that has a service. */
void handlers_each(void (*each)(const char *place, const char *name, void *context), void *context);

#endif
