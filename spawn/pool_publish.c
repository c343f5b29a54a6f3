/* publish: small files that are replaced whole. */
#include "pool_publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "layout.h"

enum { FILE_MODE = 0644 };

static enum error_code replace(const char *path, struct text content, struct error *e)
{
	char fresh[LAYOUT_PATH_BYTES + 8];
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
	if (fd < 0)
		return error_set(e, ERROR_INTERNAL, "%s: %s", fresh, strerror(errno));
	ssize_t n = write(fd, content.s, content.n);
	if (close(fd) || n != (ssize_t)content.n || rename(fresh, path)) {
		error_set(e, ERROR_INTERNAL, "%s: %s", path, strerror(errno));
		unlink(fresh);
		return ERROR_INTERNAL;
	}
	return ERROR_NONE;
}

enum error_code publish_live(const char *place, const char *name, struct error *e)
{
	char path[LAYOUT_PATH_BYTES];
	char pid[24];
	layout_path(LAYOUT_LIVE, place, name, path);
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	return replace(path, text_of(pid), e);
}

static const char *started(void)
{
	static char since[CLOCK_TEXT_BYTES];
	if (!since[0])
		clock_text(clock_wall_ms(), since);
	return since;
}

enum error_code publish_status(const struct status *s, struct error *e)
{
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	char path[LAYOUT_PATH_BYTES];
	layout_path(LAYOUT_STATUS, s->place, s->name, path);
	/* Words of ours, names and hashes: nothing needs an escape. */
	buffer_printf(&b, "{\"pid\":%d,\"place\":\"%s\",\"name\":\"%s\",\"state\":\"%s\",",
		      (int)getpid(), s->place, s->name, s->state);
	buffer_printf(&b, "\"since\":\"%s\",\"version\":\"%s\",\"protocol\":\"%s\",", started(),
		      s->version, s->protocol);
	buffer_printf(&b, "\"workers\":{\"wanted\":%d,\"running\":%d,\"leaving\":%d},", s->wanted,
		      s->running, s->leaving);
	buffer_printf(&b, "\"restarts\":%ld,\"refused\":\"%s\"}\n", s->restarts, s->refused);
	if (b.failed)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	return replace(path, buffer_text(&b), e);
}
