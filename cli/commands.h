/*
 * commands: what `flexi` can do. A command gets what follows its name, and
 * returns the exit status.
 */
#ifndef FLEXI_CLI_COMMANDS_H
#define FLEXI_CLI_COMMANDS_H

#include <stdbool.h>

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_MISUSE = 100 };

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *about;   /* half a line */
	const char *usage;   /* what may follow the name, and what it means; lines end in \n */
	bool without_config; /* runs whatever the settings are */
};

int command_migrate(int argc, char **argv);
int command_status(int argc, char **argv);
int command_config(int argc, char **argv);
int command_dead(int argc, char **argv);

/* Prints what is wrong with the words that follow a command's name. Returns EXIT_MISUSE. */
int command_misuse(const char *command, const char *problem, const char *word);

#endif
