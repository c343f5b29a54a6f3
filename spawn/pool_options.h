/*
 * options: the command line of pool.
 */
#ifndef FLEXI_SPAWN_POOL_OPTIONS_H
#define FLEXI_SPAWN_POOL_OPTIONS_H

#include <stdbool.h>

#include "core/error.h"

struct pool_options {
	const char *place;
	const char *name;
	char **program; /* PROGRAM and its arguments, or NULL: the version that watch left */
	int workers;	/* 0: by NAME.conf or WORKERS */
	int ready_fd;	/* -1: nobody is told */
	bool kept;	/* the fd-holder has the socket already */
};

/* What is pointed to belongs to argv. */
enum error_code pool_options_read(int argc, char **argv, struct pool_options *o, struct error *e);

#endif
