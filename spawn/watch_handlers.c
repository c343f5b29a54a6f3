/* handlers: a table of files, each with a timer that looks at it. */
#include "watch_handlers.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "layout.h"
#include "tool.h"
#include "watch_complaint.h"
#include "watch_program.h"
#include "watch_service.h"

enum {
	TOUCH_MS = 20,	      /* from a change to a look at it */
	REST_MS = 100,	      /* a file that did not change for so long is whole */
	DOUBT_REST_MS = 1000, /* the same, if it cannot be known whether somebody is writing */
	WRITTEN_LOOK_MS = 100,
	ABSENT_MS = 250,   /* replaced by remove and create: not removed */
	UNREADY_MS = 3000, /* likewise, by create and chmod */
	SWEEP_MS = 100,
	RETRY_MS = 2000, /* after a failure of ours: no space, say */
};

struct dropped {
	struct dropped *next;
	const char *place;
	char name[MAX_HANDLER_NAME_BYTES + 1];
	struct identity taken;	  /* the file as it was copied */
	struct identity seen;	  /* the file at the last look */
	int64_t seen_ms;	  /* since when it looks so */
	struct identity settings; /* NAME.conf at the last look */
	bool settings_known;
	bool served;   /* it has a service */
	bool clearing; /* its deposit is being deleted */
	uv_timer_t look;
};

static uv_loop_t *loop;
static uv_timer_t sweep;
static struct dropped *all;

static void on_look(uv_timer_t *timer);

static void look_in(struct dropped *d, int ms)
{
	uint64_t wait = (uint64_t)ms;
	if (!uv_is_active((uv_handle_t *)&d->look) || uv_timer_get_due_in(&d->look) > wait)
		uv_timer_start(&d->look, on_look, wait, 0);
}

static struct dropped *find(const char *place, const char *name)
{
	for (struct dropped *d = all; d; d = d->next) {
		if (d->place == place && strcmp(d->name, name) == 0)
			return d;
	}
	return NULL;
}

static struct dropped *find_or_add(const char *place, const char *name)
{
	struct dropped *d = find(place, name);
	if (d)
		return d;
	d = calloc(1, sizeof(*d));
	if (!d) {
		log_error("out of memory");
		return NULL;
	}
	d->place = place;
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->served = service_exists(place, name);
	uv_timer_init(loop, &d->look);
	d->look.data = d;
	d->next = all;
	all = d;
	return d;
}

/* --- the pool has ended: what is left of a removed handler */

static void on_deposit_deleted(void *context, bool good)
{
	struct dropped *d = context;
	(void)good; /* there may have been none */
	d->clearing = false;
	look_in(d, 0);
}

static void unlink_item(enum layout_item item, const struct dropped *d)
{
	char path[LAYOUT_PATH_BYTES];
	layout_path(item, d->place, d->name, path);
	unlink(path);
}

static void on_ended(const char *place, const char *name)
{
	static const enum layout_item leftovers[] = { LAYOUT_SOCKET, LAYOUT_STATUS, LAYOUT_WANTED,
						      LAYOUT_RUNNING, LAYOUT_BEFORE };
	struct dropped *d = find_or_add(place, name);
	if (!d || service_exists(place, name))
		return; /* it was dropped in again meanwhile, and has the socket now */
	for (size_t i = 0; i < sizeof(leftovers) / sizeof(leftovers[0]); i++)
		unlink_item(leftovers[i], d);
	program_prune(name, 0);
	log_info("the handler is removed", LOG_TEXT("place", place), LOG_TEXT("handler", name));
	if (!config()->fdholder_socket[0])
		return;
	char id[MAX_HANDLER_NAME_BYTES + sizeof("handler:internal/")];
	snprintf(id, sizeof(id), "handler:%s/%s", place, name);
	const char *arguments[] = { "s6-fdholder-delete",      "-t", "2000",
				    config()->fdholder_socket, id,   NULL };
	d->clearing = true;
	tool_run(loop, arguments, on_deposit_deleted, d);
}

static void on_sweep(uv_timer_t *timer)
{
	if (!services_sweep(on_ended))
		uv_timer_stop(timer);
}

static void remove_handler(struct dropped *d)
{
	struct error e;
	d->taken = (struct identity){ 0 };
	if (!d->served)
		return;
	if (service_remove(d->place, d->name, &e)) {
		log_error("the handler cannot be removed", LOG_TEXT("place", d->place),
			  LOG_TEXT("handler", d->name), LOG_REASON(&e));
		look_in(d, RETRY_MS);
		return;
	}
	d->served = false;
	uv_timer_start(&sweep, on_sweep, SWEEP_MS, SWEEP_MS);
}

/* --- a program that is there */

static enum error_code link_versions(const struct dropped *d, const char *hash, struct error *e)
{
	char wanted[LAYOUT_HASH_BYTES];
	char running[LAYOUT_HASH_BYTES];
	bool has_wanted = layout_linked_version(LAYOUT_WANTED, d->place, d->name, wanted);
	bool has_running = layout_linked_version(LAYOUT_RUNNING, d->place, d->name, running);
	const char *before = has_running ? running : has_wanted ? wanted : hash;
	if (strcmp(before, hash) != 0 &&
	    layout_link_version(LAYOUT_BEFORE, d->place, d->name, before, e))
		return e->code;
	return layout_link_version(LAYOUT_WANTED, d->place, d->name, hash, e);
}

/* Whether the pool has taken this version. */
static bool is_current(const struct dropped *d, const char *hash)
{
	char wanted[LAYOUT_HASH_BYTES];
	char running[LAYOUT_HASH_BYTES];
	return layout_linked_version(LAYOUT_WANTED, d->place, d->name, wanted) &&
	       layout_linked_version(LAYOUT_RUNNING, d->place, d->name, running) &&
	       strcmp(wanted, hash) == 0 && strcmp(running, hash) == 0;
}

static enum error_code install(struct dropped *d, const struct identity *id, struct error *e)
{
	char path[LAYOUT_PATH_BYTES];
	char hash[LAYOUT_HASH_BYTES];
	layout_path(LAYOUT_DROPPED, d->place, d->name, path);
	enum error_code code = program_copy(path, id, d->name, hash, e);
	if (code)
		return code;
	bool current = is_current(d, hash);
	bool served = d->served;
	if (!current)
		code = link_versions(d, hash, e);
	if (!code)
		code = service_ensure(d->place, d->name, e);
	if (code)
		return code;
	d->served = true;
	d->taken = *id;
	if (!served)
		log_info("a new handler", LOG_TEXT("place", d->place), LOG_TEXT("handler", d->name),
			 LOG_TEXT("version", hash));
	else if (!current)
		log_info("a new version", LOG_TEXT("place", d->place), LOG_TEXT("handler", d->name),
			 LOG_TEXT("version", hash));
	if (served && !current)
		service_roll(d->place, d->name);
	program_prune(d->name, PROGRAM_PRUNE_AGE_MS);
	return ERROR_NONE;
}

static void install_at_rest(struct dropped *d, enum program_state state, const struct identity *id,
			    int64_t unchanged_ms)
{
	struct error e;
	int rest_ms = state == PROGRAM_DOUBTFUL ? DOUBT_REST_MS : REST_MS;
	if (unchanged_ms < rest_ms && identity_age_ms(id) < rest_ms) {
		look_in(d, rest_ms);
		return;
	}
	enum error_code code = install(d, id, &e);
	if (!code)
		return;
	if (code != ERROR_CONFLICT)
		log_error("the program cannot be installed", LOG_TEXT("place", d->place),
			  LOG_TEXT("handler", d->name), LOG_REASON(&e));
	look_in(d, code == ERROR_CONFLICT ? REST_MS : RETRY_MS);
}

static void on_forgotten(uv_handle_t *timer)
{
	free(timer->data);
}

static void forget(struct dropped *d)
{
	for (struct dropped **link = &all; *link; link = &(*link)->next) {
		if (*link == d) {
			*link = d->next;
			break;
		}
	}
	uv_close((uv_handle_t *)&d->look, on_forgotten);
}

/* Without its directory nothing is known about a file: it may be mounted again. */
static bool place_is_there(const char *place)
{
	char path[LAYOUT_PATH_BYTES];
	layout_path(LAYOUT_DROPPED, place, "", path);
	return access(path, R_OK | X_OK) == 0;
}

/* The file is not there, or cannot be run: removed, once it has been so for a while. */
static void miss(struct dropped *d, int64_t missing_ms, int most_ms)
{
	if (!d->served || !place_is_there(d->place))
		return;
	if (missing_ms < most_ms)
		look_in(d, (int)(most_ms - missing_ms));
	else
		remove_handler(d);
}

static void look_at_settings(struct dropped *d)
{
	char path[LAYOUT_PATH_BYTES];
	struct identity now;
	layout_path(LAYOUT_SETTINGS, d->place, d->name, path);
	identity_read(path, &now);
	if (d->settings_known && identity_equal(&now, &d->settings))
		return;
	if (program_look(path, &now) == PROGRAM_WRITTEN) {
		look_in(d, WRITTEN_LOOK_MS);
		return;
	}
	bool changed = d->settings_known;
	d->settings = now;
	d->settings_known = true;
	if (!changed || !d->served)
		return;
	log_info("new settings", LOG_TEXT("place", d->place), LOG_TEXT("handler", d->name));
	service_roll(d->place, d->name);
}

static void look_at_program(struct dropped *d)
{
	char path[LAYOUT_PATH_BYTES];
	struct identity now;
	layout_path(LAYOUT_DROPPED, d->place, d->name, path);
	if (identity_read(path, &now) && d->served && identity_equal(&now, &d->taken))
		return;
	enum program_state state = program_look(path, &now);
	if (!identity_equal(&now, &d->seen) || d->seen_ms == 0) {
		d->seen = now;
		d->seen_ms = clock_now_ms();
	}
	int64_t unchanged_ms = clock_now_ms() - d->seen_ms;
	if (state == PROGRAM_FOREIGN)
		complaint_log(d->place, d->name,
			      "this is not a file that can be read and is ignored");
	if (state == PROGRAM_ABSENT && !d->served)
		forget(d);
	else if (state == PROGRAM_ABSENT)
		miss(d, unchanged_ms, ABSENT_MS);
	else if (state == PROGRAM_FOREIGN || state == PROGRAM_UNREADY)
		miss(d, unchanged_ms, UNREADY_MS);
	else if (state == PROGRAM_WRITTEN)
		look_in(d, WRITTEN_LOOK_MS);
	else
		install_at_rest(d, state, &now, unchanged_ms);
}

static void on_look(uv_timer_t *timer)
{
	struct dropped *d = timer->data;
	if (d->clearing)
		return; /* it is looked at when that is done */
	look_at_settings(d);
	look_at_program(d);
}

/* --- what may have changed */

/* NAME.conf belongs to NAME. Returns whether it is that. */
static bool touch_settings(const char *place, const char *word)
{
	static const char ending[] = ".conf";
	char name[MAX_HANDLER_NAME_BYTES + 1];
	size_t n = strlen(word);
	size_t m = strlen(ending);
	if (n <= m || strcmp(word + n - m, ending) != 0)
		return false;
	if (n - m > MAX_HANDLER_NAME_BYTES)
		return true;
	memcpy(name, word, n - m);
	name[n - m] = '\0';
	struct dropped *d = find(place, name);
	if (d)
		look_in(d, TOUCH_MS);
	return true;
}

void handlers_touch(const char *place, const char *word)
{
	if (touch_settings(place, word) || program_is_passed_over(word))
		return;
	if (!layout_name_valid(word)) {
		complaint_log(place, word, "this cannot be the name of a handler and is ignored");
		return;
	}
	struct dropped *d = find_or_add(place, word);
	if (d)
		look_in(d, TOUCH_MS);
}

static void touch_service(const char *place, const char *name)
{
	handlers_touch(place, name);
}

static void scan(const char *place)
{
	char path[LAYOUT_PATH_BYTES];
	layout_path(LAYOUT_DROPPED, place, "", path);
	DIR *directory = opendir(path);
	for (struct dirent *e; directory && (e = readdir(directory));)
		handlers_touch(place, e->d_name);
	if (directory)
		closedir(directory);
}

void handlers_rescan(void)
{
	for (int p = 0; p < LAYOUT_PLACES; p++)
		scan(layout_places[p]);
	services_each(touch_service);
	uv_timer_start(&sweep, on_sweep, 0, SWEEP_MS);
}

bool handlers_are_busy(void)
{
	for (const struct dropped *d = all; d; d = d->next) {
		if (uv_is_active((const uv_handle_t *)&d->look))
			return true;
	}
	return false;
}

void handlers_each(void (*each)(const char *place, const char *name, void *context), void *context)
{
	for (const struct dropped *d = all; d; d = d->next) {
		if (d->served)
			each(d->place, d->name, context);
	}
}

void handlers_init(uv_loop_t *the_loop)
{
	loop = the_loop;
	uv_timer_init(loop, &sweep);
	programs_prune(PROGRAM_PRUNE_AGE_MS);
}
