/* backoff: doubling with a cap. */
#include "pool_backoff.h"

int backoff_after_death(struct backoff *b, int64_t lived_ms)
{
	if (lived_ms >= BACKOFF_RESET_MS)
		b->early_deaths = 0;
	else if (b->early_deaths < 30)
		b->early_deaths++;
	int wait = BACKOFF_FIRST_MS;
	for (int i = 1; i < b->early_deaths && wait < BACKOFF_MOST_MS; i++)
		wait *= 2;
	return wait < BACKOFF_MOST_MS ? wait : BACKOFF_MOST_MS;
}

int backoff_after_kill(struct backoff *b, int64_t lived_ms)
{
	if (lived_ms < BACKOFF_RESET_MS)
		return BACKOFF_KILLED_MS;
	return backoff_after_death(b, lived_ms);
}

bool backoff_is_failing(const struct backoff *b)
{
	return b->early_deaths >= BACKOFF_FAILING_DEATHS;
}
