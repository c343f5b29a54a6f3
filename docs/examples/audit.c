/* audit: is fed by a queue, one message after the other, and logs who did what. */
#include "core/log.h"
#include "handler/handler.h"

static enum error_code record(const struct item *item, struct error *e)
{
	struct text who, what;
	enum error_code code = json_must_be_object(item->payload, "message", e);
	if (!code)
		code = json_string(item->payload, "message", "who", JSON_REQUIRED, &who, e);
	if (!code)
		code = json_string(item->payload, "message", "what", JSON_REQUIRED, &what, e);
	if (!code)
		log_info("audit", LOG_TEXT("who", who.s), LOG_TEXT("what", what.s));
	return code; /* a 400 is permanent: the message becomes a dead letter with this reason */
}

int main(void)
{
	return handler_run(&(struct handler){ .methods = METHOD_POST, .each = record });
}
