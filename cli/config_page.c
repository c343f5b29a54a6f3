/* config_page: Markdown. */
#include "config_page.h"

#include "core/config.h"

/* A | would end the cell. */
static void print_cell(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static const char page_head[] =
	"# Settings\n"
	"\n"
	"Every program reads its settings from the environment, once, when it starts.\n"
	"Any variable NAME may be given as NAME_FILE instead: the value is then the\n"
	"contents of that file, less one newline at its end. A secret that is given in\n"
	"neither way is read from the file flexiconnect_NAME in CREDENTIALS_DIRECTORY,\n"
	"where systemd puts credentials. An empty variable has its default. A wrong value\n"
	"stops the program with one line that names the variable.\n"
	"`flexi config` prints the values in force.\n"
	"\n"
	"This page is printed by `flexi config --markdown`; change lib/core/config.c instead.\n"
	"\n"
	"| Variable | Kind | Default | What it is |\n"
	"|---|---|---|---|\n";

void config_page(FILE *out)
{
	struct config_variable row;
	fputs(page_head, out);
	for (size_t i = 0; config_variable(i, &row); i++) {
		fprintf(out, "| %s | ", row.name);
		print_cell(out, row.type);
		fputs(row.secret ? ", secret | " : " | ", out);
		if (*row.preset) {
			fputc('`', out);
			print_cell(out, row.preset);
			fputc('`', out);
		}
		fputs(" | ", out);
		print_cell(out, row.about);
		fputs(" |\n", out);
	}
}
