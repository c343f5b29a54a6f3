/* clock: monotonic deadlines and RFC 3339 times. */
#include "core/clock.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_now_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

int clock_left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_now_ms();
	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

void clock_text(int64_t wall_ms, char out[CLOCK_TEXT_BYTES])
{
	int64_t ms = wall_ms % 1000;
	time_t seconds = (time_t)(wall_ms / 1000);
	if (ms < 0) {
		ms += 1000;
		seconds--;
	}
	struct tm t = { 0 };
	if (!gmtime_r(&seconds, &t) || t.tm_year > 9999 - 1900 || t.tm_year < -1900)
		t = (struct tm){ .tm_mday = 1, .tm_year = 70 };
	size_t n = strftime(out, CLOCK_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &t);
	snprintf(out + n, CLOCK_TEXT_BYTES - n, ".%03dZ", (int)ms);
}

bool clock_from_text(struct text in, int64_t *wall_ms)
{
	if (in.n != CLOCK_TEXT_BYTES - 1)
		return false;
	char copy[CLOCK_TEXT_BYTES] = { 0 };
	memcpy(copy, in.s, in.n);
	struct tm t = { 0 };
	const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &t);
	if (!rest || *rest != '.' || strspn(rest + 1, "0123456789") != 3 || rest[4] != 'Z')
		return false;
	int64_t value = (int64_t)timegm(&t) * 1000 + strtol(rest + 1, NULL, 10);
	char again[CLOCK_TEXT_BYTES];
	clock_text(value, again); /* a 31 June or a sign does not come back the same */
	if (memcmp(again, copy, sizeof(again)) != 0)
		return false;
	*wall_ms = value;
	return true;
}
