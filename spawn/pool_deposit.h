/*
 * deposit: keeps the listening socket with the fd-holder (FDHOLDER_SOCKET), under
 * the id handler:PLACE/NAME, so that a pool that died finds it again.
 *
 * The socket is deposited at the start, and again whenever the holder was
 * restarted, which its own socket's ctime tells; what failed is tried again
 * every second.
 */
#ifndef FLEXI_SPAWN_POOL_DEPOSIT_H
#define FLEXI_SPAWN_POOL_DEPOSIT_H

#include <stdbool.h>
#include <uv.h>

struct deposit_options {
	uv_loop_t *loop;
	const char *holder; /* path of its socket; must stay valid */
	const char *place;
	const char *name;
	bool kept;		      /* the holder has this very socket already */
	void (*tried)(void *context); /* called once, after the first try, good or not */
	void *context;
};

void deposit_start(const struct deposit_options *options);

/* No more tries. */
void deposit_stop(void);

#endif
