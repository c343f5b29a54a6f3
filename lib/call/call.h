/*
 * call: HTTP to another handler, through Caddy's internal or queue site.
 *
 * One connection for each site is kept between calls and remade when it is
 * gone. The request id and the trace context of the log (core/log) go along.
 */
#ifndef FLEXI_CALL_CALL_H
#define FLEXI_CALL_CALL_H

#include <stdint.h>

#include "core/error.h"
#include "core/text.h"

struct call_answer {
	int status;
	bool worker; /* a worker answered (X-Handler), not Caddy itself */
	char *body;  /* NUL after size bytes; freed by call_answer_finish */
	size_t size;
};

/*
 * Posts body as JSON to path ("/log") of site (http://HOST:PORT or unix:PATH).
 * Any HTTP answer is success, whatever its status; then the caller finishes
 * *answer. On error nothing is owned: ERROR_PEER_DOWN if nothing was sent,
 * ERROR_PEER_TIMEOUT if it was sent and no answer came in time,
 * ERROR_PEER_ANSWER if what came is no HTTP answer, was cut off, or is over
 * MAX_BODY_BYTES. A request of which a part was taken is never sent again.
 */
enum error_code call_post(const char *site, const char *path, struct text body, int64_t deadline_ms,
			  struct call_answer *answer, struct error *e);

/*
 * Posts to the internal site and turns an answer that is not 2xx from a worker
 * into an error, with the code of its status and the message of its envelope.
 */
enum error_code call_internal(const char *path, struct text body, int64_t deadline_ms,
			      struct call_answer *answer, struct error *e);

void call_answer_finish(struct call_answer *answer);

#endif
