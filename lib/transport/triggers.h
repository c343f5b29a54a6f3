/*
 * triggers: the file that maps a queue to a handler (TRIGGERS_FILE).
 *
 * INI (inih): a section names the queue.
 *
 *	[logs]
 *	keys = log.INFO log.WARNING log.ERROR
 *	handler = log
 *	batch_size = 100
 *	batch_window = 20ms
 *	max_concurrency = 4
 *	max_attempts = 5
 *	backoff = 1s 5s 30s
 *
 * A queue's name is [A-Za-z0-9][A-Za-z0-9._-]*, at most 100 bytes, and must
 * not end in the names of its own helpers (.dead, .retry.N). An unknown
 * member, a double section, a value out of range: ERROR_CONFIG, with the line.
 */
#ifndef FLEXI_TRANSPORT_TRIGGERS_H
#define FLEXI_TRANSPORT_TRIGGERS_H

#include "core/error.h"
#include "core/limits.h"

enum {
	MAX_TRIGGERS = 64,
	MAX_QUEUE_NAME_BYTES = 100,
	MAX_TRIGGER_KEYS = 16,
	MAX_ROUTING_KEY_BYTES = 255,
	MAX_BACKOFF_STEPS = 8,
};

struct trigger {
	char queue[MAX_QUEUE_NAME_BYTES + 1];
	char handler[MAX_HANDLER_NAME_BYTES + 1];
	char keys[MAX_TRIGGER_KEYS][MAX_ROUTING_KEY_BYTES + 1]; /* binding keys on logs_topic */
	int key_count;
	int batch_size;			   /* items of one call at most; 1 to 1000, default 100 */
	int batch_window_ms;		   /* how long a batch that is not full waits; default 20 */
	int max_concurrency;		   /* calls under way at most; default 2 */
	int max_attempts;		   /* then a dead letter; default 5 */
	int backoff_ms[MAX_BACKOFF_STEPS]; /* the last step is used again and again */
	int backoff_steps;		   /* default 1 s, 5 s, 30 s */
};

struct triggers {
	struct trigger *list;
	int count;
};

/* On success the caller finishes *triggers; on error nothing is owned. */
enum error_code triggers_load(const char *path, struct triggers *triggers, struct error *e);
void triggers_finish(struct triggers *triggers);

#endif
