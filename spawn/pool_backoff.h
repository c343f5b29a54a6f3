/*
 * backoff: how long a slot waits before it starts its worker again.
 *
 * The first restart comes at once, more or less; each death soon after a start
 * doubles the wait, up to a cap, for ever. A worker that lived a while resets it.
 * One that somebody else killed (SIGKILL) says nothing about the program.
 */
#ifndef FLEXI_SPAWN_POOL_BACKOFF_H
#define FLEXI_SPAWN_POOL_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

enum {
	BACKOFF_FIRST_MS = 50,
	BACKOFF_MOST_MS = 5000,
	/* After SIGKILL: what kills may do it again. */
	BACKOFF_KILLED_MS = 200,
	/* A worker that lived so long was all right: its death is a new story. */
	BACKOFF_RESET_MS = 3000,
	/* So many early deaths in a row, and the slot is failing. */
	BACKOFF_FAILING_DEATHS = 6,
};

/* Zeroed: nothing has died yet. */
struct backoff {
	int early_deaths; /* in a row */
};

/* A worker ended by itself after lived_ms: returns what to wait, in milliseconds. */
int backoff_after_death(struct backoff *b, int64_t lived_ms);

/* A worker was killed by SIGKILL after lived_ms: the same. */
int backoff_after_kill(struct backoff *b, int64_t lived_ms);

bool backoff_is_failing(const struct backoff *b);

#endif
