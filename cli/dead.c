/* dead: what was put aside, a JSON line for each letter, and what becomes of those that are named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "core/config.h"
#include "core/utf8.h"
#include "transport/dead_letters.h"
#include "transport/triggers.h"
#include "wire/json.h"

struct request {
	enum dead_letter_fate fate; /* of those that are named */
	bool all;
	char **ids;
	int id_count;
	size_t done;
	bool failed; /* a line could not be printed: nothing more is taken out */
};

static bool is_named(const struct request *rq, struct text id)
{
	for (int i = 0; i < rq->id_count; i++) {
		if (text_equal(id, text_of(rq->ids[i])))
			return true;
	}
	return rq->all;
}

/* A body that is no text is shown by its size only. */
static int add_members(struct json_object *line, const struct dead_letter *l)
{
	const struct {
		const char *name;
		struct text value;
	} texts[] = { { "id", l->id },		 { "time", l->time }, { "reason", l->reason },
		      { "handler", l->handler }, { "key", l->key },   { "body", l->body } };
	int failed = json_add_number(line, "attempts", l->attempts);
	failed |= json_add_number(line, "bytes", (int64_t)l->body.n);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (utf8_is_valid(texts[i].value))
			failed |= json_add_text(line, texts[i].name, texts[i].value);
	}
	return failed;
}

static bool print_letter(const struct dead_letter *l)
{
	struct json_object *line = json_object_new_object();
	bool printed = line && add_members(line, l) == 0;
	if (printed) {
		struct text text = json_write(line);
		printed = text.n > 0 && printf("%.*s\n", (int)text.n, text.s) > 0 &&
			  fflush(stdout) == 0;
	}
	json_put(&line);
	return printed;
}

static enum dead_letter_fate on_letter(void *context, const struct dead_letter *l)
{
	struct request *rq = context;
	bool named = is_named(rq, l->id);
	if (rq->failed || (rq->fate != DEAD_LETTER_STAYS && !named))
		return DEAD_LETTER_STAYS;
	if (!print_letter(l)) {
		rq->failed = true;
		return DEAD_LETTER_STAYS;
	}
	rq->done++;
	return rq->fate;
}

static int of_one(const char *queue, struct request *rq)
{
	struct error e = { 0 };
	if (dead_letters_each(queue, on_letter, rq, &e)) {
		fprintf(stderr, "flexi dead: %s\n", e.text);
		return EXIT_FAILED;
	}
	if (rq->failed) {
		fprintf(stderr, "flexi dead: cannot print\n");
		return EXIT_FAILED;
	}
	if (rq->fate == DEAD_LETTER_STAYS)
		return EXIT_DONE;
	fprintf(stderr, "flexi dead: %zu %s\n", rq->done,
		rq->fate == DEAD_LETTER_GOES_BACK ? "sent again" : "dropped");
	return rq->done > 0 || rq->all ? EXIT_DONE : EXIT_FAILED;
}

/* A line for each queue that a trigger reads. */
static int of_all(void)
{
	const char *names[MAX_TRIGGERS];
	struct dead_letter_counts counts[MAX_TRIGGERS];
	struct triggers triggers;
	struct error e = { 0 };
	if (triggers_load(config()->triggers_file, &triggers, &e)) {
		fprintf(stderr, "flexi dead: %s\n", e.text);
		return EXIT_FAILED;
	}
	for (int i = 0; i < triggers.count; i++)
		names[i] = triggers.list[i].queue;
	enum error_code code = dead_letters_count(names, (size_t)triggers.count, counts, &e);
	if (code)
		fprintf(stderr, "flexi dead: %s\n", e.text);
	else
		printf("%-32s %10s %10s\n", "QUEUE", "WAITING", "DEAD");
	for (int i = 0; !code && i < triggers.count; i++)
		printf("%-32s %10u %10u\n", names[i], counts[i].waiting, counts[i].dead);
	triggers_finish(&triggers);
	return code ? EXIT_FAILED : EXIT_DONE;
}

int command_dead(int argc, char **argv)
{
	if (argc == 0)
		return of_all();
	const char *queue = argv[0];
	if (*queue == '-' || strlen(queue) > MAX_QUEUE_NAME_BYTES)
		return command_misuse("dead", "not a queue", queue);
	struct request rq = { .fate = DEAD_LETTER_STAYS };
	if (argc == 1)
		return of_one(queue, &rq);
	if (strcmp(argv[1], "--again") == 0)
		rq.fate = DEAD_LETTER_GOES_BACK;
	else if (strcmp(argv[1], "--drop") == 0)
		rq.fate = DEAD_LETTER_IS_DROPPED;
	else
		return command_misuse("dead", "not an option", argv[1]);
	rq.ids = argv + 2;
	rq.id_count = argc - 2;
	rq.all = rq.fate == DEAD_LETTER_GOES_BACK && rq.id_count == 1 &&
		 strcmp(rq.ids[0], "--all") == 0;
	if (rq.id_count == 0)
		return command_misuse("dead", "which ones?", argv[1]);
	for (int i = 0; !rq.all && i < rq.id_count; i++) {
		if (*rq.ids[i] == '-' || !*rq.ids[i])
			return command_misuse("dead", "not an id", rq.ids[i]);
	}
	return of_one(queue, &rq);
}
