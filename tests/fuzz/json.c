/*
 * json, under a fuzzer: whatever comes is refused or read, what is read holds
 * nothing but clean text, and is read again from what we write of it.
 */
#include <json-c/linkhash.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/buffer.h"
#include "core/limits.h"
#include "core/utf8.h"
#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_text(const char *s, size_t n)
{
	check(!memchr(s, '\0', n) && utf8_is_valid((struct text){ s, n }));
}

static void check_value(struct json_object *value, int depth)
{
	check(depth <= MAX_JSON_DEPTH);
	if (json_object_is_type(value, json_type_string)) {
		check_text(json_object_get_string(value),
			   (size_t)json_object_get_string_len(value));
	} else if (json_object_is_type(value, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(value); i++)
			check_value(json_object_array_get_idx(value, i), depth + 1);
	} else if (json_object_is_type(value, json_type_object)) {
		struct lh_entry *member;
		lh_foreach(json_object_get_object(value), member)
		{
			const char *name = lh_entry_k(member);
			check_text(name, strlen(name));
			check_value((struct json_object *)lh_entry_v(member), depth + 1);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buffer_finish) struct buffer in = { 0 };
	CLEANUP(buffer_finish) struct buffer written = { 0 };
	CLEANUP(json_put) struct json_object *value = NULL;
	CLEANUP(json_put) struct json_object *again = NULL;
	struct error e = { 0 };
	buffer_append(&in, data, size); /* which ends it with a NUL */
	enum error_code code = json_parse(buffer_text(&in), "input", &value, &e);
	check(code == ERROR_NONE || code == ERROR_BAD_INPUT || code == ERROR_TOO_LARGE);
	check(code == e.code);
	if (code)
		return 0;
	check_value(value, 0);
	buffer_append_text(&written, json_write(value));
	check(written.size > 0);
	check(!json_parse(buffer_text(&written), "what we wrote", &again, NULL));
	check(text_equal(buffer_text(&written), json_write(again)));
	return 0;
}
