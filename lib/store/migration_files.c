/* migration_files: finds, reads and sums up numbered files. */
#include "store/migration_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/buffer.h"

enum { NUMBER_DIGITS = 3, SUM_BYTES = 32 };

static bool has_ending(const char *name, const char *ending)
{
	const char *dot = strrchr(name, '.');
	return dot && strcmp(dot + 1, ending) == 0;
}

static bool is_numbered(const char *name)
{
	for (int i = 0; i < NUMBER_DIGITS; i++) {
		if (!isdigit((unsigned char)name[i]))
			return false;
	}
	return name[NUMBER_DIGITS] == '_' && name[NUMBER_DIGITS + 1] != '.';
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct migration_file *)a)->name,
		      ((const struct migration_file *)b)->name);
}

static enum error_code add_name(struct migration_files *files, const char *directory,
				const char *name, struct error *e)
{
	if (!is_numbered(name))
		return error_set(e, ERROR_CONFIG, "%s/%s: must be named NNN_name", directory, name);
	struct migration_file *list =
		reallocarray(files->list, files->count + 1, sizeof(*files->list));
	if (!list)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	files->list = list;
	list[files->count] = (struct migration_file){ 0 };
	if (asprintf(&list[files->count].name, "%s/%s", directory, name) < 0)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	files->count++;
	return ERROR_NONE;
}

static enum error_code list_names(const char *root, const char *directory, const char *ending,
				  struct migration_files *files, struct error *e)
{
	CLEANUP(buffer_finish) struct buffer path = { 0 };
	buffer_printf(&path, "%s/%s", root, directory);
	DIR *dir = path.failed ? NULL : opendir(buffer_text(&path).s);
	if (!dir)
		return error_set(e, ERROR_CONFIG, "%s/%s: %s", root, directory, strerror(errno));
	enum error_code code = ERROR_NONE;
	for (struct dirent *d; !code && (d = readdir(dir));) {
		if (has_ending(d->d_name, ending) && d->d_name[0] != '.')
			code = add_name(files, directory, d->d_name, e);
	}
	closedir(dir);
	if (!code && files->count > 0)
		qsort(files->list, files->count, sizeof(*files->list), compare_names);
	return code;
}

static enum error_code numbers_differ(const struct migration_files *files, size_t prefix,
				      struct error *e)
{
	for (size_t i = 1; i < files->count; i++) {
		const char *name = files->list[i].name;
		if (strncmp(files->list[i - 1].name, name, prefix + NUMBER_DIGITS) == 0)
			return error_set(e, ERROR_CONFIG, "%s: the number is used twice", name);
	}
	return ERROR_NONE;
}

static enum error_code sum_up(struct migration_file *file, struct error *e)
{
	unsigned char sum[SUM_BYTES];
	if (!EVP_Digest(file->text, file->size, sum, NULL, EVP_sha256(), NULL))
		return error_set(e, ERROR_INTERNAL, "%s: no checksum", file->name);
	for (size_t i = 0; i < SUM_BYTES; i++)
		snprintf(file->checksum + 2 * i, 3, "%02x", sum[i]);
	return ERROR_NONE;
}

static enum error_code read_file(const char *root, struct migration_file *file, struct error *e)
{
	CLEANUP(buffer_finish) struct buffer path = { 0 };
	CLEANUP(buffer_finish) struct buffer text = { 0 };
	buffer_printf(&path, "%s/%s", root, file->name);
	FILE *f = path.failed ? NULL : fopen(buffer_text(&path).s, "re");
	if (!f)
		return error_set(e, ERROR_CONFIG, "%s: %s", file->name, strerror(errno));
	char *room = buffer_room(&text, MAX_MIGRATION_BYTES + 1);
	size_t n = room ? fread(room, 1, MAX_MIGRATION_BYTES + 1, f) : 0;
	int failed = ferror(f);
	fclose(f);
	if (!room)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	if (failed || n > MAX_MIGRATION_BYTES || memchr(room, '\0', n))
		return error_set(e, ERROR_CONFIG, "%s: not a text of at most %d bytes", file->name,
				 MAX_MIGRATION_BYTES);
	buffer_grew(&text, n);
	file->text = buffer_take(&text, &file->size);
	return file->text ? sum_up(file, e) : error_set(e, ERROR_INTERNAL, "out of memory");
}

enum error_code migration_files_load(const char *root, const char *directory, const char *ending,
				     struct migration_files *files, struct error *e)
{
	CLEANUP(migration_files_finish) struct migration_files found = { 0 };
	enum error_code code = list_names(root, directory, ending, &found, e);
	if (!code)
		code = numbers_differ(&found, strlen(directory) + 1, e);
	for (size_t i = 0; i < found.count && !code; i++)
		code = read_file(root, &found.list[i], e);
	if (code)
		return code;
	*files = found;
	found = (struct migration_files){ 0 };
	return ERROR_NONE;
}

void migration_files_finish(struct migration_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		free(files->list[i].name);
		free(files->list[i].text);
	}
	free(files->list);
	*files = (struct migration_files){ 0 };
}
