/*
 * tool: runs a small program (of s6, mostly) beside the loop, for a limited time.
 *
 * Its standard input, output and error are ours; it gets no other descriptor.
 */
#ifndef FLEXI_SPAWN_TOOL_H
#define FLEXI_SPAWN_TOOL_H

#include <stdbool.h>
#include <uv.h>

enum { TOOL_ARGUMENTS = 12, TOOL_TIMEOUT_MS = 10000 };

/* Called when the tool has ended; good: with exit status 0. */
typedef void (*tool_done)(void *context, bool good);

/*
 * Starts argv[0], looked for in PATH, with what follows up to a NULL. It is
 * killed after TOOL_TIMEOUT_MS. done, unless NULL, is called once, from the loop,
 * also if the tool could not be started; the log then says why.
 */
void tool_run(uv_loop_t *loop, const char *const *argv, tool_done done, void *context);

#endif
