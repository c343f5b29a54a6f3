/*
 * standin: answers 503 in the place of workers that do not come to live, so that
 * nobody waits in the backlog for nothing.
 */
#ifndef FLEXI_SPAWN_POOL_STANDIN_H
#define FLEXI_SPAWN_POOL_STANDIN_H

#include <stdbool.h>
#include <uv.h>

/* name, the handler's, must stay valid. */
void standin_init(uv_loop_t *loop, const char *name);

/* Whether to accept connections from now on; those that were accepted are answered in any case. */
void standin_serve(bool serve);

#endif
