/*
 * handler: what a program says to be a handler.
 *
 *	static struct reply hello(struct request *rq)
 *	{
 *		return reply_ok(200, "hello");
 *	}
 *
 *	int main(void)
 *	{
 *		return handler_run(&(struct handler){ .methods = METHOD_GET, .call = hello });
 *	}
 *
 * With a listening socket on fd 0 the program is a FastCGI worker that serves
 * requests, one after the other, until SIGTERM; otherwise it is a plain CGI
 * program: one request from the environment and standard input, one answer on
 * standard output.
 *
 * handler_run reads the settings, the whole body (never more than max_body),
 * names the request in every log line and in every call to a peer, writes the
 * reply in one piece and an access line after it. A handler's function gets a
 * request that came whole, and returns a reply; what it allocated it frees.
 */
#ifndef FLEXI_HANDLER_HANDLER_H
#define FLEXI_HANDLER_HANDLER_H

#include "core/cleanup.h"
#include "handler/item.h"
#include "handler/reply.h"
#include "handler/request.h"

enum {
	METHOD_GET = 1, /* HEAD too */
	METHOD_POST = 2,
	METHOD_PUT = 4,
	METHOD_DELETE = 8,
};

struct handler {
	/* METHOD_… that it takes; anything else is answered 405. 0: POST. */
	unsigned methods;

	/* Answers one request. NULL if only a queue feeds it. */
	struct reply (*call)(struct request *rq);

	/*
	 * For handlers that a queue feeds, one of the two. each is called for one
	 * item after the other and returns what became of it. batch gets all
	 * items at once and sets each item's verdict; what it returns itself is
	 * for the whole batch, and means that nothing of it was done. Either may
	 * return ERROR_PEER_DOWN or ERROR_PEER_FULL: ask again later, nobody's fault.
	 */
	enum error_code (*each)(const struct item *item, struct error *e);
	enum error_code (*batch)(struct item *items, size_t count, struct error *e);

	/* The largest body it reads, in bytes. 0: MAX_BODY_BYTES. */
	size_t max_body;

	/* Whether it takes paths under its own (/NAME/…); otherwise those are 404. */
	bool subpaths;
};

/* Serves until told to stop. Returns the program's exit status; call it last in main. */
int handler_run(const struct handler *handler);

/*
 * Has `tick` called every WORKER_IDLE_TICK_MS, roughly, while the worker waits
 * for a request: for connections that want looking after. At most four.
 */
void handler_on_idle(void (*tick)(void));

#endif
