#include "handler/handler.h"
static struct reply hello(struct request *rq) { (void)rq; return reply_ok(200, "hello"); }
int main(void) { return handler_run(&(struct handler){ .methods = METHOD_GET, .call = hello }); }
