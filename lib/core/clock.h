/*
 * clock: time. Deadlines are monotonic milliseconds; what is stored or printed
 * is milliseconds since 1970 UTC.
 */
#ifndef FLEXI_CORE_CLOCK_H
#define FLEXI_CORE_CLOCK_H

#include <stdint.h>

#include "core/text.h"

enum { CLOCK_TEXT_BYTES = sizeof("2026-01-31T23:59:59.999Z") };

/* Monotonic milliseconds: for deadlines and durations, never stored. */
int64_t clock_now_ms(void);

/* Milliseconds since 1970 UTC: for what is stored or printed. */
int64_t clock_wall_ms(void);

/* What is left until a monotonic deadline, never below 0, never above INT_MAX. */
int clock_left_ms(int64_t deadline_ms);

/* Writes wall_ms as RFC 3339 with milliseconds, in UTC. */
void clock_text(int64_t wall_ms, char out[CLOCK_TEXT_BYTES]);

/* Reads what clock_text writes, exactly that form. Returns whether it was one. */
bool clock_from_text(struct text in, int64_t *wall_ms);

#endif
