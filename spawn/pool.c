/*
 * pool: looks after the workers of one handler.
 *
 *	pool [-w WORKERS] [-d READY_FD] [-k] PLACE NAME [-- PROGRAM [ARGUMENT...]]
 *
 * The listening socket is fd 0, as spawn-fcgi and s6-fdholder-retrieve leave
 * it. Without PROGRAM it runs the version that watch left in
 * RUN_DIR/versions/NAME, with the settings of HANDLERS_DIR/PLACE/NAME.conf, and
 * publishes what pool_publish.h says; with PROGRAM it needs nothing around it,
 * publishes nothing, and PROGRAM.conf has the settings:
 *
 *	spawn-fcgi -n -s SOCKET -- pool public hello -- /path/to/hello
 *
 * -w  so many workers, whatever NAME.conf and WORKERS say
 * -d  writes a newline to this descriptor when it serves (s6's notification-fd)
 * -k  the fd-holder has this socket already: it was retrieved from there
 *
 * Environment: RUN_DIR, HANDLERS_DIR, FDHOLDER_SOCKET, WORKERS,
 * STOP_DELAY_MS, DRAIN_TIMEOUT_MS, LOG_LEVEL. Workers find HANDLER (the name) and PLACE in theirs,
 * and the name as argv[0].
 *
 * SIGTERM, SIGINT: workers finish the request in hand, SIGKILL after
 * DRAIN_TIMEOUT_MS. If NAME.live is gone, so is the handler, and what waits in the
 * backlog is answered first; also, with STOP_DELAY_MS, what still comes in that
 * time: where the network learns only then that this one goes. A second signal
 * cuts that short. SIGHUP: rolls to the version that is there now, with
 * the settings that are there now. Exit status 100: called wrongly; 111: it
 * cannot work now.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "layout.h"
#include "pool_deposit.h"
#include "pool_generation.h"
#include "pool_handler.h"
#include "pool_options.h"
#include "pool_publish.h"

enum {
	EXIT_MISUSE = 100,
	EXIT_TEMPORARY = 111,
	BACKLOG_LOOK_MS = 50,
	/* The front door may have seen NAME.live just before it went, and be about to connect. */
	BACKLOG_QUIET_LOOKS = 4,
};

static struct {
	struct pool_options options;
	uv_loop_t *loop;
	uv_timer_t backlog;
	bool live;
	bool stopping;
	int64_t retire_until_ms; /* 0: it does not retire */
	int quiet_looks;
} pool;

static void on_stopped(void)
{
	uv_stop(pool.loop);
}

static void stop(void)
{
	if (pool.stopping)
		return;
	pool.stopping = true;
	uv_timer_stop(&pool.backlog);
	deposit_stop();
	handler_stop(config()->drain_timeout_ms, on_stopped);
}

static void on_backlog_look(uv_timer_t *timer)
{
	(void)timer;
	struct pollfd waiting = { .fd = STDIN_FILENO, .events = POLLIN };
	pool.quiet_looks = poll(&waiting, 1, 0) > 0 ? 0 : pool.quiet_looks + 1;
	if (pool.quiet_looks >= BACKLOG_QUIET_LOOKS || clock_now_ms() >= pool.retire_until_ms)
		stop();
}

static bool handler_was_removed(void)
{
	char path[LAYOUT_PATH_BYTES];
	layout_path(LAYOUT_LIVE, pool.options.place, pool.options.name, path);
	return pool.live && access(path, F_OK) && errno == ENOENT;
}

/* Goes on serving for so long, then until nobody waits. */
static void retire(long delay_ms)
{
	pool.retire_until_ms = clock_now_ms() + delay_ms + config()->drain_timeout_ms;
	uv_timer_start(&pool.backlog, on_backlog_look, (uint64_t)delay_ms, BACKLOG_LOOK_MS);
}

static void on_stop(uv_signal_t *signal, int number)
{
	(void)signal;
	(void)number;
	bool retires = pool.retire_until_ms != 0;
	if (!retires && handler_was_removed()) {
		log_info("the handler was removed");
		handler_publish(false); /* the next pool of that name may be there already */
		retire(0);
	} else if (!retires && config()->stop_delay_ms > 0) {
		log_info("stopping soon", LOG_INT("delay_ms", config()->stop_delay_ms));
		retire(config()->stop_delay_ms);
	} else {
		stop();
	}
}

static void on_hangup(uv_signal_t *signal, int number)
{
	(void)signal;
	(void)number;
	if (!pool.stopping && !pool.retire_until_ms)
		handler_roll();
}

static void on_child(uv_signal_t *signal, int number)
{
	(void)signal;
	(void)number;
	generations_reap();
}

static void tell_ready(void)
{
	if (pool.options.ready_fd < 0)
		return;
	if (write(pool.options.ready_fd, "\n", 1) != 1)
		log_warning("nobody hears that the pool serves", LOG_ERRNO(errno));
	close(pool.options.ready_fd);
	pool.options.ready_fd = -1;
}

/* The workers run, and the socket is deposited or cannot be. */
static void go_live(void *context)
{
	struct error e;
	(void)context;
	if (pool.options.program == NULL) {
		if (publish_live(pool.options.place, pool.options.name, &e))
			log_error("the front door cannot be told", LOG_REASON(&e));
		else
			pool.live = true;
		handler_publish(true);
	}
	tell_ready();
}

static enum error_code check_listener(struct error *e)
{
	int listens = 0;
	socklen_t size = sizeof(listens);
	if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) || !listens)
		return error_set(e, ERROR_CONFIG,
				 "fd 0 is not a listening socket: start it by spawn-fcgi -n");
	return ERROR_NONE;
}

static enum error_code prepare(int argc, char **argv, struct error *e)
{
	enum error_code code = pool_options_read(argc, argv, &pool.options, e);
	if (!code)
		code = config_load(e);
	log_init("pool", (enum log_level)config()->log_level);
	if (!code && !pool.options.program)
		code = layout_check(e);
	if (!code)
		code = check_listener(e);
	if (!code &&
	    (setenv("HANDLER", pool.options.name, 1) || setenv("PLACE", pool.options.place, 1)))
		code = error_set(e, ERROR_INTERNAL, "out of memory");
	if (!code && pool.options.ready_fd >= 0)
		fcntl(pool.options.ready_fd, F_SETFD, FD_CLOEXEC);
	return code;
}

static void watch_signals(void)
{
	static const struct {
		int number;
		uv_signal_cb call;
	} signals[] = {
		{ SIGTERM, on_stop },
		{ SIGINT, on_stop },
		{ SIGHUP, on_hangup },
		{ SIGCHLD, on_child },
	};
	static uv_signal_t handles[sizeof(signals) / sizeof(signals[0])];
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		uv_signal_init(pool.loop, &handles[i]);
		uv_signal_start(&handles[i], signals[i].call, signals[i].number);
	}
	signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
	struct error e;
	log_init("pool", LOG_LEVEL_INFO);
	if (prepare(argc, argv, &e)) {
		log_error("it cannot start", LOG_REASON(&e));
		return EXIT_MISUSE;
	}
	pool.loop = uv_default_loop();
	uv_timer_init(pool.loop, &pool.backlog);
	watch_signals();
	if (handler_start(pool.loop, &pool.options, &e)) {
		log_error("it cannot start", LOG_REASON(&e));
		return EXIT_TEMPORARY;
	}
	if (config()->fdholder_socket[0] && !pool.options.program)
		deposit_start(&(struct deposit_options){
			.loop = pool.loop,
			.holder = config()->fdholder_socket,
			.place = pool.options.place,
			.name = pool.options.name,
			.kept = pool.options.kept,
			.tried = go_live,
		});
	else
		go_live(NULL);
	uv_run(pool.loop, UV_RUN_DEFAULT);
	return EXIT_SUCCESS;
}
