/* template: walks the tokens of a template and looks their names up. */
#include "mail/template.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config.h"
#include "mail/mustache.h"

/* How much of a file is read at once. */
enum { READ_BYTES = 64 * 1024 };

struct rendering {
	const struct mustache *mustache;
	const struct template_options *options;
	struct json_object *scopes[MAX_MUSTACHE_DEPTH + 1];
	size_t depth; /* the innermost scope */
	size_t steps;
	size_t most; /* size of out that is too much */
	struct buffer *out;
	struct error *e;
};

/* The member of object with a name that no NUL follows. */
static bool member(struct json_object *object, const char *name, size_t n, struct json_object **out)
{
	char key[MAX_MUSTACHE_NAME_BYTES + 1];
	if (!json_object_is_type(object, json_type_object))
		return false;
	memcpy(key, name, n);
	key[n] = '\0';
	return json_object_object_get_ex(object, key, out);
}

/* Looks name up. The first part is searched from the innermost scope outwards, the rest in it. */
static bool find(const struct rendering *r, struct text name, struct json_object **out)
{
	*out = r->scopes[r->depth];
	if (name.n == 1 && name.s[0] == '.')
		return true;
	const char *part = name.s;
	const char *end = name.s + name.n;
	const char *dot = memchr(part, '.', name.n);
	size_t n = dot ? (size_t)(dot - part) : name.n;
	bool found = false;
	for (size_t depth = r->depth + 1; !found && depth-- > 0;)
		found = member(r->scopes[depth], part, n, out);
	while (found && part + n < end) {
		part += n + 1;
		dot = memchr(part, '.', (size_t)(end - part));
		n = (size_t)((dot ? dot : end) - part);
		found = member(*out, part, n, out);
	}
	return found;
}

static bool is_true(struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_null:
		return false;
	case json_type_boolean:
		return json_object_get_boolean(value);
	case json_type_array:
		return json_object_array_length(value) > 0;
	case json_type_string:
		return json_object_get_string_len(value) > 0;
	default:
		return true;
	}
}

static const char *entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

static void append_escaped(struct buffer *out, struct text t)
{
	size_t written = 0;
	for (size_t i = 0; i < t.n; i++) {
		const char *instead = entity(t.s[i]);
		if (!instead)
			continue;
		buffer_append(out, t.s + written, i - written);
		buffer_append_string(out, instead);
		written = i + 1;
	}
	buffer_append(out, t.s + written, t.n - written);
}

static enum error_code bad_value(const struct rendering *r, const struct mustache_token *token,
				 const char *sentence)
{
	return error_set(r->e, ERROR_BAD_INPUT, "%.*s: %s (template %s, line %zu)",
			 (int)token->text.n, token->text.s, sentence, r->options->name,
			 token->line);
}

static enum error_code append_value(struct rendering *r, const struct mustache_token *token)
{
	struct json_object *value;
	if (!find(r, token->text, &value)) {
		if (r->options->lenient)
			return ERROR_NONE;
		return bad_value(r, token, "a value is missing");
	}
	struct text text = { "", 0 };
	switch (json_object_get_type(value)) {
	case json_type_null:
		break;
	case json_type_object:
	case json_type_array:
		return bad_value(r, token, "must not be an object or a list");
	case json_type_string:
		text.s = json_object_get_string(value);
		text.n = (size_t)json_object_get_string_len(value);
		break;
	default:
		text = text_of(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
	}
	if (token->kind == MUSTACHE_ESCAPED && r->options->html)
		append_escaped(r->out, text);
	else
		buffer_append_text(r->out, text);
	return ERROR_NONE;
}

static enum error_code render(struct rendering *r, size_t from, size_t to);

/* Renders the inside of the section at token `place` as often as its value asks for. */
static enum error_code render_section(struct rendering *r, size_t place)
{
	const struct mustache_token *token = &r->mustache->tokens[place];
	struct json_object *value = NULL;
	bool open = find(r, token->text, &value) && is_true(value);
	if (token->kind == MUSTACHE_INVERTED)
		return open ? ERROR_NONE : render(r, place + 1, token->end);
	if (!open)
		return ERROR_NONE;
	bool list = json_object_is_type(value, json_type_array);
	size_t count = list ? json_object_array_length(value) : 1;
	enum error_code code = ERROR_NONE;
	r->depth++;
	for (size_t i = 0; !code && i < count; i++) {
		r->scopes[r->depth] = list ? json_object_array_get_idx(value, i) : value;
		code = render(r, place + 1, token->end);
	}
	r->depth--;
	return code;
}

/* Renders the tokens from `from` up to `to`. Recursion is bounded by MAX_MUSTACHE_DEPTH. */
static enum error_code render(struct rendering *r, size_t from, size_t to)
{
	enum error_code code = ERROR_NONE;
	if (++r->steps > MAX_TEMPLATE_STEPS)
		goto too_much;
	for (size_t i = from; !code && i < to; i++) {
		const struct mustache_token *token = &r->mustache->tokens[i];
		switch (token->kind) {
		case MUSTACHE_LITERAL:
			buffer_append_text(r->out, token->text);
			break;
		case MUSTACHE_SECTION:
		case MUSTACHE_INVERTED:
			code = render_section(r, i);
			i = token->end;
			break;
		default:
			code = append_value(r, token);
		}
		if (++r->steps > MAX_TEMPLATE_STEPS || r->out->size > r->most)
			goto too_much;
	}
	return code;
too_much:
	return code ? code
		    : error_set(r->e, ERROR_TOO_LARGE, "template %s: these values make too much",
				r->options->name);
}

enum error_code template_render(struct text source, struct json_object *values,
				const struct template_options *options, struct buffer *out,
				struct error *e)
{
	CLEANUP(mustache_finish) struct mustache mustache = { 0 };
	if (!g_utf8_validate(source.s, (gssize)source.n, NULL))
		return error_set(e, ERROR_CONFIG, "template %s: not UTF-8", options->name);
	enum error_code code = mustache_parse(source, options->name, &mustache, e);
	if (code)
		return code;
	struct rendering r = {
		.mustache = &mustache,
		.options = options,
		.scopes = { values },
		.most = out->size + MAX_RENDERED_BYTES,
		.out = out,
		.e = e,
	};
	code = render(&r, 0, mustache.count);
	if (!code && out->failed)
		code = error_set(e, ERROR_INTERNAL, "out of memory");
	return code;
}

static bool is_name(const char *name)
{
	size_t n =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
	return n > 0 && name[n] == '\0' && name[0] != '.' && n <= MAX_TEMPLATE_NAME_BYTES;
}

/* Reads fd to its end. */
static enum error_code read_whole(int fd, const char *name, struct buffer *out, struct error *e)
{
	struct stat status;
	if (fstat(fd, &status) || !S_ISREG(status.st_mode))
		return error_set(e, ERROR_CONFIG, "template %s: not a file", name);
	ssize_t n = 1;
	while (n != 0 && out->size <= MAX_TEMPLATE_BYTES) {
		char *room = buffer_room(out, READ_BYTES);
		if (!room)
			return error_set(e, ERROR_INTERNAL, "out of memory");
		n = read(fd, room, READ_BYTES);
		if (n < 0 && errno != EINTR)
			return error_set(e, ERROR_CONFIG, "template %s: %s", name, strerror(errno));
		buffer_grew(out, n > 0 ? (size_t)n : 0);
	}
	if (out->size > MAX_TEMPLATE_BYTES)
		return error_set(e, ERROR_CONFIG, "template %s: more than %d KiB", name,
				 MAX_TEMPLATE_BYTES / 1024);
	return ERROR_NONE;
}

static enum error_code read_template(const char *name, struct buffer *out, struct error *e)
{
	if (!is_name(name))
		return error_set(e, ERROR_BAD_INPUT, "template: not the name of one");
	int directory = open(config()->templates_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return error_set(e, ERROR_CONFIG, "TEMPLATES_DIR: %s", strerror(errno));
	/* O_NONBLOCK: a FIFO in there must not hold the worker. */
	int fd = openat(directory, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int reason = errno;
	close(directory);
	if (fd < 0 && reason == ENOENT)
		return error_set(e, ERROR_BAD_INPUT, "template %s: there is none of this name",
				 name);
	if (fd < 0)
		return error_set(e, ERROR_CONFIG, "template %s: %s", name, strerror(reason));
	enum error_code code = read_whole(fd, name, out, e);
	close(fd);
	return code;
}

enum error_code template_render_file(const char *name, struct json_object *values,
				     struct buffer *out, struct error *e)
{
	CLEANUP(buffer_finish) struct buffer source = { 0 };
	enum error_code code = read_template(name, &source, e);
	if (code)
		return code;
	const char *ending = strrchr(name, '.');
	struct template_options options = {
		.name = name,
		.html = ending && strcmp(ending, ".html") == 0,
	};
	return template_render(buffer_text(&source), values, &options, out, e);
}
