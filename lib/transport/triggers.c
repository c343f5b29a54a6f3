/* triggers: the settings of queues that feed handlers, read with inih. */
#include "transport/triggers.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

enum {
	MAX_LINE_BYTES = 8192,
	MAX_BATCH_SIZE = 1000,
	MAX_CONCURRENCY = 64,
	MAX_ATTEMPTS = 1000,
	MAX_WINDOW_MS = 60 * 1000,
	MAX_BACKOFF_MS = 24 * 3600 * 1000,
	MAX_MEMBERS = 7,
};

/* Where the reading is. inih cuts long names and skips empty sections: so both are seen here. */
struct reading {
	const char *path;
	FILE *file;
	int line;
	bool in_section;
	int section_line;
	unsigned given; /* members of this section, a bit for each row of the table */
	struct triggers *triggers;
	struct error *e;
	enum error_code code;
};

#define WRONG(r, format, ...)                                                                      \
	((r)->code = error_set((r)->e, ERROR_CONFIG, "%s:%d: " format, (r)->path, (r)->line,       \
			       ##__VA_ARGS__))

static struct trigger *current(struct reading *r)
{
	return &r->triggers->list[r->triggers->count - 1];
}

/* ---- values ---- */

static bool read_number(const char *text, int least, int most, int *out)
{
	errno = 0;
	char *end;
	long number = strtol(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || number < least || number > most)
		return false;
	*out = (int)number;
	return true;
}

/* A number with its unit, "20ms", "1s", "5m", "1h", in milliseconds. */
static bool read_duration(const char *text, int least, int most, int *out)
{
	static const struct {
		const char *name;
		long ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
	errno = 0;
	char *end;
	long number = strtol(text, &end, 10);
	if (!isdigit((unsigned char)*text) || errno)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		if (number > most / units[i].ms || number * units[i].ms < least)
			return false;
		*out = (int)(number * units[i].ms);
		return true;
	}
	return false;
}

static enum error_code set_number(struct reading *r, const char *name, const char *value, int least,
				  int most, int *out)
{
	if (!read_number(value, least, most, out))
		return WRONG(r, "%s: must be a number from %d to %d", name, least, most);
	return ERROR_NONE;
}

static enum error_code set_keys(struct reading *r, const char *name, const char *value)
{
	struct trigger *t = current(r);
	for (const char *s = value + strspn(value, " \t,"); *s; s += strspn(s, " \t,")) {
		size_t n = strcspn(s, " \t,");
		if (n > MAX_ROUTING_KEY_BYTES)
			return WRONG(r, "%s: a key has at most %d bytes", name,
				     MAX_ROUTING_KEY_BYTES);
		if (t->key_count == MAX_TRIGGER_KEYS)
			return WRONG(r, "%s: at most %d keys", name, MAX_TRIGGER_KEYS);
		memcpy(t->keys[t->key_count], s, n);
		t->keys[t->key_count++][n] = '\0';
		s += n;
	}
	return ERROR_NONE;
}

static enum error_code set_handler(struct reading *r, const char *name, const char *value)
{
	size_t n = strlen(value);
	bool good = n > 0 && n <= MAX_HANDLER_NAME_BYTES && islower((unsigned char)value[0]) &&
		    strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
	if (!good)
		return WRONG(r,
			     "%s: must be a handler's name: a small letter, then small letters, "
			     "digits and -, at most %d bytes",
			     name, MAX_HANDLER_NAME_BYTES);
	memcpy(current(r)->handler, value, n + 1);
	return ERROR_NONE;
}

static enum error_code set_batch_size(struct reading *r, const char *name, const char *value)
{
	return set_number(r, name, value, 1, MAX_BATCH_SIZE, &current(r)->batch_size);
}

static enum error_code set_batch_window(struct reading *r, const char *name, const char *value)
{
	if (!read_duration(value, 0, MAX_WINDOW_MS, &current(r)->batch_window_ms))
		return WRONG(r, "%s: must be a time from 0ms to 60s, like 20ms or 1s", name);
	return ERROR_NONE;
}

static enum error_code set_concurrency(struct reading *r, const char *name, const char *value)
{
	return set_number(r, name, value, 1, MAX_CONCURRENCY, &current(r)->max_concurrency);
}

static enum error_code set_attempts(struct reading *r, const char *name, const char *value)
{
	return set_number(r, name, value, 1, MAX_ATTEMPTS, &current(r)->max_attempts);
}

static enum error_code set_backoff(struct reading *r, const char *name, const char *value)
{
	struct trigger *t = current(r);
	t->backoff_steps = 0;
	for (const char *s = value + strspn(value, " \t,"); *s; s += strspn(s, " \t,")) {
		char step[16] = { 0 };
		size_t n = strcspn(s, " \t,");
		if (t->backoff_steps == MAX_BACKOFF_STEPS)
			return WRONG(r, "%s: at most %d steps", name, MAX_BACKOFF_STEPS);
		memcpy(step, s, n < sizeof(step) ? n : 0);
		if (!read_duration(step, 1, MAX_BACKOFF_MS, &t->backoff_ms[t->backoff_steps++]))
			return WRONG(r, "%s: must be times from 1ms to 24h, like 1s 5s 30s", name);
		s += n;
	}
	if (t->backoff_steps == 0)
		return WRONG(r, "%s: must have a step, like 1s", name);
	return ERROR_NONE;
}

static const struct {
	const char *name;
	enum error_code (*set)(struct reading *r, const char *name, const char *value);
} members[MAX_MEMBERS] = {
	{ "keys", set_keys },
	{ "handler", set_handler },
	{ "batch_size", set_batch_size },
	{ "batch_window", set_batch_window },
	{ "max_concurrency", set_concurrency },
	{ "max_attempts", set_attempts },
	{ "backoff", set_backoff },
};

/* ---- sections ---- */

/* Whether queue would be mistaken for a queue that another trigger has for itself. */
static bool is_helper_name(const char *queue, size_t n)
{
	static const char dead[] = ".dead", retry[] = ".retry.";
	if (n >= sizeof(dead) - 1 && strcmp(queue + n - (sizeof(dead) - 1), dead) == 0)
		return true;
	size_t digits = 0;
	while (digits < n && isdigit((unsigned char)queue[n - digits - 1]))
		digits++;
	size_t rest = n - digits;
	return digits > 0 && rest >= sizeof(retry) - 1 &&
	       strncmp(queue + rest - (sizeof(retry) - 1), retry, sizeof(retry) - 1) == 0;
}

static enum error_code check_queue_name(struct reading *r, const char *queue, size_t n)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	if (n == 0 || n > MAX_QUEUE_NAME_BYTES || !isalnum((unsigned char)queue[0]) ||
	    strspn(queue, allowed) != n)
		return WRONG(
			r, "[%.*s]: a queue's name is letters, digits and . _ -, at most %d bytes",
			(int)n, queue, MAX_QUEUE_NAME_BYTES);
	if (is_helper_name(queue, n))
		return WRONG(r,
			     "[%s]: names that end in .dead or .retry.N are kept for the helpers "
			     "of other queues",
			     queue);
	for (int i = 0; i < r->triggers->count; i++) {
		if (strcmp(r->triggers->list[i].queue, queue) == 0)
			return WRONG(r, "[%s]: stands twice in this file", queue);
	}
	return ERROR_NONE;
}

static enum error_code end_section(struct reading *r)
{
	if (r->in_section && !*current(r)->handler)
		return r->code = error_set(r->e, ERROR_CONFIG, "%s:%d: [%s] names no handler",
					   r->path, r->section_line, current(r)->queue);
	return ERROR_NONE;
}

static enum error_code begin_section(struct reading *r, const char *name, size_t n)
{
	char queue[MAX_LINE_BYTES];
	memcpy(queue, name, n);
	queue[n] = '\0';
	if (end_section(r) || check_queue_name(r, queue, n))
		return r->code;
	if (r->triggers->count == MAX_TRIGGERS)
		return WRONG(r, "at most %d triggers", MAX_TRIGGERS);
	size_t count = (size_t)r->triggers->count + 1;
	struct trigger *list = realloc(r->triggers->list, count * sizeof(*list));
	if (!list)
		return r->code = error_set(r->e, ERROR_INTERNAL, "out of memory");
	r->triggers->list = list;
	r->triggers->count = (int)count;
	*current(r) = (struct trigger){
		.batch_size = 100,
		.batch_window_ms = 20,
		.max_concurrency = 2,
		.max_attempts = 5,
		.backoff_ms = { 1000, 5000, 30000 },
		.backoff_steps = 3,
	};
	memcpy(current(r)->queue, queue, n + 1);
	r->in_section = true;
	r->section_line = r->line;
	r->given = 0;
	return ERROR_NONE;
}

/* ---- inih ---- */

static int on_member(void *context, const char *section, const char *name, const char *value)
{
	(void)section;
	struct reading *r = context;
	if (r->code)
		return 0;
	if (!r->in_section) {
		WRONG(r, "%s: stands before the first [queue]", name);
		return 0;
	}
	for (unsigned i = 0; i < MAX_MEMBERS; i++) {
		if (strcmp(members[i].name, name) != 0)
			continue;
		if (r->given & 1U << i)
			WRONG(r, "%s: stands twice in [%s]", name, current(r)->queue);
		else
			members[i].set(r, name, value);
		r->given |= 1U << i;
		return r->code == ERROR_NONE;
	}
	WRONG(r, "%s: there is no such member", name);
	return 0;
}

/*
 * Gives inih the next line, with what stands before its first word taken away,
 * so that an indented line is not read as a second value of the line above.
 */
static char *next_line(char *out, int room, void *context)
{
	struct reading *r = context;
	char *line = NULL;
	size_t line_room = 0;
	if (r->code)
		return NULL;
	ssize_t n = getline(&line, &line_room, r->file);
	if (n < 0) {
		/* Without memory there is no line, either, and neither end nor error of the file. */
		if (!feof(r->file) && !ferror(r->file))
			r->code = error_set(r->e, ERROR_INTERNAL, "out of memory");
		free(line);
		return NULL;
	}
	r->line++;
	static const char mark[] = "\xEF\xBB\xBF"; /* what some editors put before the first line */
	char *start = line;
	if (r->line == 1 && strncmp(line, mark, sizeof(mark) - 1) == 0)
		start += sizeof(mark) - 1;
	start += strspn(start, " \t");
	size_t length = (size_t)(line + n - start);
	if (memchr(start, '\0', length))
		WRONG(r, "a NUL byte");
	else if (length + 1 > (size_t)room)
		WRONG(r, "a line has at most %d bytes", MAX_LINE_BYTES - 4);
	else if (*start == '[' && strchr(start, ']'))
		begin_section(r, start + 1, strcspn(start + 1, "]"));
	if (r->code == ERROR_NONE)
		memcpy(out, start, length + 1);
	free(line);
	return r->code ? NULL : out;
}

static void parse(struct reading *r)
{
	/* inih's settings are the process's: put back what others set. */
	int line_room = ini_max_line;
	bool stop = ini_stop_on_first_error;
	ini_max_line = MAX_LINE_BYTES;
	ini_stop_on_first_error = true;
	int wrong_line = ini_parse_stream(next_line, r, on_member, r);
	ini_max_line = line_room;
	ini_stop_on_first_error = stop;
	if (r->code)
		return;
	if (ferror(r->file))
		r->code = error_set(r->e, ERROR_CONFIG, "%s: %s", r->path, strerror(errno));
	else if (wrong_line < 0)
		r->code = error_set(r->e, ERROR_INTERNAL, "out of memory");
	else if (wrong_line > 0)
		WRONG(r, "neither [queue] nor member = value");
	else
		end_section(r);
}

enum error_code triggers_load(const char *path, struct triggers *triggers, struct error *e)
{
	*triggers = (struct triggers){ 0 };
	FILE *file = fopen(path, "re");
	if (!file)
		return error_set(e, ERROR_CONFIG, "%s: %s", path, strerror(errno));
	struct reading r = { .path = path, .file = file, .triggers = triggers, .e = e };
	parse(&r);
	fclose(file);
	if (r.code)
		triggers_finish(triggers);
	return r.code;
}

void triggers_finish(struct triggers *triggers)
{
	free(triggers->list);
	*triggers = (struct triggers){ 0 };
}
