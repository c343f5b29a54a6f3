/* config: the table of settings, as text or as a page. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "config_page.h"
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

int command_config(int argc, char **argv)
{
	bool page = argc == 1 && strcmp(argv[0], "--markdown") == 0;
	if (argc > 0 && !page)
		return command_misuse("config", "not an option", argv[argc - 1]);
	if (page)
		config_page(stdout);
	else
		print_text();
	return EXIT_DONE;
}
