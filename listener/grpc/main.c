/*
 * grpc-logd: the gRPC server of the log.
 *
 * SIGTERM: tells those who watch that it no longer serves, takes no more
 * connections, answers the calls under way for DRAIN_TIMEOUT_MS, ends with 0.
 * A newline on descriptor 3, if that is open, tells that it listens.
 */
#include "core/config.h"
#include "core/log.h"
#include "daemon/daemon.h"
#include "health.h"
#include "limits.h"
#include "server.h"
#include "write_log.h"

static struct writer *writer;

static void on_store_changed(void *context, bool well)
{
	(void)context;
	health_set(well);
}

static void writer_closed(void *context)
{
	(void)context;
	daemon_end();
}

static void drained(void)
{
	writer_close(writer, writer_closed, NULL);
}

static void stop(void)
{
	health_end();
	server_drain(drained);
}

static enum error_code start(uv_loop_t *loop, struct error *e)
{
	const struct writer_options options = {
		.ask_ms = STORE_ASK_MS,
		.changed = on_store_changed,
	};
	enum error_code code = server_open(loop, config()->log_grpc_listen, e);
	if (code)
		return code;
	writer = writer_open(loop, &options);
	if (!writer)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	write_log_use(writer);
	log_info("listening", LOG_TEXT("address", config()->log_grpc_listen));
	daemon_ready();
	return ERROR_NONE;
}

int main(void)
{
	return daemon_run(&(struct daemon){
		.name = "grpc-logd",
		.start = start,
		.stop = stop,
		.gave_up = "calls are still under way: they get no answer",
	});
}
