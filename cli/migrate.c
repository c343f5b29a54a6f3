/* migrate: one line for each thing that was done. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "core/clock.h"
#include "core/config.h"
#include "store/migrate.h"
#include "transport/broker.h"

enum { MAX_WAIT_S = 3600 };

/* Reads [--wait SECONDS]; false after it said what is wrong. */
static bool read_wait(int argc, char **argv, long *seconds)
{
	*seconds = 0;
	if (argc == 0)
		return true;
	if (strcmp(argv[0], "--wait") != 0 || argc != 2) {
		command_misuse("migrate", "not an option", argv[argc == 2 ? 0 : argc - 1]);
		return false;
	}
	char *end;
	errno = 0;
	*seconds = strtol(argv[1], &end, 10);
	if (errno || *end || end == argv[1] || *seconds < 0 || *seconds > MAX_WAIT_S) {
		command_misuse("migrate", "not a number of seconds up to 3600", argv[1]);
		return false;
	}
	return true;
}

/* What was said so far. */
struct told {
	bool any; /* something was done */
	char waiting[ERROR_TEXT_BYTES];
};

static void print_line(void *context, const char *line)
{
	struct told *told = context;
	told->any = true;
	puts(line);
	fflush(stdout);
}

/* Once for each reason; the library's lines about every further try would say nothing new. */
static void print_waiting(void *context, const struct error *why)
{
	struct told *told = context;
	if (strcmp(told->waiting, why->text) == 0)
		return;
	memcpy(told->waiting, why->text, sizeof(told->waiting));
	fprintf(stderr, "flexi migrate: waiting: %s\n", why->text);
	log_init("flexi", LOG_LEVEL_ERROR);
}

/* broker_migrate tries once: it waits for nothing that is not up. */
static enum error_code declare_queues(const struct migration *m, struct error *e)
{
	int pause_ms = 0;
	for (;;) {
		enum error_code code = broker_migrate(e);
		if ((code != ERROR_PEER_DOWN && code != ERROR_PEER_TIMEOUT &&
		     code != ERROR_PEER_FULL) ||
		    !migrate_wait(m, &pause_ms, e))
			return code;
	}
}

int command_migrate(int argc, char **argv)
{
	long wait_s;
	if (!read_wait(argc, argv, &wait_s))
		return EXIT_MISUSE;
	struct told told = { 0 };
	const struct migration m = {
		.directory = config()->migrations_dir,
		.seed = config()->seed,
		.admin_email = config()->admin_email,
		.admin_password = config()->admin_password,
		.deadline_ms = clock_now_ms() + wait_s * 1000,
		.report = print_line,
		.waiting = print_waiting,
		.context = &told,
	};
	struct migration_lock *lock = NULL;
	struct error e = { 0 };
	enum error_code code = migrate_admin_check(&m, &e);
	if (!code)
		code = migrate_begin(&m, &lock, &e);
	if (!code)
		code = migrate_sql(&m, lock, &e);
	if (!code)
		code = migrate_admin(&m, &e);
	if (!code)
		code = migrate_mongo(&m, &e);
	if (!code)
		code = declare_queues(&m, &e);
	migrate_end(lock);
	if (code) {
		fprintf(stderr, "flexi migrate: %s\n", e.text);
		return EXIT_FAILED;
	}
	if (!told.any)
		puts("nothing to do");
	return EXIT_DONE;
}
