/*
 * entry: a log record on its way: id, name, data, level and when it was accepted.
 *
 * The id is a MongoDB ObjectId in 24 hexadecimal digits, made by whoever first
 * accepts the entry, before the first attempt to pass it on; it stays the same
 * over every retry and transport. The content is name, data and level: a
 * second entry with the same id and the same content is the same entry, with
 * other content it is a conflict. Times are not content.
 */
#ifndef FLEXI_ENTRY_ENTRY_H
#define FLEXI_ENTRY_ENTRY_H

#include <stdint.h>

#include "core/error.h"
#include "core/text.h"
#include "wire/json.h"

enum { ENTRY_ID_DIGITS = 24, ENTRY_ID_BYTES = ENTRY_ID_DIGITS + 1 };

enum entry_level { ENTRY_INFO, ENTRY_WARNING, ENTRY_ERROR, ENTRY_LEVELS };

/* name and data are borrowed: from the JSON they were read from, or from the caller. */
struct entry {
	char id[ENTRY_ID_BYTES]; /* lower case */
	enum entry_level level;
	struct text name;
	struct text data;
	int64_t accepted_ms; /* since 1970 UTC; stored as created_at */
};

/* Makes a new id: seconds, five random bytes of this process, a counter. Safe after fork. */
void entry_id_new(char id[ENTRY_ID_BYTES]);

/* Whether text is 24 hexadecimal digits. */
bool entry_id_is_valid(struct text text);

/*
 * An id from whatever a publisher sent as its message id: 24 hexadecimal
 * digits are taken as they are, in lower case; any other text gives the first
 * 12 bytes of its SHA-256, so that the same text always gives the same id.
 */
void entry_id_from_message_id(struct text message_id, char id[ENTRY_ID_BYTES]);

/* "INFO", "WARNING", "ERROR", and back; false if it is none of them. */
const char *entry_level_name(enum entry_level level);
bool entry_level_from_name(struct text name, enum entry_level *level);

/* "log.INFO" and so on, and back. */
const char *entry_routing_key(enum entry_level level);
bool entry_level_from_routing_key(struct text key, enum entry_level *level);

/*
 * Reads {"name","data"} with optional "id" and "level" from object; where is
 * its path in the sentence of an error. A missing id is made new, a missing
 * level is INFO; accepted_ms is now. name and data are borrowed from object.
 */
enum error_code entry_from_json(struct json_object *object, const char *where, struct entry *entry,
				struct error *e);

/*
 * As above, from another part of this system, which may say when it accepted
 * the entry ("created_at"); and *entry holds on entry what is taken when id or
 * level are missing (an id of "" is made new).
 */
enum error_code entry_from_peer_json(struct json_object *object, const char *where,
				     struct entry *entry, struct error *e);

/* The JSON that entry_from_peer_json reads. The caller owns it; NULL when memory is short. */
struct json_object *entry_to_json(const struct entry *entry);

/* Whether name, data and level are equal. */
bool entry_same_content(const struct entry *a, const struct entry *b);

#endif
