/* layout: paths from templates, so that each is written down once. */
#include "layout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config.h"
#include "core/limits.h"

const char *const layout_places[LAYOUT_PLACES] = { "public", "internal", "queue" };

/* R is RUN_DIR, H HANDLERS_DIR, P the place, N the name; everything else stands for itself. */
static const char *const templates[LAYOUT_ITEMS] = {
	[LAYOUT_DROPPED] = "H/P/N",
	[LAYOUT_SETTINGS] = "H/P/N.conf",
	[LAYOUT_SOCKET] = "R/P/N.sock",
	[LAYOUT_LIVE] = "R/P/N.live",
	[LAYOUT_STATUS] = "R/P/N.status",
	[LAYOUT_VERSIONS] = "R/versions/N",
	[LAYOUT_WANTED] = "R/versions/N/P",
	[LAYOUT_RUNNING] = "R/versions/N/P.running",
	[LAYOUT_BEFORE] = "R/versions/N/P.before",
	[LAYOUT_SERVICE] = "R/services/P.N",
	[LAYOUT_SERVICE_NEW] = "R/services/.new.P.N",
	[LAYOUT_SERVICE_GONE] = "R/services/.gone.P.N",
	[LAYOUT_LOG] = "R/log/P.N",
};

enum { HANDLERS_DIR_MOST_BYTES = LAYOUT_PATH_BYTES - 64 };

const char *layout_place(const char *word)
{
	for (int i = 0; i < LAYOUT_PLACES; i++) {
		if (strcmp(layout_places[i], word) == 0)
			return layout_places[i];
	}
	return NULL;
}

bool layout_name_valid(const char *name)
{
	size_t n = strlen(name);
	return n > 0 && n <= MAX_HANDLER_NAME_BYTES && name[0] >= 'a' && name[0] <= 'z' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

bool layout_hash_valid(const char *hash)
{
	size_t n = strlen(hash);
	return n == LAYOUT_HASH_BYTES - 1 && strspn(hash, "0123456789abcdef") == n;
}

void layout_path(enum layout_item item, const char *place, const char *name,
		 char out[LAYOUT_PATH_BYTES])
{
	size_t used = 0;
	for (const char *t = templates[item]; *t; t++) {
		const char letter[2] = { *t, '\0' };
		const char *part = *t == 'R'   ? config()->run_dir
				   : *t == 'H' ? config()->handlers_dir
				   : *t == 'P' ? place
				   : *t == 'N' ? name
					       : letter;
		size_t n = strlen(part);
		if (used + n >= LAYOUT_PATH_BYTES) {
			out[0] = '\0';
			return;
		}
		memcpy(out + used, part, n);
		used += n;
	}
	out[used] = '\0';
}

void layout_version(const char *name, const char *hash, char out[LAYOUT_PATH_BYTES])
{
	int n = snprintf(out, LAYOUT_PATH_BYTES, "%s/versions/%s/%s", config()->run_dir, name,
			 hash);
	if (n < 0 || n >= LAYOUT_PATH_BYTES)
		out[0] = '\0';
}

bool layout_linked_version(enum layout_item link, const char *place, const char *name,
			   char hash[LAYOUT_HASH_BYTES])
{
	char path[LAYOUT_PATH_BYTES];
	layout_path(link, place, name, path);
	ssize_t n = readlink(path, hash, LAYOUT_HASH_BYTES);
	if (n != LAYOUT_HASH_BYTES - 1) {
		hash[0] = '\0';
		return false;
	}
	hash[n] = '\0';
	if (layout_hash_valid(hash))
		return true;
	hash[0] = '\0';
	return false;
}

enum error_code layout_link_version(enum layout_item link, const char *place, const char *name,
				    const char *hash, struct error *e)
{
	char path[LAYOUT_PATH_BYTES];
	char fresh[LAYOUT_PATH_BYTES + 8];
	layout_path(link, place, name, path);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	unlink(fresh);
	if (symlink(hash, fresh) || rename(fresh, path))
		return error_set(e, ERROR_INTERNAL, "%s: %s", path, strerror(errno));
	return ERROR_NONE;
}

static enum error_code check(const char *variable, const char *value, size_t most, struct error *e)
{
	if (value[0] != '/')
		return error_set(e, ERROR_CONFIG, "%s: must be an absolute path", variable);
	if (strlen(value) > most)
		return error_set(e, ERROR_CONFIG, "%s: must be at most %zu bytes long", variable,
				 most);
	return ERROR_NONE;
}

enum error_code layout_check(struct error *e)
{
	enum error_code code = check("RUN_DIR", config()->run_dir, MAX_RUN_DIR_BYTES, e);
	if (code)
		return code;
	return check("HANDLERS_DIR", config()->handlers_dir, HANDLERS_DIR_MOST_BYTES, e);
}
