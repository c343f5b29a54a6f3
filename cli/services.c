/* services: asks s6-svstat, and reads what pools publish. */
#include "services.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/config.h"
#include "tool.h"
#include "wire/json.h"

enum { PATH_ROOM = 512, MAX_STATUS_BYTES = 4096 };

/* So many ends within so long, and the last one no longer ago: something is wrong with it. */
enum { RESTLESS_DEATHS = 3, RESTLESS_S = 30 };

static const char *const places[] = { "public", "internal", "queue" };

static bool path_of(char out[PATH_ROOM], const char *inside)
{
	return snprintf(out, PATH_ROOM, "%s/%s", config()->run_dir, inside) < PATH_ROOM;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* A scanner that runs holds the reading end of its control fifo open. */
static enum error_code find_scanner(struct error *e)
{
	char path[PATH_ROOM];
	int fd = path_of(path, "services/.s6-svscan/control")
			 ? open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
			 : -1;
	if (fd >= 0) {
		close(fd);
		return ERROR_NONE;
	}
	if (errno == EACCES)
		return error_set(e, ERROR_INTERNAL,
				 "the stack in %s is another user's: ask as that user",
				 config()->run_dir);
	return error_set(e, ERROR_NOT_FOUND, "nothing runs: the stack in %s is stopped",
			 config()->run_dir);
}

/* Takes the next word off the text. */
static struct text next_word(const char **text)
{
	const char *word = *text + strspn(*text, " \n");
	size_t n = strcspn(word, " \n");
	*text = word + n;
	return (struct text){ word, n };
}

static bool next_boolean(const char **text)
{
	return text_equal(next_word(text), text_of("true"));
}

static int64_t next_number(const char **text)
{
	return strtoll(next_word(text).s, NULL, 10);
}

/* Reads "true false true 12 34": the fields of svstat_fields. */
static const char svstat_fields[] = "up,wantedup,ready,pid,updownfor";

static void read_svstat(const char *text, struct service *s)
{
	s->up = next_boolean(&text);
	s->wanted_up = next_boolean(&text);
	s->ready = next_boolean(&text);
	s->pid = next_number(&text);
	s->since_ms = clock_wall_ms() - next_number(&text) * 1000;
	s->supervised = true;
}

/*
 * A line is "@" and a TAI64N label, 24 hexadecimal digits, then how it ended.
 * Only differences count here, so the leap seconds in it do not matter.
 */
static int64_t label_seconds(const char *line)
{
	char digits[17] = "";
	snprintf(digits, sizeof(digits), "%.16s", *line == '@' ? line + 1 : "");
	return (int64_t)(strtoull(digits, NULL, 16) & INT64_MAX);
}

/* Whether the last RESTLESS_DEATHS of the tally, oldest first, came within RESTLESS_S. */
static bool is_restless(const char *tally)
{
	int64_t last[RESTLESS_DEATHS] = { 0 };
	size_t count = 0;
	for (const char *line = tally; *line; line += strcspn(line, "\n"), line += *line != '\0')
		last[count++ % RESTLESS_DEATHS] = label_seconds(line);
	if (count < RESTLESS_DEATHS)
		return false;
	int64_t newest = last[(count - 1) % RESTLESS_DEATHS];
	return newest - last[count % RESTLESS_DEATHS] <= RESTLESS_S;
}

/* Up is no good sign if it was up for a moment again and again. */
static void read_deaths(const char *path, struct service *s)
{
	if (clock_wall_ms() - s->since_ms > RESTLESS_S * 1000L)
		return;
	const char *const argv[] = { "s6-svdt", path, NULL };
	CLEANUP(buffer_finish) struct buffer tally = { 0 };
	if (!tool_output(argv, &tally, NULL))
		s->restless = is_restless(buffer_text(&tally).s);
}

static enum error_code ask_s6(struct service *s, struct error *e)
{
	char path[PATH_ROOM];
	char inside[SERVICE_NAME_BYTES + 32];
	snprintf(inside, sizeof(inside), "services/%s/notification-fd", s->name);
	if (!path_of(path, inside))
		return error_set(e, ERROR_INTERNAL, "RUN_DIR is too long");
	s->tells_ready = exists(path);
	*strrchr(path, '/') = '\0';
	const char *const argv[] = { "s6-svstat", "-o", svstat_fields, path, NULL };
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	enum error_code code = tool_output(argv, &out, e);
	if (code == ERROR_PEER_ANSWER) /* that is how it says: not supervised */
		return ERROR_NONE;
	if (code)
		return code;
	read_svstat(buffer_text(&out).s, s);
	if (s->up)
		read_deaths(path, s);
	return ERROR_NONE;
}

static int64_t number_of(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;
	return json_object_object_get_ex(object, name, &value) ? json_object_get_int64(value) : 0;
}

static void read_pool_object(struct json_object *object, struct service *s)
{
	struct json_object *workers = NULL;
	struct text state = { 0 };
	struct text refused = text_of("");
	if (number_of(object, "pid") != s->pid ||
	    json_member(object, "", "workers", &workers, NULL) ||
	    json_string(object, "", "state", JSON_REQUIRED, &state, NULL) ||
	    json_string(object, "", "refused", JSON_OPTIONAL, &refused, NULL))
		return; /* of a pool that is gone: the new one has not published yet */
	s->pool = (struct pool_state){
		.known = true,
		.wanted = number_of(workers, "wanted"),
		.running = number_of(workers, "running"),
		.leaving = number_of(workers, "leaving"),
		.restarts = number_of(object, "restarts"),
		.refused = refused.n > 0,
	};
	snprintf(s->pool.state, sizeof(s->pool.state), "%s", state.s);
}

/* Reads PLACE/NAME.status of the pool that the service PLACE.NAME is. */
static void read_pool(struct service *s)
{
	char path[PATH_ROOM];
	char inside[SERVICE_NAME_BYTES + 32];
	char bytes[MAX_STATUS_BYTES];
	const char *dot = strchr(s->name, '.');
	snprintf(inside, sizeof(inside), "%.*s/%s.status", (int)(dot - s->name), s->name, dot + 1);
	int fd = path_of(path, inside) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	ssize_t n = read(fd, bytes, sizeof(bytes) - 1);
	close(fd);
	if (n <= 0)
		return;
	bytes[n] = '\0';
	struct json_object *object = NULL;
	if (!json_parse((struct text){ bytes, (size_t)n }, "status", &object, NULL) &&
	    json_object_is_type(object, json_type_object))
		read_pool_object(object, s);
	json_object_put(object);
}

static bool is_pool_name(const char *name)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		size_t n = strlen(places[i]);
		if (strncmp(name, places[i], n) == 0 && name[n] == '.' && name[n + 1])
			return true;
	}
	return false;
}

static int is_service(const struct dirent *d)
{
	return d->d_name[0] != '.' && strlen(d->d_name) < SERVICE_NAME_BYTES;
}

static enum error_code read_each(struct dirent **names, int count, struct service_list *list,
				 struct error *e)
{
	enum error_code code = ERROR_NONE;
	list->services = calloc((size_t)count + 1, sizeof(*list->services));
	if (!list->services)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	for (int i = 0; i < count && !code; i++) {
		struct service *s = &list->services[list->count++];
		snprintf(s->name, sizeof(s->name), "%.*s", SERVICE_NAME_BYTES - 1,
			 names[i]->d_name);
		s->is_pool = is_pool_name(s->name);
		code = ask_s6(s, e);
		if (!code && s->is_pool && s->up)
			read_pool(s);
	}
	return code;
}

enum error_code services_read(struct service_list *list, struct error *e)
{
	char path[PATH_ROOM];
	struct dirent **names = NULL;
	*list = (struct service_list){ 0 };
	if (!path_of(path, "services"))
		return error_set(e, ERROR_INTERNAL, "RUN_DIR is too long");
	int count = scandir(path, &names, is_service, alphasort);
	if (count < 0 && errno == ENOENT)
		return error_set(e, ERROR_NOT_FOUND, "nothing runs: there is no %s", path);
	if (count < 0)
		return error_set(e, ERROR_INTERNAL, "%s: %s", path, strerror(errno));
	enum error_code code = find_scanner(e);
	if (!code)
		code = read_each(names, count, list, e);
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
	if (code)
		service_list_finish(list);
	return code;
}

void service_list_finish(struct service_list *list)
{
	free(list->services);
	*list = (struct service_list){ 0 };
}
