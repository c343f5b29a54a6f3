/* settings: NAME.conf by inih. */
#include "pool_settings.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
	struct pool_settings settings;
	const char *wrong; /* about the first wrong line */
};

static const char *set_workers(struct pool_settings *s, const char *value)
{
	char *end;
	errno = 0;
	long n = strtol(value, &end, 10);
	if (errno || end == value || *end || n < 1 || n > SETTINGS_MOST_WORKERS)
		return "workers must be a number from 1 to 256";
	s->workers = (int)n;
	return NULL;
}

static const char *set_protocol(struct pool_settings *s, const char *value)
{
	if (strcmp(value, "fastcgi") == 0)
		s->protocol = PROTOCOL_FASTCGI;
	else if (strcmp(value, "cgi") == 0)
		s->protocol = PROTOCOL_CGI;
	else
		return "protocol must be fastcgi or cgi";
	return NULL;
}

/* Each returns NULL, or what is wrong. */
static const struct {
	const char *name;
	const char *(*set)(struct pool_settings *s, const char *value);
} members[] = {
	{ "workers", set_workers },
	{ "protocol", set_protocol },
};

static int on_line(void *context, const char *section, const char *name, const char *value)
{
	struct reading *r = context;
	const char *wrong = *section ? "sections have no meaning here" : "unknown setting";
	for (size_t i = 0; !*section && i < sizeof(members) / sizeof(members[0]); i++) {
		if (strcmp(members[i].name, name) == 0)
			wrong = members[i].set(&r->settings, value);
	}
	if (wrong && !r->wrong)
		r->wrong = wrong;
	return wrong == NULL;
}

enum error_code pool_settings_load(const char *path, struct pool_settings *settings,
				   struct error *e)
{
	struct reading r = { .settings = *settings };
	FILE *file = fopen(path, "re");
	if (!file) {
		if (errno == ENOENT)
			return ERROR_NONE;
		return error_set(e, ERROR_CONFIG, "%s: %s", path, strerror(errno));
	}
	int line = ini_parse_file(file, on_line, &r);
	fclose(file);
	if (line)
		return error_set(e, ERROR_CONFIG, "%s:%d: %s", path, line,
				 r.wrong ? r.wrong : "not a setting");
	*settings = r.settings;
	return ERROR_NONE;
}
