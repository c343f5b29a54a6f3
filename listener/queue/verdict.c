/* verdict: the table of answers, as rows that are tried from the top. */
#include "verdict.h"

#include <stdio.h>
#include <stdlib.h>

enum who { WORKER, NOT_WORKER, ANYBODY };

enum sentence { OBJECT, REFUSED, HELD, FAILED, BROKEN };

/* The first row that fits decides. */
static const struct row {
	int first, last; /* statuses */
	enum who who;
	enum sentence sentence;
} rows[] = {
	{ 200, 299, WORKER, OBJECT },	{ 200, 299, ANYBODY, FAILED },
	{ 400, 400, WORKER, REFUSED },	{ 409, 409, WORKER, REFUSED },
	{ 413, 413, WORKER, REFUSED },	{ 422, 422, WORKER, REFUSED },
	{ 404, 404, NOT_WORKER, HELD }, { 503, 503, ANYBODY, HELD },
	{ 429, 429, WORKER, HELD },	{ 0, 999, ANYBODY, BROKEN },
};

static enum sentence sentence_of(const struct answer *a)
{
	if (a->status == 0)
		return a->connected ? BROKEN : HELD;
	const struct row *row = rows;
	while (a->status < row->first || a->status > row->last ||
	       (row->who == WORKER && !a->worker) || (row->who == NOT_WORKER && a->worker))
		row++;
	return row->sentence;
}

/* The message of the answer's envelope, or its status. */
static void describe(struct judgement *j, const struct answer *a)
{
	struct text message = { 0 };
	if (a->status == 0) {
		snprintf(j->reason, sizeof(j->reason), "%s", a->failure ? a->failure : "no answer");
		return;
	}
	struct error cut; /* between characters, if it is long */
	const char *who = a->worker ? "the handler" : "the front door";
	bool object = j->answer && json_object_is_type(j->answer, json_type_object);
	bool told = object && !json_string(j->answer, "", "message", JSON_REQUIRED, &message, NULL);
	if (told && message.n > 0)
		error_set(&cut, ERROR_NONE, "%s answered %d: %.*s", who, a->status, (int)message.n,
			  message.s);
	else
		error_set(&cut, ERROR_NONE, "%s answered %d", who, a->status);
	memcpy(j->reason, cut.text, sizeof(j->reason));
}

static void all(struct judgement *j, size_t count, enum verdict_kind kind)
{
	for (size_t i = 0; i < count; i++)
		j->verdicts[i] = (struct verdict){ kind, text_of(j->reason) };
}

static size_t find(const struct text *ids, size_t count, struct text id)
{
	size_t i = 0;
	while (i < count && !text_equal(ids[i], id))
		i++;
	return i;
}

/* Reads one of the failures into its item's verdict. Returns whether it could be read. */
static bool read_failure(struct json_object *failure, const struct text *ids, size_t count,
			 struct judgement *j)
{
	struct text id;
	struct text reason = text_of("the handler gave no reason");
	struct json_object *permanent = NULL;
	if (!failure || !json_object_is_type(failure, json_type_object))
		return false;
	if (json_string(failure, "", "id", JSON_REQUIRED, &id, NULL) ||
	    json_string(failure, "", "reason", JSON_OPTIONAL, &reason, NULL))
		return false;
	bool named = json_object_object_get_ex(failure, "permanent", &permanent);
	if (named && !json_object_is_type(permanent, json_type_boolean))
		return false;
	size_t i = find(ids, count, id);
	if (i == count)
		return false;
	bool dead = (named && json_object_get_boolean(permanent)) ||
		    j->verdicts[i].kind == VERDICT_DEAD;
	j->verdicts[i] = (struct verdict){ dead ? VERDICT_DEAD : VERDICT_AGAIN, reason };
	return true;
}

static bool read_failures(struct json_object *list, const struct text *ids, size_t count,
			  struct judgement *j)
{
	if (!list || !json_object_is_type(list, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		if (!read_failure(json_object_array_get_idx(list, i), ids, count, j))
			return false;
	}
	return true;
}

/* A 2xx counts only if a worker said it in words: anything else may be half an answer. */
static void judge_object(struct judgement *j, const struct text *ids, size_t count)
{
	struct json_object *list = NULL;
	if (!j->answer || !json_object_is_type(j->answer, json_type_object)) {
		snprintf(j->reason, sizeof(j->reason), "the handler's answer is no JSON object");
		all(j, count, VERDICT_AGAIN);
		return;
	}
	all(j, count, VERDICT_DONE);
	bool named = json_object_object_get_ex(j->answer, "failures", &list);
	if (named && !read_failures(list, ids, count, j)) {
		snprintf(j->reason, sizeof(j->reason),
			 "the handler's list of failures cannot be read");
		all(j, count, VERDICT_AGAIN);
	}
}

void verdict_judge(const struct answer *answer, const struct text *ids, size_t count,
		   struct judgement *out)
{
	enum sentence sentence = sentence_of(answer);
	*out = (struct judgement){ 0 };
	enum error_code code = json_parse(answer->body, "answer", &out->answer, NULL);
	if (code)
		out->answer = NULL;
	describe(out, answer);
	bool halves = sentence == REFUSED && count > 1;
	out->fate = sentence == HELD ? FATE_HELD : halves ? FATE_HALVES : FATE_JUDGED;
	if (code == ERROR_INTERNAL) /* our memory is short: what the answer says is not known */
		out->fate = FATE_HELD;
	if (out->fate != FATE_JUDGED)
		return;
	out->verdicts = calloc(count, sizeof(*out->verdicts));
	if (!out->verdicts) {
		out->fate = FATE_HELD;
		return;
	}
	if (sentence == OBJECT)
		judge_object(out, ids, count);
	else if (sentence == REFUSED)
		all(out, count, VERDICT_DEAD);
	else
		all(out, count, sentence == FAILED ? VERDICT_AGAIN : VERDICT_ALONE);
}

void judgement_finish(struct judgement *j)
{
	free(j->verdicts);
	json_put(&j->answer);
	*j = (struct judgement){ 0 };
}
