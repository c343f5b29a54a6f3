/* health: one state, and a list of those who watch it. */
#include "health.h"

#include <stdlib.h>

#include "limits.h"
#include "wire/grpc_messages.h"

struct watcher {
	TAILQ_ENTRY(watcher) next;
	struct call *call;
	bool is_known; /* the service that it asked for; of another there is never news */
};

static TAILQ_HEAD(watcher_list, watcher) watchers = TAILQ_HEAD_INITIALIZER(watchers);
static int watcher_count;
static bool is_serving = true;
static bool is_ended;

static enum health health_now(void)
{
	return is_serving && !is_ended ? HEALTH_SERVING : HEALTH_NOT_SERVING;
}

static size_t send(struct call *call, enum health health)
{
	CLEANUP(buffer_finish) struct buffer answer = { 0 };
	health_response_append(&answer, health);
	return call_send(call, buffer_text(&answer));
}

static enum error_code read_request(struct text message, bool *known, struct error *e)
{
	CLEANUP(buffer_finish) struct buffer service = { 0 };
	enum error_code code = health_request_read(message, &service, e);
	struct text name = buffer_text(&service);
	*known = name.n == 0 || text_equal(name, text_of("logs.LogService"));
	return code;
}

void health_check(struct call *call, struct text message)
{
	struct error e;
	bool known = false;
	if (read_request(message, &known, &e)) {
		call_fail(call, &e);
	} else if (!known) {
		call_finish(call, GRPC_NOT_FOUND, "there is no such service");
	} else {
		send(call, health_now());
		call_finish(call, GRPC_OK, NULL);
	}
}

/* ---- those who watch ---- */

/* Lets one go, with a last word. */
static void dismiss(struct watcher *w, enum grpc_status status, const char *sentence)
{
	TAILQ_REMOVE(&watchers, w, next);
	watcher_count--;
	call_finish(w->call, status, sentence);
	free(w);
}

void health_watch(struct call *call, struct text message)
{
	struct error e;
	bool known = false;
	if (read_request(message, &known, &e)) {
		call_fail(call, &e);
		return;
	}
	struct watcher *w = watcher_count < MAX_WATCHERS ? calloc(1, sizeof(*w)) : NULL;
	if (!w) {
		call_finish(call, GRPC_RESOURCE_EXHAUSTED, "too many watch already");
		return;
	}
	*w = (struct watcher){ .call = call, .is_known = known };
	TAILQ_INSERT_TAIL(&watchers, w, next);
	watcher_count++;
	send(call, known ? health_now() : HEALTH_SERVICE_UNKNOWN);
	if (is_ended)
		dismiss(w, GRPC_UNAVAILABLE, "the server is about to end");
}

void health_watcher_gone(struct call *call)
{
	struct watcher *w;
	TAILQ_FOREACH(w, &watchers, next)
	{
		if (w->call == call) {
			dismiss(w, GRPC_CANCELLED, NULL);
			return;
		}
	}
}

static void tell_all(void)
{
	struct watcher *w = TAILQ_FIRST(&watchers);
	while (w) {
		struct watcher *next = TAILQ_NEXT(w, next);
		if (w->is_known && send(w->call, health_now()) > MAX_UNREAD_BYTES)
			dismiss(w, GRPC_RESOURCE_EXHAUSTED, "what was sent is not read");
		w = next;
	}
}

void health_set(bool serving)
{
	if (serving == is_serving)
		return;
	is_serving = serving;
	if (!is_ended)
		tell_all();
}

void health_end(void)
{
	bool is_news = health_now() == HEALTH_SERVING;
	is_ended = true;
	if (is_news)
		tell_all();
	while (!TAILQ_EMPTY(&watchers))
		dismiss(TAILQ_FIRST(&watchers), GRPC_UNAVAILABLE, "the server is about to end");
}
