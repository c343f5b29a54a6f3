/* entry: ids, levels, and entries to and from JSON. */
#include "entry/entry.h"

#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "core/clock.h"

enum { ID_BYTES = ENTRY_ID_DIGITS / 2 };

static const struct {
	const char *name;
	const char *routing_key;
} levels[ENTRY_LEVELS] = {
	[ENTRY_INFO] = { "INFO", "log.INFO" },
	[ENTRY_WARNING] = { "WARNING", "log.WARNING" },
	[ENTRY_ERROR] = { "ERROR", "log.ERROR" },
};

static void write_hex(const unsigned char *bytes, char id[ENTRY_ID_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < ID_BYTES; i++) {
		id[2 * i] = digits[bytes[i] >> 4];
		id[2 * i + 1] = digits[bytes[i] & 15];
	}
	id[ENTRY_ID_DIGITS] = '\0';
}

void entry_id_new(char id[ENTRY_ID_BYTES])
{
	/* A forked child must not go on with its parent's bytes and counter. */
	static struct {
		pid_t pid;
		unsigned char random[5];
		uint32_t counter;
	} maker;
	if (maker.pid != getpid()) {
		unsigned char seed[8];
		size_t n = 0;
		while (n < sizeof(seed)) { /* below 256 bytes it fails only when interrupted early
					      at boot */
			ssize_t got = getrandom(seed + n, sizeof(seed) - n, 0);
			n += got > 0 ? (size_t)got : 0;
		}
		memcpy(maker.random, seed, sizeof(maker.random));
		maker.counter = (uint32_t)seed[5] << 16 | (uint32_t)seed[6] << 8 | seed[7];
		maker.pid = getpid();
	}
	uint32_t seconds = (uint32_t)(clock_wall_ms() / 1000);
	uint32_t count = maker.counter++;
	unsigned char bytes[ID_BYTES] = {
		(unsigned char)(seconds >> 24),
		(unsigned char)(seconds >> 16),
		(unsigned char)(seconds >> 8),
		(unsigned char)seconds,
		maker.random[0],
		maker.random[1],
		maker.random[2],
		maker.random[3],
		maker.random[4],
		(unsigned char)(count >> 16),
		(unsigned char)(count >> 8),
		(unsigned char)count,
	};
	write_hex(bytes, id);
}

bool entry_id_is_valid(struct text text)
{
	return text.n == ENTRY_ID_DIGITS &&
	       strspn(text.s, "0123456789abcdefABCDEF") >= ENTRY_ID_DIGITS;
}

/* Takes a valid id in either case. */
static void set_id(struct text text, char id[ENTRY_ID_BYTES])
{
	for (size_t i = 0; i < ENTRY_ID_DIGITS; i++) {
		char c = text.s[i];
		id[i] = (char)(c >= 'A' && c <= 'F' ? c | 32 : c);
	}
	id[ENTRY_ID_DIGITS] = '\0';
}

void entry_id_from_message_id(struct text message_id, char id[ENTRY_ID_BYTES])
{
	if (entry_id_is_valid(message_id)) {
		set_id(message_id, id);
		return;
	}
	unsigned char digest[EVP_MAX_MD_SIZE] = { 0 };
	if (EVP_Digest(message_id.s, message_id.n, digest, NULL, EVP_sha256(), NULL) != 1) {
		entry_id_new(id); /* no memory for the hash: stored at least once, never less */
		return;
	}
	write_hex(digest, id);
}

const char *entry_level_name(enum entry_level level)
{
	return levels[level].name;
}

const char *entry_routing_key(enum entry_level level)
{
	return levels[level].routing_key;
}

bool entry_level_from_name(struct text name, enum entry_level *level)
{
	for (enum entry_level i = 0; i < ENTRY_LEVELS; i++) {
		if (text_equal(name, text_of(levels[i].name))) {
			*level = i;
			return true;
		}
	}
	return false;
}

bool entry_level_from_routing_key(struct text key, enum entry_level *level)
{
	for (enum entry_level i = 0; i < ENTRY_LEVELS; i++) {
		if (text_equal(key, text_of(levels[i].routing_key))) {
			*level = i;
			return true;
		}
	}
	return false;
}

/* The members that everybody may name; *entry holds what is taken when id or level are missing. */
static enum error_code read_members(struct json_object *object, const char *where,
				    struct entry *entry, struct error *e)
{
	const char *dot = *where ? "." : "";
	struct text id = text_of(entry->id);
	struct text level = text_of(levels[entry->level].name);
	enum error_code code = json_must_be_object(object, where, e);
	if (!code)
		code = json_string(object, where, "name", JSON_REQUIRED, &entry->name, e);
	if (!code)
		code = json_string(object, where, "data", JSON_REQUIRED, &entry->data, e);
	if (!code)
		code = json_string(object, where, "id", JSON_OPTIONAL, &id, e);
	if (!code)
		code = json_string(object, where, "level", JSON_OPTIONAL, &level, e);
	if (code)
		return code;
	if (!entry_level_from_name(level, &entry->level))
		return error_set(e, ERROR_BAD_INPUT, "%s%slevel: must be INFO, WARNING or ERROR",
				 where, dot);
	if (id.s == entry->id && id.n == 0)
		entry_id_new(entry->id);
	else if (entry_id_is_valid(id))
		set_id(id, entry->id);
	else
		return error_set(e, ERROR_BAD_INPUT, "%s%sid: must be %d hexadecimal digits", where,
				 dot, ENTRY_ID_DIGITS);
	return ERROR_NONE;
}

enum error_code entry_from_json(struct json_object *object, const char *where, struct entry *entry,
				struct error *e)
{
	*entry = (struct entry){ .level = ENTRY_INFO, .accepted_ms = clock_wall_ms() };
	return read_members(object, where, entry, e);
}

enum error_code entry_from_peer_json(struct json_object *object, const char *where,
				     struct entry *entry, struct error *e)
{
	struct text accepted = { 0 };
	entry->accepted_ms = clock_wall_ms();
	enum error_code code = read_members(object, where, entry, e);
	if (!code)
		code = json_string(object, where, "created_at", JSON_OPTIONAL, &accepted, e);
	if (!code && accepted.s && !clock_from_text(accepted, &entry->accepted_ms))
		code = error_set(e, ERROR_BAD_INPUT, "%s%screated_at: must be a time in UTC", where,
				 *where ? "." : "");
	return code;
}

struct json_object *entry_to_json(const struct entry *entry)
{
	char accepted[CLOCK_TEXT_BYTES];
	clock_text(entry->accepted_ms, accepted);
	struct json_object *object = json_object_new_object();
	if (!object || json_add_text(object, "name", entry->name) ||
	    json_add_text(object, "data", entry->data) ||
	    json_add_text(object, "id", text_of(entry->id)) ||
	    json_add_text(object, "level", text_of(levels[entry->level].name)) ||
	    json_add_text(object, "created_at", text_of(accepted))) {
		json_object_put(object);
		return NULL;
	}
	return object;
}

bool entry_same_content(const struct entry *a, const struct entry *b)
{
	return a->level == b->level && text_equal(a->name, b->name) && text_equal(a->data, b->data);
}
