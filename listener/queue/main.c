/*
 * listener: feeds queues into handlers, as TRIGGERS_FILE says.
 *
 * SIGTERM: takes nothing more, lets calls under way finish for
 * DRAIN_TIMEOUT_MS, gives back the rest, ends with 0. SIGHUP: reads the file
 * anew. A newline on descriptor 3, if that is open, tells that all consumers
 * have been established.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "core/config.h"
#include "core/log.h"
#include "deliver.h"
#include "feed.h"
#include "feeds.h"
#include "publish.h"

enum {
	READY_FD = 3,
	EXIT_MISUSE = 100,
	/* For goodbyes, and for threads that still connect when everything else is done. */
	LAST_WAIT_MS = 4000,
};

static uv_loop_t loop;
static bool tell_ready; /* somebody listens on READY_FD */
static uv_signal_t on_term, on_int, on_hup;
static uv_timer_t patience;

static const struct publish_events publish_events = {
	.holds = feed_holds,
	.settled = feed_settled,
	.missing = feed_missing,
};

static void ready(void)
{
	log_info("all consumers are established");
	if (tell_ready && write(READY_FD, "\n", 1) != 1)
		log_warning("cannot tell that it is ready", LOG_ERRNO(errno));
	if (tell_ready)
		close(READY_FD);
	tell_ready = false;
}

static void all_closed(void)
{
	uv_close((uv_handle_t *)&patience, NULL);
	uv_close((uv_handle_t *)&on_term, NULL);
	uv_close((uv_handle_t *)&on_int, NULL);
	uv_close((uv_handle_t *)&on_hup, NULL);
	deliver_finish();
}

/* Whatever a thread still waits for, it would only be given up. */
static void leave(uv_timer_t *timer)
{
	(void)timer;
	_exit(0);
}

static void all_drained(void)
{
	log_info("drained");
	uv_timer_start(&patience, leave, LAST_WAIT_MS, 0);
	publish_close(all_closed);
}

static void out_of_patience(uv_timer_t *timer)
{
	(void)timer;
	log_warning("calls are still under way: what they were for will be delivered again");
	_exit(0);
}

static void stop(uv_signal_t *handle, int number)
{
	(void)number;
	uv_signal_stop(handle);
	if (uv_is_active((uv_handle_t *)&patience))
		return;
	log_info("stopping");
	uv_timer_start(&patience, out_of_patience, (uint64_t)config()->drain_timeout_ms, 0);
	feeds_stop(all_drained);
}

static void reload(uv_signal_t *handle, int number)
{
	(void)handle;
	(void)number;
	struct error e;
	if (uv_is_active((uv_handle_t *)&patience))
		return; /* it is about to end */
	if (feeds_load(&loop, NULL, &e))
		log_error("the triggers stay as they were", LOG_REASON(&e));
	else
		log_info("triggers read anew");
}

static enum error_code start(struct error *e)
{
	uv_loop_init(&loop);
	signal(SIGPIPE, SIG_IGN);
	uv_timer_init(&loop, &patience);
	uv_signal_init(&loop, &on_term);
	uv_signal_init(&loop, &on_int);
	uv_signal_init(&loop, &on_hup);
	uv_signal_start(&on_term, stop, SIGTERM);
	uv_signal_start(&on_int, stop, SIGINT);
	uv_signal_start(&on_hup, reload, SIGHUP);
	enum error_code code = deliver_init(&loop, e);
	if (code)
		return code;
	publish_open(&loop, &publish_events);
	return feeds_load(&loop, ready, e);
}

int main(void)
{
	struct error e;
	/* Before anything is opened: later the descriptor may be one of ours. */
	tell_ready = fcntl(READY_FD, F_SETFD, FD_CLOEXEC) == 0;
	log_init("listener", LOG_LEVEL_INFO);
	enum error_code code = config_load(&e);
	if (code == ERROR_NONE) {
		log_init("listener", (enum log_level)config()->log_level);
		code = start(&e);
	}
	if (code) {
		log_error("cannot start", LOG_REASON(&e));
		_exit(code == ERROR_CONFIG ? EXIT_MISUSE : 111);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	log_info("stopped");
	return 0;
}
