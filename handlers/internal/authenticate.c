/* authenticate: checks an email and a password against the users, and logs who came in. */
#include <stdio.h>

#include "core/clock.h"
#include "core/log.h"
#include "handler/handler.h"
#include "store/users.h"
#include "transport/transport.h"

/* 255 characters, as the column has them. */
enum { MAX_EMAIL_BYTES = 255 * 4 };

/* The login stands whether or not it could be logged. */
static void log_login(const struct user *user, int64_t deadline_ms)
{
	struct error e;
	char data[MAX_EMAIL_BYTES + sizeof(" logged in")];
	const struct transport *used = NULL;
	snprintf(data, sizeof(data), "%s logged in", user->email);
	struct entry entry = { .name = text_of("authentication"),
			       .data = text_of(data),
			       .accepted_ms = clock_wall_ms() };
	entry_id_new(entry.id);
	if (transport_send(text_of(""), &entry, deadline_ms, &used, &e) != OUTCOME_STORED)
		log_error("a login could not be logged", LOG_TEXT("entry", entry.id),
			  LOG_INT("user", user->id), LOG_REASON(&e));
}

static struct reply authenticate(struct request *rq)
{
	struct error e;
	struct json_object *body = NULL;
	struct text email, password;
	CLEANUP(user_finish) struct user user = { 0 };
	if (request_json_object(rq, &body, &e) ||
	    json_string(body, "", "email", JSON_REQUIRED, &email, &e) ||
	    json_string(body, "", "password", JSON_REQUIRED, &password, &e))
		return reply_error(&e);
	enum error_code code = users_by_email(email, &user, &e);
	if (code && code != ERROR_NOT_FOUND)
		return reply_error(&e);
	/* Somebody who does not exist costs the same time. */
	if (users_password_matches(code ? NULL : &user, password, &e))
		return reply_error(&e);
	log_login(&user, request_deadline(rq));
	return reply_data(202, user_to_json(&user), "Logged in user %s", user.email);
}

int main(void)
{
	return handler_run(&(struct handler){ .methods = METHOD_POST, .call = authenticate });
}
