/* service: directories for s6-svscan, and how they go. */
#include "watch_service.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/config.h"
#include "core/log.h"
#include "layout.h"
#include "tool.h"

enum {
	SCRIPT_MODE = 0755,
	FILE_MODE = 0644,
	DIRECTORY_MODE = 0755,
	FILE_BYTES = 4096,
	TREE_OPEN_FILES = 8,
	/* On top of twice DRAIN_TIMEOUT_MS, after which pool has answered its backlog and killed its workers. */
	KILL_GRACE_MS = 10000,
};

static uv_loop_t *loop;
static char serve_command[LAYOUT_PATH_BYTES];
static char log_command[LAYOUT_PATH_BYTES];
static char scan_directory[LAYOUT_PATH_BYTES];

/* Writes path for a shell, quoted. */
static bool quote(const char *path, char out[LAYOUT_PATH_BYTES])
{
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	buffer_append_string(&b, "'");
	for (; *path; path++)
		buffer_append(&b, *path == '\'' ? "'\\''" : path, *path == '\'' ? 4 : 1);
	buffer_append_string(&b, "'");
	if (b.failed || b.size >= LAYOUT_PATH_BYTES)
		return false;
	memcpy(out, b.bytes, b.size + 1);
	return true;
}

enum error_code service_init(uv_loop_t *the_loop, struct error *e)
{
	char own[LAYOUT_PATH_BYTES] = "";
	char beside[LAYOUT_PATH_BYTES + 32];
	loop = the_loop;
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash = n > 0 ? strrchr(own, '/') : NULL;
	if (!slash)
		return error_set(e, ERROR_INTERNAL, "/proc/self/exe: %s", strerror(errno));
	*slash = '\0';
	snprintf(beside, sizeof(beside), "%s/serve", own);
	bool good = access(beside, X_OK) == 0 && quote(beside, serve_command);
	if (good) {
		snprintf(beside, sizeof(beside), "%s/../native/log-run", own);
		good = access(beside, X_OK) == 0 && quote(beside, log_command);
	}
	if (!good)
		return error_set(e, ERROR_CONFIG, "%s: it is not there", beside);
	snprintf(scan_directory, sizeof(scan_directory), "%s/services", config()->run_dir);
	return ERROR_NONE;
}

bool service_exists(const char *place, const char *name)
{
	char path[LAYOUT_PATH_BYTES];
	layout_path(LAYOUT_SERVICE, place, name, path);
	return access(path, F_OK) == 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path) && errno != ENOENT ? -1 : 0;
}

static void remove_tree(const char *path)
{
	if (nftw(path, remove_one, TREE_OPEN_FILES, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
		log_warning("a directory cannot be removed", LOG_TEXT("directory", path),
			    LOG_ERRNO(errno));
}

static bool has_content(const char *path, const char *content)
{
	char now[FILE_BYTES];
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	size_t n = fread(now, 1, sizeof(now), f);
	fclose(f);
	return n == strlen(content) && memcmp(now, content, n) == 0;
}

/* Replaces a file of a service unless it has that content. */
static enum error_code write_file(const char *directory, const char *file, mode_t mode,
				  const char *content, struct error *e)
{
	char path[LAYOUT_PATH_BYTES + 32];
	char fresh[LAYOUT_PATH_BYTES + 40];
	snprintf(path, sizeof(path), "%s/%s", directory, file);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	if (has_content(path, content))
		return ERROR_NONE;
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return error_set(e, ERROR_INTERNAL, "%s: %s", fresh, strerror(errno));
	ssize_t n = write(fd, content, strlen(content));
	if (close(fd) || n != (ssize_t)strlen(content) || rename(fresh, path))
		return error_set(e, ERROR_INTERNAL, "%s: %s", path, strerror(errno));
	return ERROR_NONE;
}

static enum error_code fill(const char *directory, const char *place, const char *name,
			    struct error *e)
{
	char run[2 * LAYOUT_PATH_BYTES];
	char log_run[2 * LAYOUT_PATH_BYTES];
	char timeout[24];
	snprintf(run, sizeof(run), "#!/bin/sh\nexec %s %s %s\n", serve_command, place, name);
	snprintf(log_run, sizeof(log_run), "#!/bin/sh\nexec %s\n", log_command);
	snprintf(timeout, sizeof(timeout), "%ld\n", 2 * config()->drain_timeout_ms + KILL_GRACE_MS);
	const struct {
		const char *file;
		mode_t mode;
		const char *content;
	} files[] = {
		{ "notification-fd", FILE_MODE, "3\n" },
		{ "timeout-kill", FILE_MODE, timeout },
		{ "log/notification-fd", FILE_MODE, "3\n" },
		{ "log/run", SCRIPT_MODE, log_run },
		{ "run", SCRIPT_MODE, run },
	};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		enum error_code code =
			write_file(directory, files[i].file, files[i].mode, files[i].content, e);
		if (code)
			return code;
	}
	return ERROR_NONE;
}

static void tell_scanner(const char *what)
{
	const char *arguments[] = { "s6-svscanctl", what, scan_directory, NULL };
	tool_run(loop, arguments, NULL, NULL);
}

/*
 * The event directories too: s6-supervise would make them with a set-group-ID bit, which a hardened
 * unit may not set, and nobody needs.
 */
static int make_directories(const char *service)
{
	static const char *const inside[] = { "", "/event", "/log", "/log/event" };
	char path[LAYOUT_PATH_BYTES + 16];
	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", service, inside[i]);
		if (mkdir(path, DIRECTORY_MODE))
			return -1;
	}
	return 0;
}

enum error_code service_ensure(const char *place, const char *name, struct error *e)
{
	char path[LAYOUT_PATH_BYTES];
	char fresh[LAYOUT_PATH_BYTES];
	layout_path(LAYOUT_SERVICE, place, name, path);
	if (access(path, F_OK) == 0)
		return fill(path, place, name, e);
	layout_path(LAYOUT_SERVICE_NEW, place, name, fresh);
	remove_tree(fresh);
	if (make_directories(fresh))
		return error_set(e, ERROR_INTERNAL, "%s: %s", fresh, strerror(errno));
	enum error_code code = fill(fresh, place, name, e);
	if (code)
		return code;
	if (rename(fresh, path))
		return error_set(e, ERROR_INTERNAL, "%s: %s", path, strerror(errno));
	tell_scanner("-a");
	return ERROR_NONE;
}

void service_roll(const char *place, const char *name)
{
	char path[LAYOUT_PATH_BYTES];
	layout_path(LAYOUT_SERVICE, place, name, path);
	const char *arguments[] = { "s6-svc", "-h", path, NULL };
	tool_run(loop, arguments, NULL, NULL);
}

enum error_code service_remove(const char *place, const char *name, struct error *e)
{
	char path[LAYOUT_PATH_BYTES];
	char gone[LAYOUT_PATH_BYTES];
	char numbered[LAYOUT_PATH_BYTES + 16];
	layout_path(LAYOUT_LIVE, place, name, path);
	unlink(path);
	layout_path(LAYOUT_SERVICE, place, name, path);
	layout_path(LAYOUT_SERVICE_GONE, place, name, gone);
	int n = 0;
	do
		snprintf(numbered, sizeof(numbered), "%s.%d", gone, ++n);
	while (access(numbered, F_OK) == 0);
	if (rename(path, numbered))
		return error_set(e, ERROR_INTERNAL, "%s: %s", path, strerror(errno));
	tell_scanner("-an");
	return ERROR_NONE;
}

bool service_is_live(const char *place, const char *name)
{
	char path[LAYOUT_PATH_BYTES];
	char line[24];
	layout_path(LAYOUT_LIVE, place, name, path);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	long pid = fgets(line, sizeof(line), f) ? strtol(line, NULL, 10) : 0;
	fclose(f);
	return pid > 0 && pid <= INT_MAX && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

/* s6-supervise reads the fifo as long as it lives. */
static bool is_supervised(const char *service, const char *below)
{
	char path[LAYOUT_PATH_BYTES + 320];
	snprintf(path, sizeof(path), "%s/%s%s/supervise/control", scan_directory, service, below);
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* Splits "PLACE.NAME" or "PLACE.NAME.7"; the place comes back as one of layout_places. */
static bool split(const char *word, const char **place, char name[MAX_HANDLER_NAME_BYTES + 1])
{
	const char *dot = strchr(word, '.');
	size_t n = dot ? strcspn(dot + 1, ".") : 0;
	if (n == 0 || n > MAX_HANDLER_NAME_BYTES)
		return false;
	memcpy(name, dot + 1, n);
	name[n] = '\0';
	for (int p = 0; p < LAYOUT_PLACES; p++) {
		*place = layout_places[p];
		if (strlen(*place) == (size_t)(dot - word) &&
		    memcmp(*place, word, (size_t)(dot - word)) == 0)
			return layout_name_valid(name);
	}
	return false;
}

static const char gone_prefix[] = ".gone.";

static bool starts_with(const char *word, const char *prefix)
{
	return strncmp(word, prefix, strlen(prefix)) == 0;
}

bool services_sweep(void (*ended)(const char *place, const char *name))
{
	char path[LAYOUT_PATH_BYTES + 320];
	const char *place;
	char name[MAX_HANDLER_NAME_BYTES + 1];
	bool left = false;
	DIR *directory = opendir(scan_directory);
	for (struct dirent *d; directory && (d = readdir(directory));) {
		if (!starts_with(d->d_name, gone_prefix) ||
		    !split(d->d_name + strlen(gone_prefix), &place, name))
			continue;
		if (is_supervised(d->d_name, "") || is_supervised(d->d_name, "/log")) {
			left = true;
			continue;
		}
		snprintf(path, sizeof(path), "%s/%s", scan_directory, d->d_name);
		remove_tree(path);
		ended(place, name);
	}
	if (directory)
		closedir(directory);
	return left;
}

void services_each(void (*each)(const char *place, const char *name))
{
	const char *place;
	char name[MAX_HANDLER_NAME_BYTES + 1];
	DIR *directory = opendir(scan_directory);
	for (struct dirent *d; directory && (d = readdir(directory));) {
		if (d->d_name[0] != '.' && split(d->d_name, &place, name))
			each(place, name);
	}
	if (directory)
		closedir(directory);
}
