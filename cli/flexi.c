/* flexi: the command that people type. Finds the subcommand and runs it. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "core/config.h"

static int command_help(int argc, char **argv);
static int command_version(int argc, char **argv);

static const struct command commands[] = {
	{ "migrate", command_migrate, "bring databases and queues to what this version needs",
	  "[--wait SECONDS]\n"
	  "\n"
	  "Applies sql/ and mongo-init/ of MIGRATIONS_DIR in the order of their numbers, the seed\n"
	  "that SEED names, makes the user ADMIN_EMAIL with ADMIN_PASSWORD, and declares the "
	  "queues\n"
	  "of TRIGGERS_FILE. What is there already stays.\n"
	  "\n"
	  "  --wait SECONDS  wait so long for services that are not up yet (default 0, at most "
	  "3600)\n",
	  false },
	{ "status", command_status, "what runs, since when, how many workers, and what is unwell",
	  "\n"
	  "Prints a line for each service of the stack in RUN_DIR. WORKERS is those that run, "
	  "those that\n"
	  "shall, and after a + those that still finish a request. Exit status 1: something is "
	  "unwell,\n"
	  "or nothing runs.\n",
	  false },
	{ "dead", command_dead, "what could not be handled: look at it, send it again, drop it",
	  "[QUEUE [--again ID… | --again --all | --drop ID…]]\n"
	  "\n"
	  "Without a queue: how many messages wait in each queue of TRIGGERS_FILE, and how\n"
	  "many are dead. With one: each of its dead letters as a line of JSON. Looking\n"
	  "changes nothing.\n"
	  "\n"
	  "  --again ID…     puts these back into their queue, as if nothing had been tried\n"
	  "  --again --all   likewise, every one\n"
	  "  --drop ID…      prints these and removes them for good\n",
	  false },
	{ "config", command_config, "print every setting",
	  "[--markdown]\n"
	  "\n"
	  "Prints each variable with its value in force, its default and what it is. Secrets are\n"
	  "shown as (set).\n"
	  "\n"
	  "  --markdown      print the page docs/configuration.md instead, without values\n",
	  false },
	{ "help", command_help, "explain a command", "[COMMAND]\n", true },
	{ "version", command_version, "print the version", "\n", true },
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static void print_list(FILE *out)
{
	fprintf(out, "usage: flexi COMMAND [WORD…]\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].about);
	fprintf(out,
		"\n`flexi help COMMAND` says more. Exit status: 0 done, 1 failed, 100 misuse.\n");
}

static int command_help(int argc, char **argv)
{
	if (argc == 0) {
		print_list(stdout);
		return EXIT_DONE;
	}
	const struct command *c = find(argv[0]);
	if (!c || argc > 1)
		return command_misuse("help", c ? "one command only" : "no such command",
				      argv[argc - 1]);
	printf("flexi %s: %s\n\nusage: flexi %s %s", c->name, c->about, c->name, c->usage);
	return EXIT_DONE;
}

static int command_version(int argc, char **argv)
{
	if (argc > 0)
		return command_misuse("version", "takes nothing", argv[0]);
	printf("flexi %s\n", FLEXI_VERSION);
	return EXIT_DONE;
}

int command_misuse(const char *command, const char *problem, const char *word)
{
	fprintf(stderr, "flexi %s: %s: %s (see `flexi help %s`)\n", command, problem, word,
		command);
	return EXIT_MISUSE;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_list(stderr);
		return EXIT_MISUSE;
	}
	const char *name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	else if (strcmp(name, "--version") == 0)
		name = "version";
	const struct command *c = find(name);
	if (!c) {
		fprintf(stderr, "flexi: no such command: %s (see `flexi help`)\n", name);
		return EXIT_MISUSE;
	}
	if (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0))
		return command_help(1, (char *[]){ (char *)c->name, NULL });
	struct error e = { 0 };
	if (!c->without_config && config_load(&e)) {
		fprintf(stderr, "flexi %s: %s\n", name, e.text);
		return EXIT_FAILED;
	}
	log_init("flexi", (enum log_level)config()->log_level);
	return c->run(argc - 2, argv + 2);
}
