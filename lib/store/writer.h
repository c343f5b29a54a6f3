/*
 * writer: group commit. Entries that come one by one are stored in batches.
 *
 * While one batch is being inserted the next one gathers. After a batch of
 * several the next one waits up to WRITER_GATHER_US to be as large; nothing
 * delays a lone entry. The inserts run in a thread of the writer's own (one in flight);
 * everything else, and every callback, runs in the loop's thread. A daemon has
 * one writer, and calls nothing else of lib/store/entries while it is open.
 *
 * An entry that is neither stored nor refused within the timeout is answered
 * ERROR_PEER_TIMEOUT: it may still be stored. While the store cannot be reached
 * the thread asks after it every PEER_PAUSE_MS, so that the writer is well
 * again whether entries come or not.
 */
#ifndef FLEXI_STORE_WRITER_H
#define FLEXI_STORE_WRITER_H

#include <uv.h>

#include "entry/entry.h"

enum {
	WRITER_MAX_WAITING = 16384,
	WRITER_MAX_BYTES = 16 * 1024 * 1024,
	WRITER_MAX_BATCH = 500,
	WRITER_GATHER_US = 2000,
	/* Of names and data: a larger batch would take too much of the timeout. */
	WRITER_MAX_BATCH_BYTES = 4 * 1024 * 1024,
};

struct writer;

/* What became of an entry: e->code is ERROR_NONE if it is stored. Called once for every put. */
typedef void writer_done(void *context, const struct error *e);

struct writer_options {
	size_t max_waiting; /* entries waiting or being stored; 0: WRITER_MAX_WAITING */
	size_t max_bytes;   /* of their names and data; 0: WRITER_MAX_BYTES */
	size_t max_batch;   /* entries of one insert; 0: WRITER_MAX_BATCH */
	long timeout_ms;    /* 0: STORE_TIMEOUT_MS */
	uint64_t gather_us; /* 0: WRITER_GATHER_US */
	/* Stores a batch, in the writer's thread; NULL: entries_insert. */
	enum error_code (*insert)(const struct entry *entries, size_t count, struct error *verdicts,
				  struct error *e);
	/* Asks whether the store is there, in the writer's thread; NULL: entries_ping. */
	enum error_code (*ping)(struct error *e);
	/*
	 * How often the thread asks after the store while nothing is to be stored, so
	 * that its loss is noticed all the same; 0: only while it is away.
	 */
	long ask_ms;
	/* Called when what writer_is_well says has changed; may be NULL. */
	void (*changed)(void *context, bool well);
	void *context;
};

/* NULL when memory or threads are short. */
struct writer *writer_open(uv_loop_t *loop, const struct writer_options *options);

/*
 * Takes a copy of the entry. On success done will be called, never from within
 * writer_put; on error it will not: ERROR_PEER_FULL when a bound is reached,
 * ERROR_PEER_DOWN after writer_close, ERROR_INTERNAL when memory is short.
 */
enum error_code writer_put(struct writer *w, const struct entry *entry, writer_done *done,
			   void *context, struct error *e);

/* Whether the store was reached when it was last needed; true before the first time. */
bool writer_is_well(const struct writer *w);

/* Takes nothing more, stores what waits, then calls closed; w is no more after that. */
void writer_close(struct writer *w, void (*closed)(void *context), void *context);

#endif
