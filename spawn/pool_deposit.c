/* deposit: s6-fdholder-store, again for each life of the holder. */
#include "pool_deposit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/limits.h"
#include "core/log.h"
#include "tool.h"

enum { LOOK_EVERY_MS = 1000 };

static struct {
	struct deposit_options options;
	char id[MAX_HANDLER_NAME_BYTES + sizeof("handler:internal/")];
	uv_timer_t timer;
	struct timespec trying;	   /* the holder's life that is being tried */
	struct timespec deposited; /* the holder's life that has it */
	bool busy;
	bool failing; /* it was said, and is not said again */
	bool first_done;
} deposit;

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static void first_try_is_over(void)
{
	if (deposit.first_done)
		return;
	deposit.first_done = true;
	deposit.options.tried(deposit.options.context);
}

static void failed(const char *reason)
{
	if (!deposit.failing)
		log_warning("the socket could not be deposited; trying again",
			    LOG_TEXT("holder", deposit.options.holder), LOG_TEXT("reason", reason));
	deposit.failing = true;
	first_try_is_over();
}

static void store(tool_done done)
{
	const char *arguments[] = { "s6-fdholder-store",    "-t",	"2000", "-T", "0",
				    deposit.options.holder, deposit.id, NULL };
	tool_run(deposit.options.loop, arguments, done, NULL);
}

static void on_stored_at_last(void *context, bool good)
{
	(void)context;
	deposit.busy = false;
	if (!good) {
		failed("s6-fdholder-store failed");
		return;
	}
	if (deposit.failing)
		log_info("the socket is deposited");
	deposit.failing = false;
	deposit.deposited = deposit.trying;
	first_try_is_over();
}

/* Whether or not there was something to delete. */
static void on_deleted(void *context, bool good)
{
	(void)context;
	(void)good;
	store(on_stored_at_last);
}

static void on_stored(void *context, bool good)
{
	if (good) {
		on_stored_at_last(context, good);
		return;
	}
	/* The id may be taken by a socket of an earlier life. */
	const char *arguments[] = { "s6-fdholder-delete",   "-t",	"2000",
				    deposit.options.holder, deposit.id, NULL };
	tool_run(deposit.options.loop, arguments, on_deleted, NULL);
}

static void on_look(uv_timer_t *timer)
{
	struct stat st;
	(void)timer;
	if (deposit.busy)
		return;
	if (stat(deposit.options.holder, &st)) {
		failed(strerror(errno));
		return;
	}
	if (same_time(st.st_ctim, deposit.deposited))
		return;
	deposit.busy = true;
	deposit.trying = st.st_ctim;
	store(on_stored);
}

void deposit_start(const struct deposit_options *options)
{
	struct stat st;
	deposit.options = *options;
	snprintf(deposit.id, sizeof(deposit.id), "handler:%s/%s", options->place, options->name);
	uv_timer_init(options->loop, &deposit.timer);
	if (options->kept && stat(options->holder, &st) == 0) {
		deposit.deposited = st.st_ctim;
		first_try_is_over();
	}
	uv_timer_start(&deposit.timer, on_look, 0, LOOK_EVERY_MS);
}

void deposit_stop(void)
{
	if (deposit.options.loop)
		uv_timer_stop(&deposit.timer);
}
