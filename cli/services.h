/*
 * services: what s6 supervises under RUN_DIR/services, and what the pools among
 * it publish of themselves (RUN_DIR/PLACE/NAME.status, one JSON object).
 */
#ifndef FLEXI_CLI_SERVICES_H
#define FLEXI_CLI_SERVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

enum { SERVICE_NAME_BYTES = 64, SERVICE_STATE_BYTES = 16 };

/* A pool's own words; known is false if it has none, or those of one that ended. */
struct pool_state {
	bool known;
	char state[SERVICE_STATE_BYTES]; /* "serving", "rolling", "failing", "stopping" */
	int64_t wanted, running, leaving;
	int64_t restarts;
	bool refused; /* the version that was tried last was not taken */
};

struct service {
	char name[SERVICE_NAME_BYTES];
	bool supervised; /* s6 looks after it; if not, nothing below is known */
	bool up;
	bool wanted_up;
	bool tells_ready; /* it says when it is ready */
	bool ready;
	int64_t pid;
	int64_t since_ms; /* when it went up or down */
	bool restless;	  /* it went up just now, after it had ended again and again */
	bool is_pool;
	struct pool_state pool;
};

struct service_list {
	struct service *services;
	size_t count;
};

/*
 * Reads all, by name. On success the caller finishes *list. ERROR_NOT_FOUND if
 * there is no stack at RUN_DIR or it is stopped, ERROR_INTERNAL if it cannot be
 * looked at.
 */
enum error_code services_read(struct service_list *list, struct error *e);

void service_list_finish(struct service_list *list);

#endif
