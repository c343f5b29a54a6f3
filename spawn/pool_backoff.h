/*
 * backoff: how long a slot waits before it starts its worker again.
 *
 * The first restart comes at once, more or less; each death soon after a start
 * doubles the wait, up to a cap, for ever. A worker that lived a while resets it.
 */
#ifndef FLEXI_SPAWN_POOL_BACKOFF_H
#define FLEXI_SPAWN_POOL_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

enum {
	BACKOFF_FIRST_MS = 50,
	BACKOFF_MOST_MS = 5000,
	/* A worker that lived so long was all right: its death is a new story. */
	BACKOFF_RESET_MS = 3000,
	/* So many early deaths in a row, and the slot is failing. */
	BACKOFF_FAILING_DEATHS = 6,
};

/* Zeroed: nothing has died yet. */
struct backoff {
	int early_deaths; /* in a row */
};

/* A worker died after lived_ms: returns what to wait, in milliseconds. */
int backoff_after_death(struct backoff *b, int64_t lived_ms);

bool backoff_is_failing(const struct backoff *b);

#endif
