/* handle: takes an action and passes it on: auth, log, mail. */
#include "call/call.h"
#include "core/clock.h"
#include "core/config.h"
#include "entry/entry.h"
#include "handler/handler.h"
#include "mail/envelope.h"
#include "mail/mail.h"
#include "transport/amqp.h"
#include "transport/log_action.h"

/* Posts what the action needs to an internal handler; fills *envelope with what it answered. */
static enum error_code ask(struct request *rq, const char *path, struct json_object *what,
			   struct json_object **envelope, struct error *e)
{
	struct call_answer answer = { 0 };
	struct text bytes = json_write(what);
	if (bytes.n == 0)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	enum error_code code = call_internal(path, bytes, request_deadline(rq), &answer, e);
	if (!code)
		code = json_parse((struct text){ answer.body, answer.size }, "the answer", envelope,
				  e);
	if (code == ERROR_BAD_INPUT && answer.body)
		code = error_set(e, ERROR_PEER_ANSWER, "%s answered what is not JSON", path);
	call_answer_finish(&answer);
	return code;
}

static struct reply authenticate(struct request *rq, struct json_object *body)
{
	struct error e;
	struct json_object *auth = NULL;
	struct json_object *user = NULL;
	struct text text;
	CLEANUP(json_put) struct json_object *envelope = NULL;
	if (json_member(body, "", "auth", &auth, &e) ||
	    json_string(auth, "auth", "email", JSON_REQUIRED, &text, &e) ||
	    json_string(auth, "auth", "password", JSON_REQUIRED, &text, &e) ||
	    ask(rq, "/authenticate", auth, &envelope, &e) ||
	    json_member(envelope, "", "data", &user, &e))
		return reply_error(&e);
	return reply_data(202, json_object_get(user), "Authenticated");
}

static struct reply write_log(struct request *rq, struct json_object *body)
{
	(void)body;
	return log_action(rq, NULL);
}

/* Leaves the mail in the queue of send, whose trigger knows the routing key. */
static struct reply queue_mail(struct request *rq, struct json_object *object, const char *to)
{
	struct error e;
	char id[ENTRY_ID_BYTES];
	entry_id_new(id);
	struct amqp_post post = {
		.key = "mail.send",
		.id = id,
		.accepted_ms = clock_wall_ms(),
		.body = json_write(object),
	};
	if (post.body.n == 0) {
		error_set(&e, ERROR_INTERNAL, "out of memory");
		return reply_error(&e);
	}
	if (amqp_post(&post, request_deadline(rq), &e) != OUTCOME_STORED)
		return reply_error(&e);
	struct json_object *data = json_object_new_object();
	json_add_text(data, "id", text_of(id));
	return reply_data(202, data, "Message queued for %s", to);
}

static struct reply send_mail(struct request *rq, struct json_object *body)
{
	struct error e;
	struct json_object *object = NULL;
	struct mail mail;
	struct envelope envelope;
	char to[MAIL_RECIPIENTS_BYTES];
	CLEANUP(json_put) struct json_object *answer = NULL;
	if (json_member(body, "", "mail", &object, &e) ||
	    mail_from_json(object, "mail", &mail, &e) || envelope_read(&mail, &envelope, &e))
		return reply_error(&e);
	mail_recipients(&mail, to);
	if (config()->mail_transport == MAIL_TRANSPORT_AMQP)
		return queue_mail(rq, object, to);
	if (ask(rq, "/send", object, &answer, &e))
		return reply_error(&e);
	return reply_ok(202, "Message sent to %s", to);
}

static const struct {
	const char *name;
	struct reply (*run)(struct request *rq, struct json_object *body);
} actions[] = {
	{ "auth", authenticate },
	{ "log", write_log },
	{ "mail", send_mail },
};

static struct reply handle(struct request *rq)
{
	struct error e;
	struct json_object *body = NULL;
	struct text action;
	if (request_json_object(rq, &body, &e) ||
	    json_string(body, "", "action", JSON_REQUIRED, &action, &e))
		return reply_error(&e);
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (text_equal(action, text_of(actions[i].name)))
			return actions[i].run(rq, body);
	}
	error_set(&e, ERROR_BAD_INPUT, "unknown action");
	return reply_error(&e);
}

int main(void)
{
	return handler_run(&(struct handler){ .methods = METHOD_POST, .call = handle });
}
