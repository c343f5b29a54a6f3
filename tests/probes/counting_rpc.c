/* counting_rpc: rpc-logd that counts. */
#include "counting.h"

#include "../../listener/rpc/server.h"
#include "../../listener/rpc/service.h"
#include "core/config.h"

static void stop(void)
{
	server_drain(counting_drained);
}

static enum error_code start(uv_loop_t *loop, struct error *e)
{
	enum error_code code = server_open(loop, e);
	if (!code)
		code = counting_open(loop, e);
	if (code)
		return code;
	service_use(counting_writer);
	daemon_ready();
	return ERROR_NONE;
}

int main(void)
{
	return daemon_run(&(struct daemon){ .name = "rpc-logd", .start = start, .stop = stop });
}
