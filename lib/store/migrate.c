/* migrate: what the steps of a migration share. */
#include "store/migrate.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/clock.h"

enum { FIRST_PAUSE_MS = 100, LAST_PAUSE_MS = 1000, LINE_BYTES = 512 };

void migrate_report(const struct migration *m, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (m->report)
		m->report(m->context, line);
}

bool migrate_wait(const struct migration *m, int *pause_ms, const struct error *why)
{
	int left = clock_left_ms(m->deadline_ms);
	if (left == 0)
		return false;
	if (m->waiting && why)
		m->waiting(m->context, why);
	int next = *pause_ms ? *pause_ms * 2 : FIRST_PAUSE_MS;
	*pause_ms = next < LAST_PAUSE_MS ? next : LAST_PAUSE_MS;
	poll(NULL, 0, *pause_ms < left ? *pause_ms : left);
	return true;
}
