/* config: the table of settings, as text or as the page of the documentation. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "core/config.h"

enum { VALUE_BYTES = 1024 };

static void print_text(void)
{
	struct config_variable row;
	char value[VALUE_BYTES];
	for (size_t i = 0; config_variable(i, &row); i++) {
		config_value(i, value, sizeof(value));
		printf("%s=%s\n    %s\n    %s; default: %s\n", row.name, value, row.about, row.type,
		       *row.preset ? row.preset : "(empty)");
	}
}

/* A | would end the cell. */
static void print_cell(const char *text)
{
	for (; *text; text++)
		printf(*text == '|' ? "\\|" : "%c", *text);
}

static const char page_head[] =
	"# Settings\n"
	"\n"
	"Every program reads its settings from the environment, once, when it starts. Any variable "
	"NAME\n"
	"may be given as NAME_FILE instead: the value is then the contents of that file, less one "
	"newline\n"
	"at its end. An empty variable has its default. A wrong value stops the program with one "
	"line that\n"
	"names the variable. `flexi config` prints the values in force.\n"
	"\n"
	"This page is printed by `flexi config --markdown`; change lib/core/config.c instead.\n"
	"\n"
	"| Variable | Kind | Default | What it is |\n"
	"|---|---|---|---|\n";

static void print_page(void)
{
	struct config_variable row;
	fputs(page_head, stdout);
	for (size_t i = 0; config_variable(i, &row); i++) {
		printf("| %s | ", row.name);
		print_cell(row.type);
		printf(row.secret ? ", secret | " : " | ");
		if (*row.preset) {
			printf("`");
			print_cell(row.preset);
			printf("`");
		}
		printf(" | ");
		print_cell(row.about);
		printf(" |\n");
	}
}

int command_config(int argc, char **argv)
{
	bool page = argc == 1 && strcmp(argv[0], "--markdown") == 0;
	if (argc > 0 && !page)
		return command_misuse("config", "not an option", argv[argc - 1]);
	if (page)
		print_page();
	else
		print_text();
	return EXIT_DONE;
}
