/*
 * error: the one error type of lib/.
 *
 * A function that can fail returns enum error_code and takes a struct error
 * last; ERROR_NONE is 0, so `if (f(…, e))` reads "if f failed". On failure the
 * error is filled with the code and a sentence that may be shown to the caller
 * of a handler: it says what is wrong and where, never a library's internals.
 * Those go into a log line where they happen. e may be NULL where only the
 * code matters. On success the error is left alone.
 */
#ifndef FLEXI_CORE_ERROR_H
#define FLEXI_CORE_ERROR_H

#include <stdbool.h>

enum error_code {
	ERROR_NONE = 0,
	ERROR_BAD_INPUT,     /* malformed, or of the wrong type */
	ERROR_CREDENTIALS,   /* who is asking cannot be believed */
	ERROR_NOT_FOUND,     /* what was asked for does not exist */
	ERROR_METHOD,	     /* the handler does not take this HTTP method */
	ERROR_BODY_CUT,	     /* the body did not come, or not whole */
	ERROR_CONFLICT,	     /* the id or key is in use for other content */
	ERROR_TOO_LARGE,     /* over a limit that the sentence names */
	ERROR_UNPROCESSABLE, /* well formed, but the value cannot be (an address) */
	ERROR_INTERNAL,	     /* our own fault, or memory is short */
	ERROR_PEER_ANSWER,   /* a peer answered what it should not */
	ERROR_PEER_DOWN,     /* a peer cannot be reached; nothing was done */
	ERROR_PEER_FULL,     /* a peer takes nothing more now; nothing was done */
	ERROR_DEFERRED,	     /* a peer refuses this one for now; others may go through */
	ERROR_PEER_TIMEOUT,  /* a peer did not answer in time; whether it acted is not known */
	ERROR_CONFIG,	     /* a setting is wrong; the sentence names the variable or line */
	ERROR_CODES
};

enum { ERROR_TEXT_BYTES = 256 };

struct error {
	enum error_code code;
	char text[ERROR_TEXT_BYTES];
};

/*
 * Fills e (unless NULL), cutting an overlong sentence between characters, and
 * with a question mark for what is not UTF-8; returns code.
 */
enum error_code error_set(struct error *e, enum error_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__
/* What the analyser cannot see: error_set returns the code that it is given. */
#define error_set(e, code, ...) (error_set((e), (code), __VA_ARGS__), (code))
#endif

/* The HTTP status that tells a caller of this error. */
int error_status(enum error_code code);

/* A sentence on the code alone. */
const char *error_sentence(enum error_code code);

/* Whether the same input would fail again: it is refused, and asking again is pointless. */
bool error_is_permanent(enum error_code code);

/* Whether nobody is at fault and nothing was done: ask again later (503). */
bool error_is_pause(enum error_code code);

#endif
