/* judge: what is well and what is not. */
#include "judge.h"

#include <stdio.h>
#include <string.h>

static struct judgement unwell(const char *state, const char *note)
{
	struct judgement j = { .unwell = true, .state = state };
	snprintf(j.note, sizeof(j.note), "%s", note);
	return j;
}

static struct judgement judge_pool(const struct pool_state *p)
{
	if (!p->known)
		return unwell("starting", "its pool has not said yet what it does");
	if (strcmp(p->state, "failing") == 0)
		return unwell("failing", "its workers end soon after they start");
	if (strcmp(p->state, "stopping") == 0)
		return unwell("stopping", "");
	if (p->running < p->wanted)
		return unwell("short", "workers are missing");
	struct judgement j = { .state = strcmp(p->state, "rolling") == 0 ? "rolling" : "up" };
	if (p->refused) {
		j.unwell = true;
		snprintf(j.note, sizeof(j.note), "the version dropped last was not taken");
	} else if (p->restarts > 0) {
		snprintf(j.note, sizeof(j.note), "%lld worker%s restarted", (long long)p->restarts,
			 p->restarts == 1 ? "" : "s");
	}
	return j;
}

struct judgement judge_service(const struct service *s)
{
	if (!s->supervised)
		return unwell("dead", "nothing supervises it");
	if (!s->wanted_up)
		return s->up ? unwell("stopping", "")
			     : (struct judgement){ .state = "down", .note = "stopped by hand" };
	if (!s->up)
		return unwell("down", "ended; it is started again every second");
	if (s->restless)
		return unwell("restless", "it ended again and again just now");
	if (s->tells_ready && !s->ready)
		return unwell("starting", "not ready yet");
	return s->is_pool ? judge_pool(&s->pool) : (struct judgement){ .state = "up" };
}
