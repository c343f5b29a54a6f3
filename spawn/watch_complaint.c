/* complaint: remembers the last few files that were complained about. */
#include "watch_complaint.h"

#include <stdio.h>
#include <string.h>

#include "core/log.h"

enum { COMPLAINTS = 64, FILE_BYTES = 64 };

void complaint_log(const char *place, const char *file, const char *message)
{
	static char said[COMPLAINTS][FILE_BYTES];
	static int next;
	char complaint[FILE_BYTES];
	snprintf(complaint, sizeof(complaint), "%s/%s", place, file);
	for (int i = 0; i < COMPLAINTS; i++) {
		if (strcmp(said[i], complaint) == 0)
			return;
	}
	memcpy(said[next], complaint, sizeof(complaint));
	next = (next + 1) % COMPLAINTS;
	log_warning(message, LOG_TEXT("place", place), LOG_TEXT("file", file));
}
