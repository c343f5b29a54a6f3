/* log-grpc: hands a log entry to the gRPC log server. */
#include "handler/handler.h"
#include "transport/log_action.h"

static struct reply log_grpc(struct request *rq)
{
	return log_action(rq, "grpc");
}

int main(void)
{
	return handler_run(&(struct handler){ .methods = METHOD_POST, .call = log_grpc });
}
