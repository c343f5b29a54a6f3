/* log_action: body to entry, entry to transport, outcome to reply. */
#include "transport/log_action.h"

#include "transport/transport.h"

struct reply log_action(struct request *rq, const char *transport)
{
	struct error e;
	struct json_object *body = NULL;
	struct json_object *log = NULL;
	struct entry entry;
	struct text only = text_of(transport);
	const struct transport *used = NULL;
	if (request_json_object(rq, &body, &e) || json_member(body, "", "log", &log, &e) ||
	    entry_from_json(log, "log", &entry, &e) ||
	    (!transport && json_string(body, "", "transport", JSON_OPTIONAL, &only, &e)) ||
	    transport_send(only, &entry, request_deadline(rq), &used, &e) != OUTCOME_STORED)
		return reply_error(&e);
	struct json_object *data = json_object_new_object();
	json_add_text(data, "id", text_of(entry.id));
	struct text name = used->answers_name ? entry.name : text_of("");
	return reply_data(202, data, "%s%.*s", used->answer, (int)name.n, name.s);
}
