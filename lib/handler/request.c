/* request: what a handler may ask of the call that it answers. */
#include "handler/request.h"

#include "core/log.h"
#include "handler/exchange.h"

const char *request_variable(const struct request *rq, const char *name)
{
	size_t n = strlen(name);
	for (char **v = rq->variables; v && *v; v++) {
		if (strncmp(*v, name, n) == 0 && (*v)[n] == '=')
			return *v + n + 1;
	}
	return "";
}

const char *request_method(const struct request *rq)
{
	return request_variable(rq, "REQUEST_METHOD");
}

const char *request_path(const struct request *rq)
{
	const char *path = request_variable(rq, "PATH_INFO");
	const char *name = log_program();
	size_t n = strlen(name);
	/* A server that does not say which part named the program passes the whole path. */
	if (!*request_variable(rq, "SCRIPT_NAME") && path[0] == '/' &&
	    strncmp(path + 1, name, n) == 0 && (path[1 + n] == '\0' || path[1 + n] == '/'))
		return path + 1 + n;
	return path;
}

const char *request_query(const struct request *rq)
{
	return request_variable(rq, "QUERY_STRING");
}

struct text request_body(const struct request *rq)
{
	return buffer_text(&rq->body);
}

enum error_code request_json(struct request *rq, struct json_object **out, struct error *e)
{
	if (!rq->parsed) {
		enum error_code code = json_parse(request_body(rq), "body", &rq->json, e);
		if (code)
			return code;
		rq->parsed = true;
	}
	*out = rq->json;
	return ERROR_NONE;
}

enum error_code request_json_object(struct request *rq, struct json_object **out, struct error *e)
{
	enum error_code code = request_json(rq, out, e);
	return code ? code : json_must_be_object(*out, "", e);
}

int64_t request_deadline(const struct request *rq)
{
	return rq->deadline_ms;
}
