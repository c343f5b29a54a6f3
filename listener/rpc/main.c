/*
 * rpc-logd: the log over Go's net/rpc.
 *
 * SIGTERM: takes no more connections and no more calls, answers those under
 * way for DRAIN_TIMEOUT_MS, ends with 0. A newline on descriptor 3, if that is
 * open, tells that it listens.
 */
#include "core/config.h"
#include "core/log.h"
#include "daemon/daemon.h"
#include "server.h"
#include "service.h"

static struct writer *writer;

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
	server_drain(drained);
}

static enum error_code start(uv_loop_t *loop, struct error *e)
{
	enum error_code code = server_open(loop, e);
	if (code)
		return code;
	writer = writer_open(loop, &(struct writer_options){ 0 });
	if (!writer)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	service_use(writer);
	log_info("listening", LOG_TEXT("address", config()->log_rpc_listen));
	daemon_ready();
	return ERROR_NONE;
}

int main(void)
{
	return daemon_run(&(struct daemon){
		.name = "rpc-logd",
		.start = start,
		.stop = stop,
		.gave_up = "calls are still under way: they get no answer",
	});
}
