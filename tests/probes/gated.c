/*
 * gated: a handler by lib/handler that tells which process answered.
 *
 * The query string: sleep=MS waits before it answers; crash dies before it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "handler/handler.h"

static void pause_ms(long ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	while (ms > 0 && nanosleep(&left, &left) != 0)
		continue;
}

static struct reply gated(struct request *rq)
{
	static const char sleep_is[] = "sleep=";
	const char *query = request_query(rq);
	if (strncmp(query, sleep_is, strlen(sleep_is)) == 0)
		pause_ms(strtol(query + strlen(sleep_is), NULL, 10));
	if (strcmp(query, "crash") == 0)
		raise(SIGKILL);
	return reply_ok(200, "pid=%d", (int)getpid());
}

int main(void)
{
	return handler_run(&(struct handler){ .methods = METHOD_GET | METHOD_POST, .call = gated });
}
