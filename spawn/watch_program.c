/* program: when a dropped file is whole, and its copy by content. */
#include "watch_program.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/clock.h"

enum {
	COPY_CHUNK_BYTES = 256 * 1024,
	COPY_MODE = 0555,
	DIRECTORY_MODE = 0755,
};

static void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->modified.tv_sec == b->modified.tv_sec &&
	       a->modified.tv_nsec == b->modified.tv_nsec &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static int64_t since_ms(struct timespec since)
{
	return clock_wall_ms() - ((int64_t)since.tv_sec * 1000 + since.tv_nsec / 1000000);
}

int64_t identity_age_ms(const struct identity *id)
{
	return since_ms(id->changed);
}

static struct identity identity_of(const struct stat *st)
{
	return (struct identity){ st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim };
}

bool identity_read(const char *path, struct identity *id)
{
	struct stat st;
	*id = (struct identity){ 0 };
	if (stat(path, &st))
		return false;
	*id = identity_of(&st);
	return true;
}

/* A read lease is given only on a file that nobody has open for writing, and only to its owner. */
static enum program_state look_for_writers(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK))
		return errno == EAGAIN ? PROGRAM_WRITTEN : PROGRAM_DOUBTFUL;
	fcntl(fd, F_SETLEASE, F_UNLCK);
	return PROGRAM_READY;
}

static enum program_state look_at(int fd, struct identity *id)
{
	struct stat st;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return PROGRAM_FOREIGN;
	*id = identity_of(&st);
	enum program_state state = look_for_writers(fd);
	if (state != PROGRAM_WRITTEN && (!(st.st_mode & 0111) || st.st_size == 0))
		return PROGRAM_UNREADY;
	return state;
}

bool program_can_be_copied(enum program_state state)
{
	return state == PROGRAM_READY || state == PROGRAM_DOUBTFUL;
}

enum program_state program_look(const char *path, struct identity *id)
{
	*id = (struct identity){ 0 };
	CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? PROGRAM_ABSENT : PROGRAM_FOREIGN;
	return look_at(fd, id);
}

static enum error_code copy_bytes(int from, int to, char hash[LAYOUT_HASH_BYTES], struct error *e)
{
	static char chunk[COPY_CHUNK_BYTES];
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned sum_size = 0;
	ssize_t n = 0;
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	bool good = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
	errno = 0;
	while (good && (n = read(from, chunk, sizeof(chunk))) > 0)
		good = EVP_DigestUpdate(digest, chunk, (size_t)n) &&
		       write(to, chunk, (size_t)n) == n;
	int saved = errno;
	good = good && n == 0 && EVP_DigestFinal_ex(digest, sum, &sum_size);
	EVP_MD_CTX_free(digest);
	if (!good)
		return error_set(e, ERROR_INTERNAL, "it cannot be copied: %s",
				 saved ? strerror(saved) : "short write");
	for (size_t i = 0; i < sum_size && 2 * i + 2 < LAYOUT_HASH_BYTES; i++)
		snprintf(hash + 2 * i, 3, "%02x", sum[i]);
	return ERROR_NONE;
}

/* After a power cut a file may have a name before it has its content. */
static bool have_copy(const char *path, off_t size)
{
	struct stat st;
	return stat(path, &st) == 0 && st.st_size == size && (st.st_mode & 0111);
}

static enum error_code copy_file(int from, const struct identity *id, const char *name,
				 const char *fresh, char hash[LAYOUT_HASH_BYTES], struct error *e)
{
	char path[LAYOUT_PATH_BYTES];
	struct identity now;
	CLEANUP(close_fd) int to = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		return error_set(e, ERROR_INTERNAL, "%s: %s", fresh, strerror(errno));
	enum error_code code = copy_bytes(from, to, hash, e);
	if (code)
		return code;
	if (!program_can_be_copied(look_at(from, &now)) || !identity_equal(&now, id))
		return error_set(e, ERROR_CONFLICT, "it changed while it was copied");
	layout_version(name, hash, path);
	if (have_copy(path, id->size)) {
		unlink(fresh);
		return ERROR_NONE;
	}
	if (fchmod(to, COPY_MODE) || fsync(to) || rename(fresh, path))
		return error_set(e, ERROR_INTERNAL, "%s: %s", path, strerror(errno));
	return ERROR_NONE;
}

enum error_code program_copy(const char *path, const struct identity *id, const char *name,
			     char hash[LAYOUT_HASH_BYTES], struct error *e)
{
	char fresh[LAYOUT_PATH_BYTES];
	struct identity now;
	layout_path(LAYOUT_VERSIONS, "", name, fresh);
	if (mkdir(fresh, DIRECTORY_MODE) && errno != EEXIST)
		return error_set(e, ERROR_INTERNAL, "%s: %s", fresh, strerror(errno));
	layout_version(name, ".new", fresh);
	unlink(fresh);
	CLEANUP(close_fd) int from = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (from < 0 || !program_can_be_copied(look_at(from, &now)) || !identity_equal(&now, id))
		return error_set(e, ERROR_CONFLICT, "it changed before it was copied");
	enum error_code code = copy_file(from, id, name, fresh, hash, e);
	if (code)
		unlink(fresh);
	return code;
}

static bool is_linked(const char *name, const char *hash)
{
	static const enum layout_item links[] = { LAYOUT_WANTED, LAYOUT_RUNNING, LAYOUT_BEFORE };
	char linked[LAYOUT_HASH_BYTES];
	for (int p = 0; p < LAYOUT_PLACES; p++) {
		for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
			if (layout_linked_version(links[i], layout_places[p], name, linked) &&
			    strcmp(linked, hash) == 0)
				return true;
		}
	}
	return false;
}

void program_prune(const char *name, int64_t age_ms)
{
	char path[LAYOUT_PATH_BYTES];
	struct stat st;
	layout_path(LAYOUT_VERSIONS, "", name, path);
	DIR *directory = opendir(path);
	if (!directory)
		return;
	for (struct dirent *d; (d = readdir(directory));) {
		if (!layout_hash_valid(d->d_name) || is_linked(name, d->d_name))
			continue;
		if (fstatat(dirfd(directory), d->d_name, &st, 0) == 0 &&
		    since_ms(st.st_ctim) >= age_ms)
			unlinkat(dirfd(directory), d->d_name, 0);
	}
	closedir(directory);
	rmdir(path); /* unless something is left */
}

void programs_prune(int64_t age_ms)
{
	char path[LAYOUT_PATH_BYTES];
	layout_path(LAYOUT_VERSIONS, "", "", path);
	DIR *directory = opendir(path);
	for (struct dirent *d; directory && (d = readdir(directory));) {
		if (layout_name_valid(d->d_name))
			program_prune(d->d_name, age_ms);
	}
	if (directory)
		closedir(directory);
}

bool program_is_passed_over(const char *word)
{
	static const char *const endings[] = { ".tmp", ".new", ".swp", ".bak", ".conf", "~" };
	size_t n = strlen(word);
	if (word[0] == '.' || word[0] == '#')
		return true;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t m = strlen(endings[i]);
		if (n >= m && strcmp(word + n - m, endings[i]) == 0)
			return true;
	}
	return false;
}
