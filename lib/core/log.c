/* log: builds a JSON line in a fixed buffer, so that logging never allocates. */
#include "core/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/limits.h"
#include "core/utf8.h"

enum { LINE_BYTES = 8192, VALUE_BYTES = 1536, TRACE_BYTES = 64 };

static const char *const level_names[] = { "error", "warning", "info", "debug" };
/* How long the first line waits for a reader that does not read; the next ones do not wait. */
enum { READER_PATIENCE_MS = 1000 };

static const char *program_name = "";
static enum log_level highest = LOG_LEVEL_INFO;
static __thread char context_id[MAX_REQUEST_ID_BYTES + 1];
static __thread char context_trace[TRACE_BYTES];
static __thread int lines_lost;

/* Room is always kept for the end of the line; what does not fit is left out and full says so. */
struct line {
	char bytes[LINE_BYTES];
	size_t size;
	bool full;
};

static const char end_when_full[] = ",\"cut\":true}\n";
static const char end[] = "}\n";

static void add(struct line *l, const char *bytes, size_t n)
{
	if (l->full || l->size + n > sizeof(l->bytes) - sizeof(end_when_full)) {
		l->full = true;
		return;
	}
	memcpy(l->bytes + l->size, bytes, n);
	l->size += n;
}

static void add_string(struct line *l, const char *text)
{
	add(l, "\"", 1);
	const char *stop = text + strnlen(text, VALUE_BYTES);
	for (const char *s = text; s < stop;) {
		size_t n = utf8_length(s, (size_t)(stop - s));
		if (n == 0 || (unsigned char)*s < 0x20 || *s == 0x7F) {
			char escape[sizeof("\\u00ff")];
			snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char)*s);
			add(l, escape, sizeof(escape) - 1);
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			char escape[2] = { '\\', *s };
			add(l, escape, sizeof(escape));
		} else {
			add(l, s, n);
		}
		s += n;
	}
	if (*stop)
		add(l, "...", 3);
	add(l, "\"", 1);
}

/* A field stands in the line whole or not at all. */
static void add_field(struct line *l, const struct log_field *f)
{
	size_t before = l->size;
	add(l, ",\"", before == 1 ? 0 : 1);
	add(l, "\"", 1);
	add(l, f->key, strlen(f->key));
	add(l, "\":", 2);
	if (f->text) {
		add_string(l, f->text);
	} else {
		char number[24];
		int n = snprintf(number, sizeof(number), "%lld", (long long)f->number);
		add(l, number, (size_t)n);
	}
	if (l->full)
		l->size = before;
}

static void add_text_unless_empty(struct line *l, const char *key, const char *text)
{
	if (*text)
		add_field(l, &(struct log_field){ .key = key, .text = text });
}

/* A log that nobody reads must not hold up what it tells of. */
static bool may_write(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	return poll(&p, 1, lines_lost > 0 ? 0 : READER_PATIENCE_MS) != 0;
}

/* Returns whether the line is written. A pipe that may be written to takes PIPE_BUF bytes. */
static bool write_whole(const char *bytes, size_t n)
{
	while (n > 0) {
		if (!may_write())
			return false;
		ssize_t written = write(STDERR_FILENO, bytes, n < PIPE_BUF ? n : PIPE_BUF);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return true; /* there is nobody left to tell */
		bytes += written;
		n -= (size_t)written;
	}
	return true;
}

void log_write(enum log_level level, const char *message, const struct log_field *fields,
	       size_t count)
{
	if (level > highest)
		return;
	int saved = errno;
	struct line l = { .bytes = "{", .size = 1 };
	char now[CLOCK_TEXT_BYTES];
	clock_text(clock_wall_ms(), now);
	add_field(&l, &(struct log_field){ .key = "time", .text = now });
	add_field(&l, &(struct log_field){ .key = "level", .text = level_names[level] });
	add_text_unless_empty(&l, "program", program_name);
	add_field(&l, &(struct log_field){ .key = "pid", .number = getpid() });
	add_text_unless_empty(&l, "request_id", context_id);
	add_text_unless_empty(&l, "trace", context_trace);
	add_field(&l, &(struct log_field){ .key = "message", .text = message });
	for (size_t i = 1; i < count; i++)
		add_field(&l, &fields[i]);
	if (lines_lost > 0)
		add_field(&l, &(struct log_field){ .key = "lost", .number = lines_lost });
	const char *last = l.full ? end_when_full : end;
	memcpy(l.bytes + l.size, last, strlen(last));
	lines_lost = write_whole(l.bytes, l.size + strlen(last)) ? 0 : lines_lost + 1;
	errno = saved;
}

void log_init(const char *program, enum log_level level)
{
	program_name = program;
	highest = level;
}

void log_set_context(const char *request_id, const char *traceparent)
{
	snprintf(context_id, sizeof(context_id), "%s", request_id ? request_id : "");
	snprintf(context_trace, sizeof(context_trace), "%s", traceparent ? traceparent : "");
}

const char *log_request_id(void)
{
	return context_id;
}

const char *log_traceparent(void)
{
	return context_trace;
}

const char *log_program(void)
{
	return program_name;
}
