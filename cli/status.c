/* status: a line for each service, and whether all of it is well. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/config.h"
#include "judge.h"

enum { SECONDS_TEXT = sizeof("2026-01-31T23:59:59") - 1, PATH_ROOM = 512 };

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

/* Under systemd the journal has the lines. */
static bool has_log_file(const struct service *s)
{
	char path[PATH_ROOM];
	snprintf(path, sizeof(path), "%s/log/%s/current", config()->run_dir, s->name);
	return access(path, F_OK) == 0;
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
	char log[2 * SERVICE_NAME_BYTES] = "";
	if (j->unwell)
		snprintf(log, sizeof(log),
			 has_log_file(s) ? "%slog/%s/current" : "%sjournalctl -t %s",
			 *j->note ? "; see " : "see ", s->name);
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
		struct judgement j = judge_service(&list.services[i]);
		print_row(&list.services[i], &j);
		bad += j.unwell;
	}
	if (bad > 0)
		printf("\n%zu of %zu unwell\n", bad, list.count);
	else
		printf("\nall well\n");
	return bad > 0 ? EXIT_FAILED : EXIT_DONE;
}
