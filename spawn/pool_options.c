/* options: getopt, and what must hold of each value. */
#include "pool_options.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "layout.h"
#include "pool_settings.h"

enum { LEAST_READY_FD = 3, MOST_READY_FD = 1023 };

static const char usage[] =
	"usage: pool [-w WORKERS] [-d READY_FD] [-k] PLACE NAME [-- PROGRAM [ARGUMENT...]]";

static enum error_code number(const char *text, int least, int most, int *out, struct error *e)
{
	char *end;
	errno = 0;
	long n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < least || n > most)
		return error_set(e, ERROR_CONFIG, "'%s' is not a number from %d to %d", text, least,
				 most);
	*out = (int)n;
	return ERROR_NONE;
}

static enum error_code option(int letter, struct pool_options *o, struct error *e)
{
	switch (letter) {
	case 'w':
		return number(optarg, 1, SETTINGS_MOST_WORKERS, &o->workers, e);
	case 'd':
		return number(optarg, LEAST_READY_FD, MOST_READY_FD, &o->ready_fd, e);
	case 'k':
		o->kept = true;
		return ERROR_NONE;
	default:
		return error_set(e, ERROR_CONFIG, "%s", usage);
	}
}

enum error_code pool_options_read(int argc, char **argv, struct pool_options *o, struct error *e)
{
	int letter;
	*o = (struct pool_options){ .ready_fd = -1 };
	while ((letter = getopt(argc, argv, "+w:d:k")) != -1) {
		enum error_code code = option(letter, o, e);
		if (code)
			return code;
	}
	if (argc - optind < 2)
		return error_set(e, ERROR_CONFIG, "%s", usage);
	o->place = layout_place(argv[optind]);
	o->name = argv[optind + 1];
	if (!o->place)
		return error_set(e, ERROR_CONFIG, "'%s' is not a place: public, internal or queue",
				 argv[optind]);
	if (!layout_name_valid(o->name))
		return error_set(e, ERROR_CONFIG, "'%s' cannot be the name of a handler", o->name);
	optind += 2;
	if (optind == argc)
		return ERROR_NONE;
	if (argv[optind][0] != '-' || argv[optind][1] != '-' || argv[optind][2] ||
	    optind + 1 == argc)
		return error_set(e, ERROR_CONFIG, "%s", usage);
	o->program = argv + optind + 1;
	return ERROR_NONE;
}
