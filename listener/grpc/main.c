/*
 * grpc-logd: the gRPC server of the log.
 *
 * SIGTERM: tells those who watch that it no longer serves, takes no more
 * connections, answers the calls under way for DRAIN_TIMEOUT_MS, ends with 0.
 * A newline on descriptor 3, if that is open, tells that it listens.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include <uv.h>

#include "core/config.h"
#include "core/log.h"
#include "health.h"
#include "limits.h"
#include "server.h"
#include "write_log.h"

enum { READY_FD = 3, EXIT_MISUSE = 100, EXIT_TEMPORARY = 111 };

static uv_loop_t loop;
static uv_signal_t on_term, on_int;
static uv_timer_t patience;
static struct writer *writer;

static void on_store_changed(void *context, bool well)
{
	(void)context;
	health_set(well);
}

static void tell_ready(void)
{
	if (write(READY_FD, "\n", 1) != 1)
		log_warning("cannot tell that it is ready", LOG_ERRNO(errno));
	close(READY_FD);
}

static void writer_closed(void *context)
{
	(void)context;
	uv_stop(&loop);
}

static void drained(void)
{
	writer_close(writer, writer_closed, NULL);
}

static void out_of_patience(uv_timer_t *timer)
{
	(void)timer;
	log_warning("calls are still under way: they get no answer");
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
	health_end();
	server_drain(drained);
}

static enum error_code start(struct error *e)
{
	const struct writer_options options = {
		.ask_ms = STORE_ASK_MS,
		.changed = on_store_changed,
	};
	uv_loop_init(&loop);
	signal(SIGPIPE, SIG_IGN);
	uv_timer_init(&loop, &patience);
	uv_signal_init(&loop, &on_term);
	uv_signal_init(&loop, &on_int);
	uv_signal_start(&on_term, stop, SIGTERM);
	uv_signal_start(&on_int, stop, SIGINT);
	enum error_code code = server_open(&loop, config()->log_grpc_listen, e);
	if (code)
		return code;
	writer = writer_open(&loop, &options);
	if (!writer)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	write_log_use(writer);
	return ERROR_NONE;
}

int main(void)
{
	struct error e;
	/* Before anything is opened: later the descriptor may be one of ours. */
	bool is_awaited = fcntl(READY_FD, F_SETFD, FD_CLOEXEC) == 0;
	log_init("grpc-logd", LOG_LEVEL_INFO);
	enum error_code code = config_load(&e);
	if (code == ERROR_NONE) {
		log_init("grpc-logd", (enum log_level)config()->log_level);
		code = start(&e);
	}
	if (code) {
		log_error("cannot start", LOG_REASON(&e));
		_exit(code == ERROR_CONFIG ? EXIT_MISUSE : EXIT_TEMPORARY);
	}
	log_info("listening", LOG_TEXT("address", config()->log_grpc_listen));
	if (is_awaited)
		tell_ready();
	uv_run(&loop, UV_RUN_DEFAULT);
	log_info("stopped");
	return 0;
}
