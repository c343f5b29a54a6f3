/* broker: answers that it is there, whatever it is sent. */
#include "handler/handler.h"

static struct reply broker(struct request *rq)
{
	(void)rq;
	return reply_ok(200, "Hit the broker");
}

int main(void)
{
	return handler_run(&(struct handler){ .methods = METHOD_POST, .call = broker });
}
