/* server: who may connect, and how they are sent away. */
#include "server.h"

#include <malloc.h>

#include "connection.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/descriptors.h"
#include "core/endpoint.h"
#include "core/log.h"
#include "limits.h"

static struct {
	uv_tcp_t listener;
	uv_timer_t tick;
	uv_prepare_t flush;
	uv_timer_t farewell;
	struct connection_list connections;
	long count, most;   /* connections: now, and since memory was last given back */
	bool is_accept_due; /* one waits that could not be taken when it came */
	void (*drained)(void);
} server;

static void on_gone(struct connection *c)
{
	TAILQ_REMOVE(&server.connections, c, next);
	server.count--;
	if (server.drained && server.count == 0)
		server.drained();
}

/* Makes room by the one that has been silent for longest; false if all have spoken. */
static bool evict_silent(void)
{
	struct connection *c;
	TAILQ_FOREACH(c, &server.connections, next)
	{
		if (c->is_closing || c->session.is_greeted)
			continue;
		connection_close(c);
		return true;
	}
	return false;
}

static void on_connection(uv_stream_t *listener, int status)
{
	if (status < 0) {
		log_warning("cannot accept", LOG_TEXT("reason", uv_strerror(status)));
		return;
	}
	bool full = server.count >= config()->log_grpc_max_connections && !evict_silent();
	struct connection *c = connection_accept(listener, on_gone);
	server.is_accept_due = c == NULL;
	if (!c)
		return;
	TAILQ_INSERT_TAIL(&server.connections, c, next);
	server.count++;
	if (full) {
		log_warning("a connection is refused: there are as many as there may be",
			    LOG_INT("connections", config()->log_grpc_max_connections));
		connection_close(c);
	}
}

/* The heap keeps what a crowd needed, until it is told that the crowd has gone. */
static void give_back_memory(void)
{
	bool few = server.most >= MANY_CONNECTIONS && server.count < MANY_CONNECTIONS / 4;
	if (few || server.count > server.most)
		server.most = server.count;
	if (call_bodies_are_gone() || few)
		malloc_trim(0);
}

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
	struct connection *c;
	int64_t now = clock_now_ms();
	TAILQ_FOREACH(c, &server.connections, next)
	connection_tick(c, now);
	give_back_memory();
	if (server.is_accept_due && !uv_is_closing((uv_handle_t *)&server.listener))
		on_connection((uv_stream_t *)&server.listener, 0);
}

static void on_flush(uv_prepare_t *prepare)
{
	(void)prepare;
	connections_flush();
}

enum error_code server_open(uv_loop_t *loop, const char *address, struct error *e)
{
	struct sockaddr_storage at;
	enum error_code code = endpoint_read("LOG_GRPC_LISTEN", address, &at, e);
	if (code)
		return code;
	TAILQ_INIT(&server.connections);
	descriptors_raise(config()->log_grpc_max_connections, "LOG_GRPC_MAX_CONNECTIONS");
	uv_tcp_init(loop, &server.listener);
	uv_timer_init(loop, &server.tick);
	uv_timer_init(loop, &server.farewell);
	uv_prepare_init(loop, &server.flush);
	/* These serve connections, and do not keep the loop going by themselves. */
	uv_unref((uv_handle_t *)&server.tick);
	uv_unref((uv_handle_t *)&server.farewell);
	uv_unref((uv_handle_t *)&server.flush);
	int bad = uv_tcp_bind(&server.listener, (struct sockaddr *)&at, 0);
	if (!bad)
		bad = uv_listen((uv_stream_t *)&server.listener, BACKLOG, on_connection);
	if (bad)
		return error_set(e, ERROR_CONFIG, "LOG_GRPC_LISTEN: %s: %s", address,
				 uv_strerror(bad));
	uv_prepare_start(&server.flush, on_flush);
	uv_timer_start(&server.tick, on_tick, TICK_MS, TICK_MS);
	return ERROR_NONE;
}

/* The calls that are under way are still answered; so the loop goes on flushing. */
static void on_farewell(uv_timer_t *timer)
{
	(void)timer;
	struct connection *c;
	TAILQ_FOREACH(c, &server.connections, next)
	connection_refuse_more(c);
}

void server_drain(void (*drained)(void))
{
	struct connection *c;
	server.drained = drained;
	uv_close((uv_handle_t *)&server.listener, NULL);
	TAILQ_FOREACH(c, &server.connections, next)
	connection_announce_end(c);
	uv_timer_start(&server.farewell, on_farewell, FAREWELL_PAUSE_MS, 0);
	if (server.count == 0)
		drained();
}
