/* migration_files: the numbered files of one directory, read whole, with their checksums. */
#ifndef FLEXI_STORE_MIGRATION_FILES_H
#define FLEXI_STORE_MIGRATION_FILES_H

#include <stddef.h>

#include "core/error.h"

enum {
	MIGRATION_CHECKSUM_BYTES = 65, /* SHA-256 in hexadecimal digits, and a NUL */
	MAX_MIGRATION_BYTES = 1024 * 1024,
};

struct migration_file {
	char *name; /* "sql/001_users.sql" */
	char *text; /* NUL after size bytes, none inside */
	size_t size;
	char checksum[MIGRATION_CHECKSUM_BYTES];
};

struct migration_files {
	struct migration_file *list;
	size_t count;
};

/*
 * Reads ROOT/DIRECTORY/NNN_name.ENDING in the order of the numbers. Another
 * name with that ending, or a number used twice, is ERROR_CONFIG. On success
 * the caller finishes *files.
 */
enum error_code migration_files_load(const char *root, const char *directory, const char *ending,
				     struct migration_files *files, struct error *e);
void migration_files_finish(struct migration_files *files);

#endif
