/* handler: versions come and go while the socket stays. */
#include "pool_handler.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "layout.h"
#include "pool_generation.h"
#include "pool_settings.h"
#include "pool_standin.h"

static const char fcgiwrap[] = "/usr/sbin/fcgiwrap";
static const char *const protocol_names[] = { "fastcgi", "cgi" };

struct version {
	char program[LAYOUT_PATH_BYTES];
	char hash[LAYOUT_HASH_BYTES];
};

static struct {
	uv_loop_t *loop;
	const struct pool_options *options;
	char *own_arguments[2]; /* of a program that has none: the handler's name alone */
	struct pool_settings settings;
	char settings_path[LAYOUT_PATH_BYTES];
	uv_timer_t look;   /* something changed: see what follows from it */
	uv_timer_t settle; /* the youngest worker is old enough to judge */
	struct generation *serving;
	struct generation *trying; /* NULL unless it rolls */
	struct pool_settings trying_settings;
	char refused[LAYOUT_HASH_BYTES];
	int socket_flags; /* before the roll */
	bool settled;	  /* the serving generation has proved itself */
	bool roll_again;  /* asked for while it rolled */
	bool publishing;
	void (*stopped)(void); /* not NULL: it stops */
} handler;

static bool watched(void)
{
	return handler.options->program == NULL;
}

static bool find_version(enum layout_item link, struct version *v)
{
	*v = (struct version){ 0 };
	if (!watched()) {
		snprintf(v->program, sizeof(v->program), "%s", handler.options->program[0]);
		return access(v->program, X_OK) == 0;
	}
	const char *name = handler.options->name;
	if (!layout_linked_version(link, handler.options->place, name, v->hash))
		return false;
	layout_version(name, v->hash, v->program);
	return access(v->program, X_OK) == 0;
}

/* What is there now, over the defaults; on an error *settings is as it was. */
static enum error_code load_settings(struct pool_settings *settings, struct error *e)
{
	struct pool_settings fresh = { .workers = (int)config()->workers };
	enum error_code code = pool_settings_load(handler.settings_path, &fresh, e);
	if (code)
		return code;
	if (handler.options->workers)
		fresh.workers = handler.options->workers;
	*settings = fresh;
	return ERROR_NONE;
}

static void on_look(uv_timer_t *timer);

/* Decisions are made from the loop, never in the middle of what brought them about. */
static void changed(void *context)
{
	(void)context;
	uv_timer_start(&handler.look, on_look, 0, 0);
}

static struct generation *new_generation(const struct version *v, const struct pool_settings *s)
{
	bool cgi = s->protocol == PROTOCOL_CGI;
	char *const *own = watched() || cgi ? handler.own_arguments : handler.options->program;
	struct worker_command command = { cgi ? fcgiwrap : v->program, own };
	struct generation *g = generation_new(&(struct generation_options){
		.loop = handler.loop,
		.command = &command,
		.hash = v->hash,
		.workers = s->workers,
		.changed = changed,
	});
	if (!g)
		log_error("out of memory");
	return g;
}

static void remember_running(const char *hash)
{
	struct error e;
	if (watched() && *hash &&
	    layout_link_version(LAYOUT_RUNNING, handler.options->place, handler.options->name, hash,
				&e))
		log_error("the running version cannot be recorded", LOG_REASON(&e));
}

static void serve_settled(void)
{
	handler.settled = true;
	generation_settled(handler.serving);
	changed(NULL);
	remember_running(generation_hash(handler.serving));
}

static void end_roll(void)
{
	handler.trying = NULL;
	changed(NULL);
	if (handler.roll_again) {
		handler.roll_again = false;
		handler_roll();
	}
}

static void take(void)
{
	log_info("the new version is taken", LOG_TEXT("version", generation_hash(handler.trying)),
		 LOG_TEXT("instead_of", generation_hash(handler.serving)));
	generation_leave(handler.serving, config()->drain_timeout_ms);
	handler.serving = handler.trying;
	handler.settings = handler.trying_settings;
	handler.refused[0] = '\0';
	serve_settled();
	end_roll();
}

static void refuse(void)
{
	const char *hash = generation_hash(handler.trying);
	log_error("the new version is not taken: its workers end soon after their start; "
		  "the old one stays",
		  LOG_TEXT("version", hash), LOG_TEXT("stays", generation_hash(handler.serving)));
	snprintf(handler.refused, sizeof(handler.refused), "%s", hash);
	generation_leave(handler.trying, config()->drain_timeout_ms);
	if (handler.socket_flags >= 0)
		fcntl(STDIN_FILENO, F_SETFL, handler.socket_flags);
	generation_start(handler.serving);
	end_roll();
}

static void on_settle(uv_timer_t *timer)
{
	(void)timer;
	changed(NULL);
}

static void judge(void)
{
	if (!handler.trying && handler.settled)
		return;
	struct roll r = generation_roll(handler.trying ? handler.trying : handler.serving);
	if (!handler.trying)
		r.deaths = 0; /* there is nothing to go back to */
	enum roll_verdict verdict = roll_judge(&r);
	if (verdict == ROLL_WAIT && r.running > 0 && r.youngest_ms < ROLL_SETTLE_MS)
		uv_timer_start(&handler.settle, on_settle,
			       (uint64_t)(ROLL_SETTLE_MS - r.youngest_ms), 0);
	if (verdict == ROLL_TAKE && handler.trying)
		take();
	else if (verdict == ROLL_TAKE)
		serve_settled();
	else if (verdict == ROLL_REFUSE)
		refuse();
}

static const char *state(void)
{
	if (handler.stopped)
		return "stopping";
	if (handler.trying)
		return "rolling";
	if (generation_is_failing(handler.serving))
		return "failing";
	return handler.settled ? "serving" : "starting";
}

static void publish(void)
{
	struct error e;
	const struct generation *g = handler.serving;
	if (!handler.publishing || !watched())
		return;
	struct status status = {
		.place = handler.options->place,
		.name = handler.options->name,
		.state = state(),
		.version = generation_hash(g),
		.protocol = protocol_names[handler.settings.protocol],
		.refused = handler.refused,
		.wanted = generation_wanted(g),
		.running = generation_running(g),
		.leaving = generations_leaving(),
		.restarts = generation_restarts(g),
	};
	if (publish_status(&status, &e))
		log_error("the status cannot be published", LOG_REASON(&e));
}

static void on_look(uv_timer_t *timer)
{
	(void)timer;
	if (handler.stopped) {
		standin_serve(false);
		if (generations_leaving() == 0)
			handler.stopped();
		return;
	}
	judge();
	standin_serve(handler.trying == NULL && generation_is_failing(handler.serving));
	publish();
}

/* fcgiwrap runs the program anew for each request: a new version needs no new workers. */
static bool roll_is_needless(const struct pool_settings *fresh)
{
	return watched() && handler.settled && fresh->protocol == PROTOCOL_CGI &&
	       handler.settings.protocol == PROTOCOL_CGI &&
	       fresh->workers == handler.settings.workers;
}

void handler_roll(void)
{
	struct error e;
	struct version v;
	struct pool_settings fresh = handler.settings;
	if (handler.stopped)
		return;
	if (handler.trying) {
		handler.roll_again = true;
		return;
	}
	if (load_settings(&fresh, &e))
		log_error("the settings stay as they were", LOG_REASON(&e));
	if (!find_version(LAYOUT_WANTED, &v)) {
		log_error("there is no version to roll to", LOG_TEXT("file", v.program));
		return;
	}
	if (roll_is_needless(&fresh)) {
		generation_rename(handler.serving, v.hash);
		serve_settled();
		changed(NULL);
		return;
	}
	struct generation *g = new_generation(&v, &fresh);
	if (!g)
		return;
	handler.trying = g;
	handler.socket_flags = fcntl(STDIN_FILENO, F_GETFL);
	handler.trying_settings = fresh;
	/* A restarted old worker would set the socket as the old version wants it. */
	generation_hold(handler.serving);
	generation_start(g);
}

enum error_code handler_start(uv_loop_t *loop, const struct pool_options *options, struct error *e)
{
	struct version running;
	struct version wanted;
	handler.loop = loop;
	handler.options = options;
	handler.own_arguments[0] = (char *)(uintptr_t)options->name;
	uv_timer_init(loop, &handler.look);
	uv_timer_init(loop, &handler.settle);
	standin_init(loop, options->name);
	if (watched())
		layout_path(LAYOUT_SETTINGS, options->place, options->name, handler.settings_path);
	else
		snprintf(handler.settings_path, sizeof(handler.settings_path), "%s.conf",
			 options->program[0]);
	handler.settings.workers = options->workers ? options->workers : (int)config()->workers;
	if (load_settings(&handler.settings, e))
		log_error("the settings are not used", LOG_REASON(e));
	bool has_wanted = find_version(LAYOUT_WANTED, &wanted);
	bool has_running = watched() && find_version(LAYOUT_RUNNING, &running);
	if (!has_wanted && !has_running)
		return error_set(e, ERROR_NOT_FOUND, "there is no program to run: %s",
				 wanted.program);
	/* What is known to work serves first; what came meanwhile has to prove itself. */
	handler.serving = new_generation(has_running ? &running : &wanted, &handler.settings);
	if (!handler.serving)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	generation_start(handler.serving);
	if (has_running && has_wanted && strcmp(running.hash, wanted.hash) != 0)
		handler_roll();
	return ERROR_NONE;
}

void handler_stop(long drain_ms, void (*stopped)(void))
{
	handler.stopped = stopped;
	publish();
	if (handler.trying)
		generation_leave(handler.trying, drain_ms);
	generation_leave(handler.serving, drain_ms);
	changed(NULL);
}

void handler_publish(bool publish)
{
	handler.publishing = publish;
	changed(NULL);
}
