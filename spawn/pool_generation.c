/* generation: slots, each with a worker or a timer that starts the next one. */
#include "pool_generation.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "pool_backoff.h"

struct slot {
	struct generation *generation;
	pid_t pid; /* 0: no worker */
	int64_t started_ms;
	bool blocking; /* the worker found the socket so */
	struct backoff backoff;
	uv_timer_t timer; /* to the next start; when leaving, to SIGKILL */
};

struct generation {
	struct generation *next; /* in all */
	struct generation_options options;
	struct worker_command command;
	char program[LAYOUT_PATH_BYTES];
	char hash[LAYOUT_HASH_BYTES];
	bool blocking; /* its workers want the socket without O_NONBLOCK */
	bool settled;
	bool held;
	bool leaving;
	int running;
	int deaths;
	long restarts;
	int open_timers;
	struct slot slots[];
};

static struct generation *all;

struct generation *generation_new(const struct generation_options *options)
{
	size_t n = (size_t)options->workers;
	struct generation *g = calloc(1, sizeof(*g) + n * sizeof(g->slots[0]));
	if (!g)
		return NULL;
	g->options = *options;
	snprintf(g->program, sizeof(g->program), "%s", options->command->program);
	snprintf(g->hash, sizeof(g->hash), "%s", options->hash);
	g->command = (struct worker_command){ g->program, options->command->arguments };
	for (size_t i = 0; i < n; i++) {
		g->slots[i].generation = g;
		uv_timer_init(options->loop, &g->slots[i].timer);
		g->slots[i].timer.data = &g->slots[i];
	}
	g->open_timers = options->workers;
	g->next = all;
	all = g;
	return g;
}

static bool socket_is_blocking(void)
{
	int flags = fcntl(STDIN_FILENO, F_GETFL);
	return flags >= 0 && !(flags & O_NONBLOCK);
}

static void make_socket_blocking(void)
{
	int flags = fcntl(STDIN_FILENO, F_GETFL);
	if (flags >= 0)
		fcntl(STDIN_FILENO, F_SETFL, flags & ~O_NONBLOCK);
}

static void start_later(struct slot *s, int wait_ms);

static void slot_start(struct slot *s)
{
	struct generation *g = s->generation;
	if (g->blocking)
		make_socket_blocking();
	s->blocking = socket_is_blocking();
	s->started_ms = clock_now_ms();
	pid_t pid = worker_start(&g->command);
	if (pid < 0) {
		log_error("a worker cannot be started", LOG_ERRNO(errno));
		start_later(s, backoff_after_death(&s->backoff, 0));
		return;
	}
	s->pid = pid;
	g->running++;
	log_debug("a worker started", LOG_INT("worker", pid), LOG_TEXT("version", g->hash));
	g->options.changed(g->options.context);
}

static void on_start_due(uv_timer_t *timer)
{
	struct slot *s = timer->data;
	s->generation->restarts++;
	slot_start(s);
}

static void start_later(struct slot *s, int wait_ms)
{
	if (!s->generation->held)
		uv_timer_start(&s->timer, on_start_due, (uint64_t)wait_ms, 0);
}

void generation_start(struct generation *g)
{
	g->held = false;
	for (int i = 0; i < g->options.workers; i++) {
		struct slot *s = &g->slots[i];
		if (!s->pid && !uv_is_active((uv_handle_t *)&s->timer))
			slot_start(s);
	}
}

void generation_hold(struct generation *g)
{
	g->held = true;
	for (int i = 0; i < g->options.workers; i++)
		uv_timer_stop(&g->slots[i].timer);
}

void generation_settled(struct generation *g)
{
	g->settled = true;
	g->blocking = socket_is_blocking();
}

static void on_drain_over(uv_timer_t *timer)
{
	struct slot *s = timer->data;
	if (!s->pid)
		return;
	log_warning("a worker did not finish in time and is killed", LOG_INT("worker", s->pid));
	kill(s->pid, SIGKILL);
}

static void log_death(const struct slot *s, int status, int64_t lived_ms)
{
	bool leaving = s->generation->leaving;
	const char *version = s->generation->hash;
	if (WIFSIGNALED(status)) {
		const char *abbreviation = sigabbrev_np(WTERMSIG(status));
		char name[16];
		snprintf(name, sizeof(name), "SIG%s", abbreviation ? abbreviation : "?");
		log_at(leaving ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "a worker was killed",
		       LOG_INT("worker", s->pid), LOG_TEXT("signal", name),
		       LOG_INT("lived_ms", lived_ms), LOG_TEXT("version", version));
		return;
	}
	log_at(leaving ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, "a worker ended",
	       LOG_INT("worker", s->pid), LOG_INT("status", WEXITSTATUS(status)),
	       LOG_INT("lived_ms", lived_ms), LOG_TEXT("version", version));
}

static void slot_died(struct slot *s, int status)
{
	struct generation *g = s->generation;
	int64_t lived_ms = clock_now_ms() - s->started_ms;
	log_death(s, status, lived_ms);
	s->pid = 0;
	g->running--;
	uv_timer_stop(&s->timer);
	if (g->leaving)
		return;
	/* It may have died of O_NONBLOCK; then that is no fault of the program. */
	if (s->blocking || g->settled || lived_ms >= ROLL_SETTLE_MS)
		g->deaths++;
	else
		g->blocking = true;
	bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	start_later(s, killed ? backoff_after_kill(&s->backoff, lived_ms)
			      : backoff_after_death(&s->backoff, lived_ms));
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct slot *s = handle->data;
	struct generation *g = s->generation;
	if (--g->open_timers == 0)
		free(g);
}

static void destroy(struct generation *g)
{
	for (struct generation **link = &all; *link; link = &(*link)->next) {
		if (*link == g) {
			*link = g->next;
			break;
		}
	}
	for (int i = 0; i < g->options.workers; i++)
		uv_close((uv_handle_t *)&g->slots[i].timer, on_timer_closed);
}

void generation_leave(struct generation *g, long drain_ms)
{
	g->leaving = true;
	for (int i = 0; i < g->options.workers; i++) {
		struct slot *s = &g->slots[i];
		uv_timer_stop(&s->timer);
		if (!s->pid)
			continue;
		kill(s->pid, SIGTERM);
		uv_timer_start(&s->timer, on_drain_over, (uint64_t)drain_ms, 0);
	}
	if (g->running == 0)
		destroy(g);
}

static bool reap(struct generation *g)
{
	bool changed = false;
	for (int i = 0; i < g->options.workers; i++) {
		struct slot *s = &g->slots[i];
		int status;
		if (s->pid && waitpid(s->pid, &status, WNOHANG) == s->pid) {
			slot_died(s, status);
			changed = true;
		}
	}
	return changed;
}

void generations_reap(void)
{
	struct generation *next;
	for (struct generation *g = all; g; g = next) {
		struct generation_options options = g->options;
		next = g->next;
		if (!reap(g))
			continue;
		if (g->leaving && g->running == 0)
			destroy(g);
		options.changed(options.context);
	}
}

int generations_leaving(void)
{
	int n = 0;
	for (const struct generation *g = all; g; g = g->next)
		n += g->leaving ? g->running : 0;
	return n;
}

const char *generation_hash(const struct generation *g)
{
	return g->hash;
}

void generation_rename(struct generation *g, const char *hash)
{
	snprintf(g->hash, sizeof(g->hash), "%s", hash);
}

int generation_wanted(const struct generation *g)
{
	return g->options.workers;
}

int generation_running(const struct generation *g)
{
	return g->running;
}

long generation_restarts(const struct generation *g)
{
	return g->restarts;
}

bool generation_is_failing(const struct generation *g)
{
	for (int i = 0; i < g->options.workers; i++) {
		if (g->slots[i].pid || !backoff_is_failing(&g->slots[i].backoff))
			return false;
	}
	return true;
}

struct roll generation_roll(const struct generation *g)
{
	struct roll r = { .wanted = g->options.workers,
			  .running = g->running,
			  .deaths = g->deaths };
	int64_t youngest = 0;
	for (int i = 0; i < g->options.workers; i++) {
		if (g->slots[i].pid && g->slots[i].started_ms > youngest)
			youngest = g->slots[i].started_ms;
	}
	r.youngest_ms = clock_now_ms() - youngest;
	return r;
}
