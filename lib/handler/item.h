/*
 * item: one message of a batch that the listener took from a queue.
 */
#ifndef FLEXI_HANDLER_ITEM_H
#define FLEXI_HANDLER_ITEM_H

#include "core/error.h"
#include "core/text.h"
#include "wire/json.h"

struct item {
	struct text id;	 /* never twice in one batch; the same again when it is tried again */
	struct text key; /* the routing key */
	int attempt;	 /* 1 for the first */
	struct json_object *payload; /* the message; any JSON value, NULL for null */
	struct error verdict;	     /* ERROR_NONE: done; a permanent one: never again */
};

#endif
