/* transport: the table of ways, and trying them in turn. */
#include "transport/transport.h"

#include <stdio.h>

#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "transport/amqp.h"
#include "transport/grpc.h"
#include "transport/http.h"
#include "transport/rpc.h"
#include "wire/rpc.h"

static const struct transport transports[] = {
	{ "amqp", "logger via RabbitMQ", false, amqp_send },
	{ "rpc", RPC_LOG_INFO_OK, true, rpc_send },
	{ "grpc", "logged", false, grpc_send },
	{ "http", "logged", false, http_send },
};

enum { TRANSPORTS = sizeof(transports) / sizeof(transports[0]) };

/* "amqp, http": what the table has, for the sentence of an error. */
static const char *names(void)
{
	static char list[64];
	if (*list)
		return list;
	for (int i = 0; i < TRANSPORTS; i++) {
		size_t n = strlen(list);
		snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "", transports[i].name);
	}
	return list;
}

const struct transport *transport_find(struct text name)
{
	for (int i = 0; i < TRANSPORTS; i++) {
		if (text_equal(name, text_of(transports[i].name)))
			return &transports[i];
	}
	return NULL;
}

/* The next name of a list like "amqp, http"; false at its end. */
static bool next_name(const char **list, struct text *name)
{
	*list += strspn(*list, ", \t");
	*name = (struct text){ *list, strcspn(*list, ", \t") };
	*list += name->n;
	return name->n > 0;
}

enum error_code transport_check(struct error *e)
{
	const char *list = config()->log_transports;
	struct text name;
	int count = 0;
	for (; next_name(&list, &name); count++) {
		if (!transport_find(name))
			return error_set(e, ERROR_CONFIG, "LOG_TRANSPORTS: %.*s: must be of %s",
					 (int)name.n, name.s, names());
	}
	if (count == 0)
		return error_set(e, ERROR_CONFIG, "LOG_TRANSPORTS: must name one of %s", names());
	return ERROR_NONE;
}

/* What is known after some attempts. */
struct attempts {
	bool unknown;
	enum error_code code;	 /* what to tell the caller */
	struct buffer sentences; /* what happened to each */
};

static void attempts_finish(struct attempts *a)
{
	buffer_finish(&a->sentences);
}

static void add_failure(struct attempts *a, const struct transport *t, enum outcome outcome,
			const struct error *e)
{
	log_warning("a transport did not take an entry", LOG_TEXT("transport", t->name),
		    LOG_TEXT("outcome", outcome == OUTCOME_UNKNOWN ? "unknown" : "not stored"),
		    LOG_REASON(e));
	buffer_printf(&a->sentences, "%s%s: %s", a->sentences.size > 0 ? "; " : "", t->name,
		      e->text);
	/* Unknown weighs most; then what a later repeat may mend. */
	bool first = a->code == ERROR_NONE;
	if (outcome == OUTCOME_UNKNOWN ? !a->unknown
				       : first || (!a->unknown && error_is_pause(e->code)))
		a->code = e->code;
	a->unknown = a->unknown || outcome == OUTCOME_UNKNOWN;
}

static enum outcome summary(const struct attempts *a, const struct entry *entry, struct error *e)
{
	struct text said = buffer_text(&a->sentences);
	if (!a->unknown) {
		error_set(e, a->code, "the entry was not kept (%.*s)", (int)said.n, said.s);
		return OUTCOME_NOT_STORED;
	}
	error_set(e, a->code,
		  "whether the entry was kept is not known; repeat it with the id %s (%.*s)",
		  entry->id, (int)said.n, said.s);
	return OUTCOME_UNKNOWN;
}

/* Half of the time that is left, so that an answer, or another way, has the rest. */
static int64_t half_way(int64_t deadline_ms)
{
	return clock_now_ms() + clock_left_ms(deadline_ms) / 2;
}

enum outcome transport_send(struct text only, const struct entry *entry, int64_t deadline_ms,
			    const struct transport **used, struct error *e)
{
	*used = NULL;
	if (only.n > 0 && !transport_find(only)) {
		error_set(e, ERROR_BAD_INPUT, "transport: must be one of %s", names());
		return OUTCOME_REFUSED;
	}
	CLEANUP(attempts_finish) struct attempts attempts = { 0 };
	const char *list = config()->log_transports;
	struct text name = only;
	while (only.n > 0 || next_name(&list, &name)) {
		const struct transport *t = transport_find(name);
		struct error failure = { .code = ERROR_CONFIG,
					 .text = "there is no such transport" };
		if (!t)
			continue;
		enum outcome outcome = t->send(entry, half_way(deadline_ms), &failure);
		if (outcome == OUTCOME_STORED || outcome == OUTCOME_REFUSED) {
			*used = t;
			if (outcome == OUTCOME_REFUSED && e)
				*e = failure;
			return outcome;
		}
		add_failure(&attempts, t, outcome, &failure);
		if (only.n > 0)
			break;
	}
	if (attempts.code == ERROR_NONE)
		attempts.code = ERROR_CONFIG;
	return summary(&attempts, entry, e);
}
