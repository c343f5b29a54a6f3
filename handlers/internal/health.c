/* health: whether the parts of the whole are there: all of HEALTH_PARTS, or the one in the path. */
#include <malloc.h>
#include <pthread.h>
#include <string.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "handler/handler.h"
#include "mail/smtp_server.h"
#include "store/mongo.h"
#include "store/postgres.h"
#include "transport/broker.h"
#include "transport/consumers.h"
#include "transport/grpc_health.h"
#include "transport/rpc.h"

enum {
	CHECK_TIMEOUT_MS = 3000, /* the stores have STORE_TIMEOUT_MS */
	CHECK_STACK_BYTES = 512 * 1024,
};

static enum error_code check_postgres(int64_t deadline_ms, struct error *e)
{
	(void)deadline_ms;
	return postgres_ping(e);
}

static enum error_code check_store(int64_t deadline_ms, struct error *e)
{
	(void)deadline_ms;
	return mongo_ping(e);
}

static const struct part {
	const char *name;
	enum error_code (*check)(int64_t deadline_ms, struct error *e);
} parts[] = {
	{ "postgres", check_postgres },	 { "store", check_store },	{ "rabbitmq", broker_ping },
	{ "listener", consumers_check }, { "mail", smtp_server_check }, { "rpc", rpc_check },
	{ "grpc", grpc_health_check },
};

enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

/* What one part is asked, by a thread of its own, so that one that hangs holds up no other. */
struct question {
	const struct part *part; /* NULL: not asked */
	pthread_t thread;
	bool has_thread;
	struct error error; /* code ERROR_NONE: well */
};

static void *ask(void *context)
{
	struct question *q = context;
	struct error e = { 0 };
	if (q->part->check(clock_now_ms() + CHECK_TIMEOUT_MS, &e))
		q->error = e;
	return NULL;
}

static void ask_all(struct question questions[PARTS])
{
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, CHECK_STACK_BYTES);
	for (int i = 0; i < PARTS; i++) {
		struct question *q = &questions[i];
		if (!q->part)
			continue;
		q->has_thread = pthread_create(&q->thread, &small, ask, q) == 0;
		if (!q->has_thread)
			error_set(&q->error, ERROR_INTERNAL, "it could not be asked");
	}
	pthread_attr_destroy(&small);
	for (int i = 0; i < PARTS; i++) {
		if (questions[i].has_thread)
			pthread_join(questions[i].thread, NULL);
	}
}

static bool choose(struct text name, struct question questions[PARTS])
{
	for (int i = 0; i < PARTS; i++) {
		if (text_equal(name, text_of(parts[i].name))) {
			questions[i].part = &parts[i];
			return true;
		}
	}
	return false;
}

static enum error_code choose_listed(const char *list, struct question questions[PARTS],
				     struct error *e)
{
	for (const char *at = list; *at;) {
		size_t n = strcspn(at, ", ");
		if (n > 0 && !choose((struct text){ at, n }, questions))
			return error_set(e, ERROR_CONFIG, "HEALTH_PARTS: there is no part %.*s",
					 (int)n, at);
		at += n + (at[n] != '\0');
	}
	return ERROR_NONE;
}

/* A member for each part that was asked: "ok", or what is wrong. */
static struct reply answer(const struct question questions[PARTS])
{
	struct json_object *said = json_object_new_object();
	CLEANUP(buffer_finish) struct buffer unwell = { 0 };
	for (int i = 0; i < PARTS; i++) {
		const struct question *q = &questions[i];
		if (!q->part)
			continue;
		json_add_text(said, q->part->name, text_of(q->error.code ? q->error.text : "ok"));
		if (!q->error.code)
			continue;
		buffer_printf(&unwell, "%s%s", unwell.size > 0 ? ", " : "", q->part->name);
		log_warning("a part is unwell", LOG_TEXT("part", q->part->name),
			    LOG_REASON(&q->error));
	}
	if (unwell.size == 0 && !unwell.failed)
		return reply_data(200, said, "well");
	struct reply r = reply_data(503, said, "unwell: %s", buffer_text(&unwell).s);
	r.error = true;
	return r;
}

static struct reply health(struct request *rq)
{
	struct error e;
	struct question questions[PARTS] = { 0 };
	const char *path = request_path(rq);
	enum error_code code = ERROR_NONE;
	if (!*path || strcmp(path, "/") == 0)
		code = choose_listed(config()->health_parts, questions, &e);
	else if (!choose(text_of(path + 1), questions))
		code = error_set(&e, ERROR_NOT_FOUND, "no such part");
	if (code)
		return reply_error(&e);
	ask_all(questions);
	return answer(questions);
}

int main(void)
{
	mallopt(M_ARENA_MAX, 1); /* an arena a thread would be more than a worker may map */
	mongo_init();
	return handler_run(
		&(struct handler){ .methods = METHOD_GET, .call = health, .subpaths = true });
}
