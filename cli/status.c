/* status: a line for each service, and whether all of it is well. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "services.h"

enum { NOTE_BYTES = 160, SECONDS_TEXT = sizeof("2026-01-31T23:59:59") - 1 };

struct judgement {
	bool unwell;
	const char *state;
	char note[NOTE_BYTES];
};

static struct judgement unwell(const char *state, const char *note)
{
	struct judgement j = { .unwell = true, .state = state };
	snprintf(j.note, sizeof(j.note), "%s", note);
	return j;
}

static struct judgement judge_pool(const struct pool_state *p)
{
	if (!p->known)
		return unwell("starting", "its pool has not said yet what it does");
	if (strcmp(p->state, "failing") == 0)
		return unwell("failing", "its workers end soon after they start");
	if (strcmp(p->state, "stopping") == 0)
		return unwell("stopping", "");
	if (p->running < p->wanted)
		return unwell("short", "workers are missing");
	struct judgement j = { .state = strcmp(p->state, "rolling") == 0 ? "rolling" : "up" };
	if (p->refused) {
		j.unwell = true;
		snprintf(j.note, sizeof(j.note), "the version dropped last was not taken");
	} else if (p->restarts > 0) {
		snprintf(j.note, sizeof(j.note), "%lld worker%s restarted", (long long)p->restarts,
			 p->restarts == 1 ? "" : "s");
	}
	return j;
}

static struct judgement judge(const struct service *s)
{
	if (!s->supervised)
		return unwell("dead", "nothing supervises it");
	if (!s->wanted_up)
		return s->up ? unwell("stopping", "")
			     : (struct judgement){ .state = "down", .note = "stopped by hand" };
	if (!s->up)
		return unwell("down", "ended; it is started again every second");
	if (s->tells_ready && !s->ready)
		return unwell("starting", "not ready yet");
	return s->is_pool ? judge_pool(&s->pool) : (struct judgement){ .state = "up" };
}

static void print_workers(const struct service *s, char *out, size_t size)
{
	const struct pool_state *p = &s->pool;
	if (!p->known)
		snprintf(out, size, "-");
	else if (p->leaving > 0)
		snprintf(out, size, "%lld/%lld+%lld", (long long)p->running, (long long)p->wanted,
			 (long long)p->leaving);
	else
		snprintf(out, size, "%lld/%lld", (long long)p->running, (long long)p->wanted);
}

static void print_row(const struct service *s, const struct judgement *j)
{
	char since[CLOCK_TEXT_BYTES] = "-";
	char pid[24] = "-";
	char workers[72];
	if (s->supervised) {
		clock_text(s->since_ms, since);
		snprintf(since + SECONDS_TEXT, sizeof(since) - SECONDS_TEXT, "Z");
	}
	if (s->supervised && s->up)
		snprintf(pid, sizeof(pid), "%lld", (long long)s->pid);
	print_workers(s, workers, sizeof(workers));
	char log[SERVICE_NAME_BYTES + 32] = "";
	if (j->unwell)
		snprintf(log, sizeof(log), "%slog/%s/current", *j->note ? "; see " : "see ",
			 s->name);
	printf("%-24s %-9s %-20s %8s  %-8s %s%s\n", s->name, j->state, since, pid, workers, j->note,
	       log);
}

int command_status(int argc, char **argv)
{
	if (argc > 0)
		return command_misuse("status", "not an option", argv[0]);
	CLEANUP(service_list_finish) struct service_list list = { 0 };
	struct error e = { 0 };
	if (services_read(&list, &e)) {
		fprintf(stderr, "flexi status: %s\n", e.text);
		return EXIT_FAILED;
	}
	size_t bad = 0;
	printf("%-24s %-9s %-20s %8s  %-8s %s\n", "SERVICE", "STATE", "SINCE", "PID", "WORKERS",
	       "NOTE");
	for (size_t i = 0; i < list.count; i++) {
		struct judgement j = judge(&list.services[i]);
		print_row(&list.services[i], &j);
		bad += j.unwell;
	}
	if (bad > 0)
		printf("\n%zu of %zu unwell\n", bad, list.count);
	else
		printf("\nall well\n");
	return bad > 0 ? EXIT_FAILED : EXIT_DONE;
}
