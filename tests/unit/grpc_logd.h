/*
 * grpc_logd: the gRPC server on a loop of its own thread, with a store that
 * does what an entry's name says: "conflict", "down", "late", "full", "odd"
 * fail in that way, "hold" holds its batch until it is let go, and everything
 * else is stored.
 */
#ifndef FLEXI_TESTS_GRPC_LOGD_H
#define FLEXI_TESTS_GRPC_LOGD_H

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "../../listener/grpc/health.h"
#include "../../listener/grpc/server.h"
#include "../../listener/grpc/write_log.h"
#include "core/config.h"

enum { STORED_MOST = 64 };

static struct {
	char address[64];
	int port;
	uv_loop_t loop;
	uv_async_t stop;
	pthread_t thread;
	pthread_barrier_t ready;
	struct writer *writer;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool held, let_go;
	int count;
	struct entry stored[STORED_MOST]; /* without their texts */
	char names[STORED_MOST][64];
} logd;

static const struct {
	const char *name;
	enum error_code code;
} logd_failures[] = {
	{ "conflict", ERROR_CONFLICT }, { "down", ERROR_PEER_DOWN }, { "late", ERROR_PEER_TIMEOUT },
	{ "large", ERROR_TOO_LARGE },	{ "full", ERROR_PEER_FULL }, { "odd", ERROR_PEER_ANSWER },
	{ "broken", ERROR_INTERNAL },
};

static inline enum error_code logd_store_one(const struct entry *entry, struct error *verdict)
{
	for (size_t i = 0; i < sizeof(logd_failures) / sizeof(logd_failures[0]); i++) {
		if (text_equal(entry->name, text_of(logd_failures[i].name)))
			return error_set(verdict, logd_failures[i].code, "100 %% %s",
					 logd_failures[i].name);
	}
	while (text_equal(entry->name, text_of("hold")) && !logd.let_go) {
		logd.held = true;
		pthread_cond_broadcast(&logd.changed);
		pthread_cond_wait(&logd.changed, &logd.lock);
	}
	int at = logd.count++ % STORED_MOST;
	logd.stored[at] = *entry;
	snprintf(logd.names[at], sizeof(logd.names[at]), "%s", entry->name.s);
	return ERROR_NONE;
}

static inline enum error_code logd_insert(const struct entry *entries, size_t count,
					  struct error *verdicts, struct error *e)
{
	(void)e;
	pthread_mutex_lock(&logd.lock);
	for (size_t i = 0; i < count; i++)
		logd_store_one(&entries[i], &verdicts[i]);
	pthread_mutex_unlock(&logd.lock);
	return ERROR_NONE;
}

static inline enum error_code logd_ping(struct error *e)
{
	(void)e;
	return ERROR_NONE;
}

static inline void logd_closed(void *context)
{
	(void)context;
	uv_stop(&logd.loop);
}

static inline void logd_drained(void)
{
	writer_close(logd.writer, logd_closed, NULL);
}

static inline void logd_on_stop(uv_async_t *async)
{
	(void)async;
	health_end();
	server_drain(logd_drained);
}

static inline void logd_changed(void *context, bool well)
{
	(void)context;
	health_set(well);
}

static inline void *logd_run(void *context)
{
	(void)context;
	const struct writer_options options = { .insert = logd_insert,
						.ping = logd_ping,
						.changed = logd_changed };
	struct error e;
	uv_loop_init(&logd.loop);
	uv_async_init(&logd.loop, &logd.stop, logd_on_stop);
	logd.writer = writer_open(&logd.loop, &options);
	if (!logd.writer || server_open(&logd.loop, logd.address, &e))
		abort();
	write_log_use(logd.writer);
	pthread_barrier_wait(&logd.ready);
	uv_run(&logd.loop, UV_RUN_DEFAULT);
	return NULL;
}

/* A port that was free a moment ago. */
static inline int logd_free_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&in, size) ||
	    getsockname(fd, (struct sockaddr *)&in, &size))
		abort();
	close(fd);
	return ntohs(in.sin_port);
}

/* To be called before the settings are read: LOG_GRPC_ADDR is where it listens. */
static inline void logd_start(void)
{
	logd.port = logd_free_port();
	snprintf(logd.address, sizeof(logd.address), "127.0.0.1:%d", logd.port);
	setenv("LOG_GRPC_ADDR", logd.address, 1);
	pthread_mutex_init(&logd.lock, NULL);
	pthread_cond_init(&logd.changed, NULL);
	pthread_barrier_init(&logd.ready, NULL, 2);
	config_load(NULL);
	if (pthread_create(&logd.thread, NULL, logd_run, NULL))
		abort();
	pthread_barrier_wait(&logd.ready);
}

static inline void logd_stop(void)
{
	uv_async_send(&logd.stop);
	pthread_join(logd.thread, NULL);
}

static inline int logd_count(void)
{
	pthread_mutex_lock(&logd.lock);
	int count = logd.count;
	pthread_mutex_unlock(&logd.lock);
	return count;
}

/* The entry that was stored last. */
static inline struct entry logd_last(void)
{
	pthread_mutex_lock(&logd.lock);
	struct entry last = logd.stored[(logd.count - 1) % STORED_MOST];
	pthread_mutex_unlock(&logd.lock);
	return last;
}

static inline void logd_let_go(void)
{
	pthread_mutex_lock(&logd.lock);
	logd.let_go = true;
	pthread_cond_broadcast(&logd.changed);
	pthread_mutex_unlock(&logd.lock);
}

#endif
