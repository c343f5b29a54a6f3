/* descriptors: raises the soft limit. */
#include "core/descriptors.h"

#include <sys/resource.h>

#include "core/log.h"

/* The loop, the store, standard streams. */
enum { OTHER_DESCRIPTORS = 64 };

void descriptors_raise(long connections, const char *setting)
{
	struct rlimit limit;
	rlim_t needed = (rlim_t)connections + OTHER_DESCRIPTORS;
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= needed)
		return;
	limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < needed)
		log_warning("there are too few descriptors", LOG_TEXT("for", setting),
			    LOG_INT("descriptors", limit.rlim_cur));
}
