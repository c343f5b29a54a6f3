/* item: a queue's batch unpacked, handed to the handler, and its verdicts packed. */
#include "handler/item.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/log.h"
#include "handler/exchange.h"

static enum error_code read_item(struct json_object *object, size_t index, struct item *item,
				 struct error *e)
{
	char where[32];
	snprintf(where, sizeof(where), "items[%zu]", index);
	struct json_object *attempt = NULL;
	enum error_code code = json_must_be_object(object, where, e);
	if (!code)
		code = json_string(object, where, "id", JSON_REQUIRED, &item->id, e);
	if (!code)
		code = json_string(object, where, "key", JSON_REQUIRED, &item->key, e);
	if (code)
		return code;
	if (!json_object_object_get_ex(object, "attempt", &attempt) ||
	    !json_object_is_type(attempt, json_type_int) || json_object_get_int(attempt) < 1)
		return error_set(e, ERROR_BAD_INPUT, "%s.attempt: must be a number from 1", where);
	item->attempt = json_object_get_int(attempt);
	if (!json_object_object_get_ex(object, "payload", &item->payload))
		return error_set(e, ERROR_BAD_INPUT, "%s.payload: is missing", where);
	return ERROR_NONE;
}

/* On success the caller frees *items. */
static enum error_code read_batch(struct request *rq, struct item **items, size_t *count,
				  struct error *e)
{
	struct json_object *body = NULL;
	enum error_code code = request_json(rq, &body, e);
	if (code)
		return code;
	if (!json_object_is_type(body, json_type_array))
		return error_set(e, ERROR_BAD_INPUT, "the body: must be an array of items");
	*count = json_object_array_length(body);
	if (*count == 0 || *count > MAX_BATCH_ITEMS)
		return error_set(e, ERROR_BAD_INPUT, "the body: must hold 1 to %d items",
				 MAX_BATCH_ITEMS);
	*items = calloc(*count, sizeof(**items));
	if (!*items)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	for (size_t i = 0; i < *count && !code; i++)
		code = read_item(json_object_array_get_idx(body, i), i, &(*items)[i], e);
	if (code) {
		free(*items);
		*items = NULL;
	}
	return code;
}

/*
 * One after the other. Where a peer goes away there is nothing to be gained
 * by trying the rest: before the first item was done the batch as a whole may
 * wait, after that the rest fail for now.
 */
static enum error_code run_each(const struct handler *handler, struct item *items, size_t count,
				struct error *e)
{
	for (size_t i = 0; i < count; i++) {
		struct error verdict = { .code = ERROR_NONE };
		enum error_code code = handler->each(&items[i], &verdict);
		verdict.code = code;
		items[i].verdict = verdict;
		if (!code || !error_is_pause(code))
			continue;
		if (i == 0)
			return error_set(e, code, "%s", verdict.text);
		for (; i < count; i++)
			items[i].verdict = verdict;
	}
	return ERROR_NONE;
}

static int add_failure(struct json_object *failures, const struct item *item)
{
	struct json_object *o = json_object_new_object();
	if (!o || json_add_text(o, "id", item->id) ||
	    json_add_boolean(o, "permanent", error_is_permanent(item->verdict.code)) ||
	    json_add_text(o, "reason", text_of(item->verdict.text)) ||
	    json_object_array_add(failures, o) != 0) {
		json_object_put(o);
		return -1;
	}
	log_warning("an item failed", LOG_TEXT("item", item->id.s),
		    LOG_INT("attempt", item->attempt), LOG_REASON(&item->verdict));
	return 0;
}

/* "N of M done", and what failed, if anything did. */
static struct reply pack(const struct item *items, size_t count)
{
	struct json_object *failures = json_object_new_array();
	size_t done = 0;
	int failed = !failures;
	for (size_t i = 0; i < count && !failed; i++) {
		if (items[i].verdict.code)
			failed = add_failure(failures, &items[i]);
		else
			done++;
	}
	struct reply r = reply_ok(200, "%zu of %zu done", done, count);
	if (!failed && done < count)
		return reply_failures(r, failures);
	json_object_put(failures);
	/* Without memory for the list: a 500, and all of it comes again. */
	return failed ? reply_failures(r, NULL) : r;
}

struct reply item_batch_reply(struct request *rq)
{
	struct error e = { .code = ERROR_NONE };
	struct item *items = NULL;
	size_t count = 0;
	enum error_code code = read_batch(rq, &items, &count, &e);
	if (!code)
		code = rq->handler->batch ? rq->handler->batch(items, count, &e)
					  : run_each(rq->handler, items, count, &e);
	struct reply r = code ? reply_error(&e) : pack(items, count);
	free(items);
	return r;
}
