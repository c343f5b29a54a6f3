/* json: json-c behind a stricter gate. */
#include "wire/json.h"

#include <errno.h>
#include <json-c/json_tokener.h>
#include <json-c/linkhash.h>
#include <limits.h>

#include "core/limits.h"
#include "wire/json_scan.h"

/* How many members the objects of a tree have; its depth is bounded by the scan. */
static size_t count_members(struct json_object *value)
{
	size_t count = 0;
	if (json_object_is_type(value, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(value); i++)
			count += count_members(json_object_array_get_idx(value, i));
	} else if (json_object_is_type(value, json_type_object)) {
		struct lh_entry *member;
		lh_foreach(json_object_get_object(value), member) count +=
			1 + count_members((struct json_object *)lh_entry_v(member));
	}
	return count;
}

static enum error_code build(struct text in, const char *what, struct json_object **out,
			     struct error *e)
{
	if (in.n >= INT_MAX)
		return error_set(e, ERROR_TOO_LARGE, "%s is too large", what);
	/*
	 * Short of memory, json-c leaves out what it cannot build, and says so or
	 * not. Only malloc's errno tells that from what is wrong with the text.
	 */
	errno = 0;
	struct json_tokener *tokener = json_tokener_new_ex(MAX_JSON_DEPTH + 1);
	if (!tokener)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* With its NUL: only that ends a bare number. */
	struct json_object *value = json_tokener_parse_ex(tokener, in.s, (int)in.n + 1);
	enum json_tokener_error result = json_tokener_get_error(tokener);
	bool short_of_memory = errno == ENOMEM;
	json_tokener_free(tokener);
	if (short_of_memory) {
		json_object_put(value);
		return error_set(e, ERROR_INTERNAL, "out of memory");
	}
	if (result != json_tokener_success) {
		json_object_put(value);
		return error_set(e, ERROR_BAD_INPUT, "%s is not JSON: %s", what,
				 json_tokener_error_desc(result));
	}
	*out = value;
	return ERROR_NONE;
}

enum error_code json_parse(struct text in, const char *what, struct json_object **out,
			   struct error *e)
{
	size_t members = 0;
	struct json_object *value = NULL;
	enum error_code code = json_scan(in, what, &members, e);
	if (code)
		return code;
	code = build(in, what, &value, e);
	if (code)
		return code;
	if (count_members(value) != members) {
		json_object_put(value);
		return error_set(e, ERROR_BAD_INPUT, "%s names a member twice in one object", what);
	}
	*out = value;
	return ERROR_NONE;
}

struct text json_write(struct json_object *value)
{
	size_t n = 0;
	errno = 0; /* as above: what there is no room for is left out, a member's name for instance */
	const char *s = json_object_to_json_string_length(
		value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
	bool whole = s && errno != ENOMEM;
	return (struct text){ whole ? s : "", whole ? n : 0 };
}

/* Fails with "WHERE.NAME: why". */
static enum error_code member_error(struct error *e, const char *where, const char *name,
				    const char *why)
{
	return error_set(e, ERROR_BAD_INPUT, "%s%s%s: %s", where, *where ? "." : "", name, why);
}

enum error_code json_string(struct json_object *object, const char *where, const char *name,
			    enum json_presence presence, struct text *out, struct error *e)
{
	struct json_object *value = NULL;
	if (!json_object_object_get_ex(object, name, &value)) {
		if (presence == JSON_OPTIONAL)
			return ERROR_NONE;
		return member_error(e, where, name, "is missing");
	}
	if (!json_object_is_type(value, json_type_string))
		return member_error(e, where, name, "must be a string");
	*out = (struct text){ json_object_get_string(value),
			      (size_t)json_object_get_string_len(value) };
	return ERROR_NONE;
}

enum error_code json_member(struct json_object *object, const char *where, const char *name,
			    struct json_object **out, struct error *e)
{
	struct json_object *value = NULL;
	if (!json_object_object_get_ex(object, name, &value))
		return member_error(e, where, name, "is missing");
	if (!json_object_is_type(value, json_type_object))
		return member_error(e, where, name, "must be an object");
	*out = value;
	return ERROR_NONE;
}

enum error_code json_must_be_object(struct json_object *value, const char *where, struct error *e)
{
	if (json_object_is_type(value, json_type_object))
		return ERROR_NONE;
	return error_set(e, ERROR_BAD_INPUT, "%s: must be an object", *where ? where : "the body");
}

int json_add(struct json_object *object, const char *name, struct json_object *value)
{
	if (!object || !value || json_object_object_add(object, name, value) != 0) {
		json_object_put(value);
		return -1;
	}
	return 0;
}

int json_add_text(struct json_object *object, const char *name, struct text value)
{
	return json_add(object, name, json_object_new_string_len(value.s, (int)value.n));
}

int json_add_number(struct json_object *object, const char *name, int64_t value)
{
	return json_add(object, name, json_object_new_int64(value));
}

int json_add_boolean(struct json_object *object, const char *name, bool value)
{
	return json_add(object, name, json_object_new_boolean(value));
}

void json_put(struct json_object **value)
{
	json_object_put(*value);
	*value = NULL;
}
