/*
 * kinds: what each kind of program is asked to find out whether it answers, and
 * what counts as an answer. An answer that says "not well" (the store is away) is
 * one: whoever is restarted for it is no better afterwards.
 */
#ifndef FLEXI_SPAWN_PROBE_KINDS_H
#define FLEXI_SPAWN_PROBE_KINDS_H

#include "core/buffer.h"
#include "core/text.h"

enum probe_verdict { PROBE_MORE, PROBE_WELL, PROBE_UNWELL };

struct probe_kind {
	const char *name;
	const char *argument; /* what the usage calls it; NULL: it takes none */

	/* Appends what is sent. */
	void (*ask)(struct buffer *out, const char *argument);

	/* Looks at everything that has come; PROBE_MORE: it decides nothing yet. */
	enum probe_verdict (*judge)(struct text answer);
};

/* By its name; NULL if there is none. */
const struct probe_kind *probe_kind(const char *name);

#endif
