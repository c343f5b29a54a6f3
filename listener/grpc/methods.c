/* methods: the table. */
#include "methods.h"

#include "health.h"
#include "write_log.h"

static const struct method methods[] = {
	{ "/logs.LogService/WriteLog", write_log, NULL },
	{ "/grpc.health.v1.Health/Check", health_check, NULL },
	{ "/grpc.health.v1.Health/Watch", health_watch, health_watcher_gone },
};

const struct method *method_find(struct text path)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (text_equal(path, text_of(methods[i].path)))
			return &methods[i];
	}
	return NULL;
}
