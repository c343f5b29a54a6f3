/*
 * program: one file that was dropped into HANDLERS_DIR, and the copies of it
 * that run.
 *
 * The dropped file itself is never run: it may be written over at any time, and
 * what is being run cannot be written. A copy is named after its content.
 */
#ifndef FLEXI_SPAWN_WATCH_PROGRAM_H
#define FLEXI_SPAWN_WATCH_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "core/error.h"
#include "layout.h"

enum program_state {
	PROGRAM_ABSENT,	  /* there is nothing, or a link to nothing */
	PROGRAM_FOREIGN,  /* a directory, a device, a file that cannot be read: never a program */
	PROGRAM_UNREADY,  /* not executable, or empty: may become one */
	PROGRAM_WRITTEN,  /* somebody has it open for writing */
	PROGRAM_DOUBTFUL, /* ready, if nobody is writing: that cannot be known of others' files */
	PROGRAM_READY,
};

/* What tells one state of a file from another without reading it; zeroed: none. */
struct identity {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified;
	struct timespec changed;
};

bool identity_equal(const struct identity *a, const struct identity *b);

/* Milliseconds since the file was last changed; negative if its clock is ahead. */
int64_t identity_age_ms(const struct identity *id);

/* The file's identity, without opening it; false, and zeroed, if it is not there. */
bool identity_read(const char *path, struct identity *id);

/* Looks at a file, through symbolic links; *id is zeroed if there is none. */
enum program_state program_look(const char *path, struct identity *id);

/* PROGRAM_READY or PROGRAM_DOUBTFUL: it may be copied. */
bool program_can_be_copied(enum program_state state);

/*
 * Copies the file, which must be as *id says, to RUN_DIR/versions/NAME/HASH,
 * unless that is there. ERROR_CONFLICT: it changed meanwhile, look again.
 */
enum error_code program_copy(const char *path, const struct identity *id, const char *name,
			     char hash[LAYOUT_HASH_BYTES], struct error *e);

enum {
	/* A pool that was told of a version may not have recorded yet that it runs. */
	PROGRAM_PRUNE_AGE_MS = 60000,
};

/* Removes the copies of NAME that no link names and that are at least so old; and what is empty then. */
void program_prune(const char *name, int64_t age_ms);

/* The same for every name. */
void programs_prune(int64_t age_ms);

/*
 * Whether word is the name that somebody's tools give to what is not finished:
 * hidden, *.tmp, *.new, *.swp, *.bak, *~, #*#, or settings (*.conf).
 */
bool program_is_passed_over(const char *word);

#endif
