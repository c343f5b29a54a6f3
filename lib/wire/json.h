/*
 * json: strict JSON (RFC 8259) in and out, over json-c.
 *
 * Refused, each with a sentence that says where: anything but exactly one
 * value; bytes that are not UTF-8 (overlong forms and surrogates included);
 * control characters in strings; the escape \u0000; half a surrogate pair; a
 * member named twice in one object; nesting over MAX_JSON_DEPTH; more than
 * MAX_JSON_VALUES values (ERROR_TOO_LARGE); numbers that RFC 8259 does not know. So every string that comes out is clean text.
 */
#ifndef FLEXI_WIRE_JSON_H
#define FLEXI_WIRE_JSON_H

#include <json-c/json_object.h>

#include "core/error.h"
#include "core/text.h"

/*
 * Parses exactly one value. On success the caller owns *out and puts it back
 * with json_object_put (a top-level null is a NULL *out); on error nothing is
 * owned. `what` names the thing in the sentence ("body").
 */
enum error_code json_parse(struct text in, const char *what, struct json_object **out,
			   struct error *e);

/*
 * Writes value without spaces; the text is valid until value changes or is put
 * back. It is empty when memory is short.
 */
struct text json_write(struct json_object *value);

/* Whether a member must be there, or leaves *out alone when it is missing. */
enum json_presence { JSON_REQUIRED, JSON_OPTIONAL };

/*
 * The member `name` of object as a string. `where` is the path of the object
 * for the sentence: "log" gives "log.name: must be a string", "" gives
 * "name: …". null and other types are errors even when optional. *out lives
 * as long as the object.
 */
enum error_code json_string(struct json_object *object, const char *where, const char *name,
			    enum json_presence presence, struct text *out, struct error *e);

/* The member `name` as an object, in the same way; *out is borrowed. */
enum error_code json_member(struct json_object *object, const char *where, const char *name,
			    struct json_object **out, struct error *e);

/* The value itself must be an object. `where` names it ("the body" if ""). */
enum error_code json_must_be_object(struct json_object *value, const char *where, struct error *e);

/* Adds a string, a number or a boolean. They return 0, or -1 when memory is short. */
int json_add_text(struct json_object *object, const char *name, struct text value);
int json_add_number(struct json_object *object, const char *name, int64_t value);
int json_add_boolean(struct json_object *object, const char *name, bool value);

/* Adds value and takes it over, also when adding fails. */
int json_add(struct json_object *object, const char *name, struct json_object *value);

/* For CLEANUP: puts *value back. */
void json_put(struct json_object **value);

#endif
