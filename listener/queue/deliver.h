/*
 * deliver: POSTs to handlers through the queue site, many at a time, on the loop.
 *
 * libcurl's multi interface, driven by libuv. Connections are kept and reused.
 */
#ifndef FLEXI_LISTENER_DELIVER_H
#define FLEXI_LISTENER_DELIVER_H

#include <uv.h>

#include "core/buffer.h"
#include "core/error.h"
#include "verdict.h"

struct call {
	const char *handler;
	const char *queue; /* for X-Trigger */
	const char *request_id;
	const char *traceparent; /* "" for none */
	struct buffer body;	 /* taken over by deliver_start, whatever becomes of it */
	/* Called once, from the loop; answer is valid during the call. */
	void (*done)(void *context, const struct answer *answer);
	void *context;
};

/* Once, before anything else. QUEUE_URL must be http://HOST:PORT or unix:PATH: ERROR_CONFIG. */
enum error_code deliver_init(uv_loop_t *loop, struct error *e);

/* Starts the call. Returns false when memory is short: then done is not called. */
bool deliver_start(struct call *call);

/* Ends all calls without a word, and closes everything. */
void deliver_finish(void);

#endif
