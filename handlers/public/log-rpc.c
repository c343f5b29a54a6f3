/* log-rpc: an entry to the log over Go's net/rpc. */
#include "handler/handler.h"
#include "transport/log_action.h"

static struct reply log_rpc(struct request *rq)
{
	return log_action(rq, "rpc");
}

int main(void)
{
	return handler_run(&(struct handler){ .methods = METHOD_POST, .call = log_rpc });
}
