/*
 * layout: the names of what lies where in RUN_DIR and HANDLERS_DIR.
 *
 *	HANDLERS_DIR/PLACE/NAME        what was dropped in; never run itself
 *	HANDLERS_DIR/PLACE/NAME.conf   its settings, if it has any (pool_settings.h)
 *	RUN_DIR/PLACE/NAME.sock        the listening socket
 *	RUN_DIR/PLACE/NAME.live        the front door's guard: a regular file with the pool's pid
 *	RUN_DIR/PLACE/NAME.status      what the pool tells of itself (pool_publish.h)
 *	RUN_DIR/versions/NAME/HASH     a copy that runs; HASH is the SHA-256 of its content in hex
 *	RUN_DIR/versions/NAME/PLACE           symbolic link to HASH: the version that shall run (by watch)
 *	RUN_DIR/versions/NAME/PLACE.running   the same: the version that was taken (by pool)
 *	RUN_DIR/versions/NAME/PLACE.before    the same: the one taken before that (by watch)
 *	RUN_DIR/services/PLACE.NAME    the s6 service (by watch)
 *
 * A path is cut to nothing ("") rather than to something else when it does not
 * fit; layout_check, called once after config_load, rules that out.
 */
#ifndef FLEXI_SPAWN_LAYOUT_H
#define FLEXI_SPAWN_LAYOUT_H

#include <stdbool.h>

#include "core/error.h"

enum {
	LAYOUT_PLACES = 3,
	LAYOUT_PATH_BYTES = 1024,
	LAYOUT_HASH_BYTES = 65, /* 64 hex digits and the NUL */
};

extern const char *const layout_places[LAYOUT_PLACES];

/* The place of that name, one of layout_places, or NULL. */
const char *layout_place(const char *word);

/* [a-z][a-z0-9-]*, at most MAX_HANDLER_NAME_BYTES. */
bool layout_name_valid(const char *name);

/* 64 lower case hex digits. */
bool layout_hash_valid(const char *hash);

enum layout_item {
	LAYOUT_DROPPED,
	LAYOUT_SETTINGS,
	LAYOUT_SOCKET,
	LAYOUT_LIVE,
	LAYOUT_STATUS,
	LAYOUT_VERSIONS,
	LAYOUT_WANTED,
	LAYOUT_RUNNING,
	LAYOUT_BEFORE,
	LAYOUT_SERVICE,
	LAYOUT_SERVICE_NEW,
	LAYOUT_SERVICE_GONE,
	LAYOUT_LOG,
	LAYOUT_ITEMS
};

void layout_path(enum layout_item item, const char *place, const char *name,
		 char out[LAYOUT_PATH_BYTES]);

/* RUN_DIR/versions/NAME/HASH */
void layout_version(const char *name, const char *hash, char out[LAYOUT_PATH_BYTES]);

/* The version that a link (LAYOUT_WANTED, …) names; false if there is none. */
bool layout_linked_version(enum layout_item link, const char *place, const char *name,
			   char hash[LAYOUT_HASH_BYTES]);

/* Points a link to a version, atomically. */
enum error_code layout_link_version(enum layout_item link, const char *place, const char *name,
				    const char *hash, struct error *e);

/* Whether RUN_DIR and HANDLERS_DIR are absolute and short enough. */
enum error_code layout_check(struct error *e);

#endif
