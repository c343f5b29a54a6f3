/*
 * counting: a log server whose entries are counted and not stored, so that
 * its own work is measured and not a store's. Everything else of it is as in
 * the program. It prints how many it counted when it is stopped.
 */
#ifndef FLEXI_TESTS_COUNTING_H
#define FLEXI_TESTS_COUNTING_H

#include <stdio.h>

#include "daemon/daemon.h"
#include "store/writer.h"

static struct writer *counting_writer;
static size_t counted; /* the writer's thread's, until that has ended */

static inline enum error_code counting_insert(const struct entry *entries, size_t count,
					      struct error *verdicts, struct error *e)
{
	(void)entries;
	(void)verdicts; /* zeroed: none has failed */
	(void)e;
	counted += count;
	return ERROR_NONE;
}

static inline enum error_code counting_ping(struct error *e)
{
	(void)e;
	return ERROR_NONE;
}

static inline void counting_closed(void *context)
{
	(void)context;
	printf("%zu\n", counted);
	fflush(stdout);
	daemon_end();
}

/* What the server calls when its last connection is gone. */
static inline void counting_drained(void)
{
	writer_close(counting_writer, counting_closed, NULL);
}

static inline enum error_code counting_open(uv_loop_t *loop, struct error *e)
{
	const struct writer_options options = { .insert = counting_insert, .ping = counting_ping };
	counting_writer = writer_open(loop, &options);
	return counting_writer ? ERROR_NONE : error_set(e, ERROR_INTERNAL, "out of memory");
}

#endif
