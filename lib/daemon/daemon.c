/* daemon: one loop, its signals, and the timer that bounds the end. */
#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "core/config.h"
#include "core/log.h"
#include "daemon/notify.h"
#include "daemon/status.h"

enum { READY_FD = 3, EXIT_MISUSE = 100, EXIT_TEMPORARY = 111 };

static struct {
	const struct daemon *daemon;
	uv_loop_t loop;
	uv_signal_t signals[3];
	uv_timer_t patience; /* to the stop; from there to the end */
	bool is_ready;
	bool is_awaited; /* somebody listens on READY_FD */
	bool told;	 /* to stop; perhaps it still serves for a while */
	bool stopping;
} self;

static void leave(uv_timer_t *timer)
{
	(void)timer;
	_exit(0);
}

static void out_of_patience(uv_timer_t *timer)
{
	(void)timer;
	log_warning(self.daemon->gave_up);
	_exit(0);
}

static void stop(uv_timer_t *timer)
{
	if (self.stopping)
		return;
	self.stopping = true;
	log_info("stopping");
	notify_systemd("STOPPING=1");
	uv_timer_start(timer, out_of_patience, (uint64_t)config()->drain_timeout_ms, 0);
	self.daemon->stop();
}

/* A second signal cuts the delay short. */
static void on_stop(uv_signal_t *handle, int number)
{
	(void)handle;
	(void)number;
	bool again = self.told;
	self.told = true;
	status_say("stopping");
	if (again || config()->stop_delay_ms == 0)
		stop(&self.patience);
	else
		uv_timer_start(&self.patience, stop, (uint64_t)config()->stop_delay_ms, 0);
}

static void on_reload(uv_signal_t *handle, int number)
{
	(void)handle;
	(void)number;
	if (!self.stopping && self.daemon->reload)
		self.daemon->reload();
}

static void watch_signals(void)
{
	static const struct {
		int number;
		uv_signal_cb call;
	} watched[] = { { SIGTERM, on_stop }, { SIGINT, on_stop }, { SIGHUP, on_reload } };
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++) {
		uv_signal_init(&self.loop, &self.signals[i]);
		uv_signal_start(&self.signals[i], watched[i].call, watched[i].number);
	}
}

void daemon_ready(void)
{
	if (!self.told)
		status_say("ready");
	if (!self.is_ready)
		notify_systemd("READY=1");
	self.is_ready = true;
	if (!self.is_awaited)
		return;
	if (write(READY_FD, "\n", 1) != 1)
		log_warning("cannot tell that it is ready", LOG_ERRNO(errno));
	close(READY_FD);
	self.is_awaited = false;
}

void daemon_end(void)
{
	for (size_t i = 0; i < sizeof(self.signals) / sizeof(self.signals[0]); i++)
		uv_close((uv_handle_t *)&self.signals[i], NULL);
	uv_timer_start(&self.patience, leave, DAEMON_LAST_WAIT_MS, 0);
	uv_unref((uv_handle_t *)&self.patience); /* it bounds the end, and does not put it off */
}

static enum error_code start(struct error *e)
{
	enum error_code code = config_load(e);
	if (code)
		return code;
	log_init(self.daemon->name, (enum log_level)config()->log_level);
	uv_loop_init(&self.loop);
	uv_timer_init(&self.loop, &self.patience);
	watch_signals();
	status_open(&self.loop, self.daemon->name);
	return self.daemon->start(&self.loop, e);
}

int daemon_run(const struct daemon *daemon)
{
	struct error e;
	self.daemon = daemon;
	/* Before anything is opened: later the descriptor may be one of ours. */
	self.is_awaited = fcntl(READY_FD, F_SETFD, FD_CLOEXEC) == 0;
	log_init(daemon->name, LOG_LEVEL_INFO);
	enum error_code code = start(&e);
	if (code) {
		log_error("cannot start", LOG_REASON(&e));
		return code == ERROR_CONFIG ? EXIT_MISUSE : EXIT_TEMPORARY;
	}
	uv_run(&self.loop, UV_RUN_DEFAULT);
	log_info("stopped");
	return 0;
}
