/* methods: which function answers which path. */
#ifndef FLEXI_LISTENER_GRPC_METHODS_H
#define FLEXI_LISTENER_GRPC_METHODS_H

#include "core/text.h"

struct call;

struct method {
	const char *path;
	/*
	 * Gets the whole request, valid during the call only. From then on the
	 * method holds the call until its call_finish, exactly one.
	 */
	void (*request)(struct call *call, struct text message);
	/* Nobody waits for the answer any more; still to be finished. NULL: no matter. */
	void (*gone)(struct call *call);
};

/* NULL if there is none. */
const struct method *method_find(struct text path);

#endif
