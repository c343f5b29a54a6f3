/* counting_grpc: grpc-logd that counts. */
#include "counting.h"

#include "../../listener/grpc/health.h"
#include "../../listener/grpc/server.h"
#include "../../listener/grpc/write_log.h"
#include "core/config.h"

static void stop(void)
{
	health_end();
	server_drain(counting_drained);
}

static enum error_code start(uv_loop_t *loop, struct error *e)
{
	enum error_code code = server_open(loop, config()->log_grpc_listen, e);
	if (!code)
		code = counting_open(loop, e);
	if (code)
		return code;
	write_log_use(counting_writer);
	daemon_ready();
	return ERROR_NONE;
}

int main(void)
{
	return daemon_run(&(struct daemon){ .name = "grpc-logd", .start = start, .stop = stop });
}
