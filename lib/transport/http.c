/* http: one POST an entry, and what an error of it says about the entry. */
#include "transport/http.h"

#include "call/call.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/limits.h"

static int64_t pause_until_ms; /* monotonic */

/* A permanent error is the entry's; a pause, or never having been asked, leaves nothing behind. */
static enum outcome outcome_of(enum error_code code)
{
	switch (code) {
	case ERROR_NONE:
		return OUTCOME_STORED;
	case ERROR_PEER_DOWN:
	case ERROR_PEER_FULL:
	case ERROR_CONFIG:
	case ERROR_METHOD:
	case ERROR_NOT_FOUND:
	case ERROR_CREDENTIALS:
	case ERROR_BODY_CUT:
		return OUTCOME_NOT_STORED;
	default:
		return error_is_permanent(code) ? OUTCOME_REFUSED : OUTCOME_UNKNOWN;
	}
}

enum outcome http_send(const struct entry *entry, int64_t deadline_ms, struct error *e)
{
	if (clock_now_ms() < pause_until_ms) {
		error_set(e, ERROR_PEER_DOWN, "the handler log did not answer a moment ago");
		return OUTCOME_NOT_STORED;
	}
	CLEANUP(json_put) struct json_object *body = entry_to_json(entry);
	struct text bytes = body ? json_write(body) : text_of("");
	if (bytes.n == 0) {
		error_set(e, ERROR_INTERNAL, "out of memory");
		return OUTCOME_NOT_STORED;
	}
	CLEANUP(call_answer_finish) struct call_answer answer = { 0 };
	enum error_code code = call_internal("/log", bytes, deadline_ms, &answer, e);
	if (code == ERROR_PEER_TIMEOUT)
		pause_until_ms = clock_now_ms() + PEER_PAUSE_MS;
	return outcome_of(code);
}
