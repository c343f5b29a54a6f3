/*
 * query: the parameters in what follows the question mark of an address.
 *
 *	struct query_parameter p[] = { { .name = "limit" }, { .name = "name" } };
 *	CLEANUP(buffer_finish) struct buffer room = { 0 };
 *	if (query_read(request_query(rq), p, 2, &room, &e)) …
 */
#ifndef FLEXI_HANDLER_QUERY_H
#define FLEXI_HANDLER_QUERY_H

#include <stdint.h>

#include "core/buffer.h"
#include "core/error.h"

struct query_parameter {
	const char *name;
	bool given;
	struct text value; /* decoded; "" if it is not given */
};

/*
 * Reads name=value&name=value, as forms write it (%XX, + for a space). Fills
 * the parameters that are given; their values lie in room, which the caller
 * finishes. ERROR_BAD_INPUT, with the parameter's name: one that is not in the
 * list or comes twice, and a value that is not UTF-8 without NUL.
 */
enum error_code query_read(const char *query, struct query_parameter *parameters, size_t count,
			   struct buffer *room, struct error *e);

/* The value as a number from least to most; left alone if it is not given. */
enum error_code query_number(const struct query_parameter *parameter, int64_t least, int64_t most,
			     int64_t *out, struct error *e);

#endif
