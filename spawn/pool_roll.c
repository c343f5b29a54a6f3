/* roll: the decision, apart from the processes that it is about. */
#include "pool_roll.h"

enum roll_verdict roll_judge(const struct roll *r)
{
	if (r->deaths >= ROLL_DEATHS_TO_REFUSE)
		return ROLL_REFUSE;
	if (r->running < r->wanted || r->youngest_ms < ROLL_SETTLE_MS)
		return ROLL_WAIT;
	return ROLL_TAKE;
}
