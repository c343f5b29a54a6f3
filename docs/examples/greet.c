/* greet: POST {"name":"Ada"} is answered with a greeting and its length. */
#include "handler/handler.h"

static struct reply greet(struct request *rq)
{
	struct error e;
	struct json_object *body = NULL;
	struct text name;
	if (request_json_object(rq, &body, &e) ||
	    json_string(body, "", "name", JSON_REQUIRED, &name, &e))
		return reply_error(&e);
	struct json_object *data = json_object_new_object();
	json_add_number(data, "length", (int64_t)name.n);
	return reply_data(200, data, "Hello, %s", name.s);
}

int main(void)
{
	return handler_run(&(struct handler){ .methods = METHOD_POST, .call = greet });
}
