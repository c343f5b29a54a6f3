/*
 * pause: how long a trigger waits while its handler is away. Each pause is
 * longer than the one before, up to 30 s; after it a single call asks.
 */
#ifndef FLEXI_LISTENER_PAUSE_H
#define FLEXI_LISTENER_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

enum { PAUSE_FIRST_MS = 100, PAUSE_LONGEST_MS = 30000 };

/* A zeroed one is none. */
struct pause {
	int length_ms; /* of the last pause; 0: the handler answers */
	int64_t until_ms;
};

/*
 * Begins a pause, or a longer one if there was one and it is over. Returns
 * whether it did: several calls that come back at once are one reason.
 */
static inline bool pause_begin(struct pause *p, int64_t now_ms)
{
	if (p->length_ms > 0 && now_ms < p->until_ms)
		return false;
	p->length_ms = p->length_ms > 0 ? p->length_ms * 2 : PAUSE_FIRST_MS;
	if (p->length_ms > PAUSE_LONGEST_MS)
		p->length_ms = PAUSE_LONGEST_MS;
	p->until_ms = now_ms + p->length_ms;
	return true;
}

/* The handler answers. Returns whether there was a pause to end. */
static inline bool pause_end(struct pause *p)
{
	bool was = p->length_ms > 0;
	*p = (struct pause){ 0 };
	return was;
}

static inline bool pause_is_on(const struct pause *p, int64_t now_ms)
{
	return now_ms < p->until_ms;
}

/* Whether the handler was away when it was last asked. */
static inline bool pause_is_probing(const struct pause *p)
{
	return p->length_ms > 0;
}

#endif
