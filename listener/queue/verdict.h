/*
 * verdict: what an answer of a handler means for the items of its batch.
 *
 *	2xx of a worker with a JSON object   done, all but its "failures"
 *	any other 2xx, failures that cannot be read
 *	                                     the whole batch failed: again
 *	400, 409, 413, 422 of a worker       one item: dead; several: in halves
 *	404 or 503 not of a worker, no connection, 429 or 503 of a worker
 *	                                     nobody's fault: held, asked again later
 *	anything else                        again, each alone
 *
 * Pure: it looks at nothing but its arguments.
 */
#ifndef FLEXI_LISTENER_VERDICT_H
#define FLEXI_LISTENER_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "core/text.h"
#include "wire/json.h"

struct answer {
	int status;	     /* of HTTP; 0: there was none, and `failure` says why */
	bool worker;	     /* a worker answered, not the front door itself */
	bool connected;	     /* if there was none: whether the request may have reached anybody */
	const char *failure; /* "timeout", … */
	struct text body;
};

enum fate {
	FATE_JUDGED, /* see each item's verdict */
	FATE_HALVES, /* nothing is known but that one item is bad: each half on its own */
	FATE_HELD,   /* nothing was done: the same again after a pause, no attempt counted */
};

enum verdict_kind {
	VERDICT_DONE,
	VERDICT_AGAIN, /* one attempt more */
	VERDICT_ALONE, /* one attempt more, and then in a batch of its own */
	VERDICT_DEAD,  /* never again */
};

struct verdict {
	enum verdict_kind kind;
	struct text reason; /* lives as long as the judgement */
};

struct judgement {
	enum fate fate;
	struct verdict *verdicts;      /* one for each item; only if FATE_JUDGED */
	char reason[ERROR_TEXT_BYTES]; /* for the log, and for verdicts without one of their own */
	struct json_object *answer;
};

/*
 * Judges the answer to a batch of `count` items with these ids. The caller
 * finishes *out. When memory is short the batch is held: nothing is lost.
 */
void verdict_judge(const struct answer *answer, const struct text *ids, size_t count,
		   struct judgement *out);

void judgement_finish(struct judgement *j);

#endif
