/*
 * fastcgi: as much of FastCGI 1.0 (its specification's sections 3 to 6) as it takes
 * to read one request to its end and to refuse it.
 */
#ifndef FLEXI_SPAWN_POOL_FASTCGI_H
#define FLEXI_SPAWN_POOL_FASTCGI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/limits.h"

enum { FASTCGI_HEADER_BYTES = 8, FASTCGI_MOST_PARAMETER_BYTES = 64 * 1024 };

/* Zeroed: nothing was read. fastcgi_finish frees what it holds. */
struct fastcgi {
	unsigned char header[FASTCGI_HEADER_BYTES];
	size_t header_size;
	size_t content_left;
	size_t padding_left;
	struct buffer parameters; /* what came of them, up to the limit */
	uint16_t id;
	bool complete; /* the request was read to its end */
};

/* Takes in the next bytes of a connection; false: they are not FastCGI. */
bool fastcgi_feed(struct fastcgi *f, const void *bytes, size_t n);

/*
 * Looks for a parameter; *value points into f. false if it did not come, or not
 * within the limit.
 */
bool fastcgi_parameter(const struct fastcgi *f, const char *name, struct text *value);

/* Appends what answers the request: output (CGI headers, empty line, body) and its end. */
void fastcgi_answer(const struct fastcgi *f, struct text output, struct buffer *out);

void fastcgi_finish(struct fastcgi *f);

#endif
