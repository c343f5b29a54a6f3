/*
 * watch: makes handlers of the programs that lie in HANDLERS_DIR.
 *
 *	watch
 *
 * HANDLERS_DIR/{public,internal,queue}/NAME is an executable file; watch copies
 * it to RUN_DIR/versions/NAME/HASH and makes it an s6 service,
 * RUN_DIR/services/PLACE.NAME, which runs `serve PLACE NAME`, which runs pool. A
 * replaced program is rolled by its pool, a removed one stops being a handler.
 * NAME.conf beside it has its settings (pool_settings.h).
 *
 * serve must lie beside this program, log-run (the log service's script) in
 * ../native. s6-svscan runs on RUN_DIR/services.
 *
 * Environment: RUN_DIR, HANDLERS_DIR (both absolute), FDHOLDER_SOCKET,
 * DRAIN_TIMEOUT_MS, LOG_LEVEL.
 *
 * A newline goes to descriptor 3, if that is a pipe, when every handler that was found at
 * the start serves, or has not come to serve for READY_MOST_MS. SIGTERM ends
 * watch and leaves all services as they are; another watch goes on from there.
 * Exit status 100: a setting is wrong; 111: it cannot work now.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "layout.h"
#include "watch_handlers.h"
#include "watch_service.h"

enum {
	EXIT_MISUSE = 100,
	EXIT_TEMPORARY = 111,
	READY_FD = 3,
	READY_LOOK_MS = 50,
	READY_MOST_MS = 20000,
	RESCAN_MS = 5000,      /* for what inotify does not tell: a link's target, a mount */
	BLIND_RESCAN_MS = 500, /* without inotify */
	EVENT_BYTES = 16384,
	DIRECTORY_MODE = 0755,
	EVENTS = IN_CREATE | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
		 IN_ONLYDIR,
};

static struct {
	uv_loop_t *loop;
	int inotify;
	int watched[LAYOUT_PLACES]; /* inotify's number of each place */
	uv_poll_t events;
	uv_timer_t rescan;
	uv_timer_t ready;
	int ready_fd; /* -1: nobody waits */
	int64_t ready_until_ms;
} watch;

/* Also when it is watched already: the directory may be another one by now. */
static void watch_places(void)
{
	char path[LAYOUT_PATH_BYTES];
	for (int p = 0; p < LAYOUT_PLACES && watch.inotify >= 0; p++) {
		layout_path(LAYOUT_DROPPED, layout_places[p], "", path);
		int number = inotify_add_watch(watch.inotify, path, EVENTS);
		if (number < 0 && watch.watched[p] >= 0)
			log_error("the directory cannot be watched", LOG_TEXT("directory", path),
				  LOG_ERRNO(errno));
		watch.watched[p] = number;
	}
}

static void on_event(const struct inotify_event *event)
{
	if (event->mask & IN_Q_OVERFLOW) {
		handlers_rescan();
		return;
	}
	for (int p = 0; p < LAYOUT_PLACES; p++) {
		if (event->len > 0 && watch.watched[p] == event->wd)
			handlers_touch(layout_places[p], event->name);
	}
}

static void on_events(uv_poll_t *handle, int status, int events)
{
	(void)handle;
	(void)status;
	(void)events;
	static char bytes[EVENT_BYTES] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;
	while ((n = read(watch.inotify, bytes, sizeof(bytes))) > 0) {
		for (char *at = bytes; at < bytes + n;) {
			const struct inotify_event *event = (const void *)at;
			on_event(event);
			at += sizeof(*event) + event->len;
		}
	}
}

static void on_rescan(uv_timer_t *timer)
{
	(void)timer;
	watch_places();
	handlers_rescan();
}

static void count_silent(const char *place, const char *name, void *context)
{
	int *silent = context;
	*silent += !service_is_live(place, name);
}

static void log_silent(const char *place, const char *name, void *context)
{
	(void)context;
	if (!service_is_live(place, name))
		log_error("the handler does not come to serve", LOG_TEXT("place", place),
			  LOG_TEXT("handler", name));
}

static void on_ready_look(uv_timer_t *timer)
{
	int silent = 0;
	bool patient = clock_now_ms() < watch.ready_until_ms;
	handlers_each(count_silent, &silent);
	if (patient && (silent > 0 || handlers_are_busy()))
		return;
	uv_timer_stop(timer);
	handlers_each(log_silent, NULL);
	if (watch.ready_fd < 0)
		return;
	if (write(watch.ready_fd, "\n", 1) != 1)
		log_warning("nobody hears that watch is ready", LOG_ERRNO(errno));
	close(watch.ready_fd);
}

/* Before the loop opens descriptors of its own. */
static int find_ready_fd(void)
{
	struct stat st;
	if (fstat(READY_FD, &st) || !S_ISFIFO(st.st_mode))
		return -1;
	fcntl(READY_FD, F_SETFD, FD_CLOEXEC);
	return READY_FD;
}

static void on_stop(uv_signal_t *signal, int number)
{
	(void)signal;
	(void)number;
	uv_stop(watch.loop);
}

static enum error_code make_directories(struct error *e)
{
	static const char *const under_run[] = { "public", "internal", "queue", "services",
						 "versions" };
	char path[LAYOUT_PATH_BYTES];
	for (size_t i = 0; i < sizeof(under_run) / sizeof(under_run[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", config()->run_dir, under_run[i]);
		if (mkdir(path, DIRECTORY_MODE) && errno != EEXIST)
			return error_set(e, ERROR_INTERNAL, "%s: %s", path, strerror(errno));
	}
	if (mkdir(config()->handlers_dir, DIRECTORY_MODE) && errno != EEXIST)
		return error_set(e, ERROR_INTERNAL, "%s: %s", config()->handlers_dir,
				 strerror(errno));
	for (int p = 0; p < LAYOUT_PLACES; p++) {
		layout_path(LAYOUT_DROPPED, layout_places[p], "", path);
		if (mkdir(path, DIRECTORY_MODE) && errno != EEXIST)
			return error_set(e, ERROR_INTERNAL, "%s: %s", path, strerror(errno));
	}
	return ERROR_NONE;
}

static enum error_code prepare(struct error *e)
{
	enum error_code code = config_load(e);
	log_init("watch", (enum log_level)config()->log_level);
	if (!code)
		code = layout_check(e);
	if (!code)
		code = service_init(watch.loop, e);
	return code;
}

static void watch_changes(void)
{
	watch.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch.inotify < 0) {
		log_warning("no inotify; the directories are read again and again",
			    LOG_ERRNO(errno));
		return;
	}
	uv_poll_init(watch.loop, &watch.events, watch.inotify);
	uv_poll_start(&watch.events, UV_READABLE, on_events);
}

static enum error_code start(struct error *e)
{
	static uv_signal_t signals[2];
	enum error_code code = make_directories(e);
	if (code)
		return code;
	watch_changes();
	for (int i = 0; i < 2; i++) {
		uv_signal_init(watch.loop, &signals[i]);
		uv_signal_start(&signals[i], on_stop, i == 0 ? SIGTERM : SIGINT);
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN); /* somebody opens a file while we hold the lease on it */
	handlers_init(watch.loop);
	uv_timer_init(watch.loop, &watch.rescan);
	uv_timer_start(&watch.rescan, on_rescan, 0,
		       watch.inotify < 0 ? BLIND_RESCAN_MS : RESCAN_MS);
	watch.ready_until_ms = clock_now_ms() + READY_MOST_MS;
	uv_timer_init(watch.loop, &watch.ready);
	uv_timer_start(&watch.ready, on_ready_look, READY_LOOK_MS, READY_LOOK_MS);
	return ERROR_NONE;
}

int main(void)
{
	struct error e;
	log_init("watch", LOG_LEVEL_INFO);
	watch.ready_fd = find_ready_fd();
	watch.loop = uv_default_loop();
	if (prepare(&e)) {
		log_error("it cannot start", LOG_REASON(&e));
		return EXIT_MISUSE;
	}
	if (start(&e)) {
		log_error("it cannot start", LOG_REASON(&e));
		return EXIT_TEMPORARY;
	}
	uv_run(watch.loop, UV_RUN_DEFAULT);
	return EXIT_SUCCESS;
}
