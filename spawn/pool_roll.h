/*
 * roll: whether a new version is taken.
 *
 * The new version's workers run beside the old ones. When each of them has
 * lived ROLL_SETTLE_MS it is taken and the old ones are told to stop; when too many
 * of them died before that it is refused and the old ones stay. One death alone
 * refuses nothing: somebody may have killed just that one.
 */
#ifndef FLEXI_SPAWN_POOL_ROLL_H
#define FLEXI_SPAWN_POOL_ROLL_H

#include <stdint.h>

enum {
	ROLL_SETTLE_MS = 1000,
	ROLL_DEATHS_TO_REFUSE = 3,
};

enum roll_verdict { ROLL_WAIT, ROLL_TAKE, ROLL_REFUSE };

/* What is to be judged: the workers of a version that has not been taken yet. */
struct roll {
	int wanted;	     /* workers that it shall have */
	int running;	     /* workers that it has */
	int64_t youngest_ms; /* the age of the youngest */
	int deaths;	     /* workers that it has lost */
};

enum roll_verdict roll_judge(const struct roll *r);

#endif
