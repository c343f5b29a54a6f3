/* server: who may connect, and who must go when there is too little room. */
#include "server.h"

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
	struct connection_list connections; /* the oldest first */
	long count;
	bool is_accept_due; /* one waits that could not be taken when it came */
	bool is_full;	    /* and that has been said */
	void (*drained)(void);
} server;

static void on_gone(struct connection *c)
{
	TAILQ_REMOVE(&server.connections, c, next);
	server.count--;
	server.is_full = false;
	if (server.drained && server.count == 0)
		server.drained();
}

/* Whoever makes us keep most must go. */
static void on_crowded(void)
{
	struct connection *largest = NULL;
	struct connection *c;
	TAILQ_FOREACH(c, &server.connections, next)
	{
		if (c->state != CONNECTION_CLOSED && (!largest || c->held > largest->held))
			largest = c;
	}
	if (largest)
		connection_close(largest, "all connections together keep too much");
}

static const struct connection_events events = { on_gone, on_crowded };

/* Makes room by the oldest that has never called; false if all have. */
static bool evict_silent(void)
{
	struct connection *c;
	TAILQ_FOREACH(c, &server.connections, next)
	{
		if (c->state == CONNECTION_CLOSED || c->has_called)
			continue;
		connection_close(c, NULL);
		return true;
	}
	return false;
}

static void refuse(struct connection *c)
{
	if (!server.is_full)
		log_warning("a connection is refused: there are as many as there may be",
			    LOG_INT("connections", config()->log_rpc_max_connections));
	server.is_full = true;
	connection_close(c, NULL);
}

static void on_connection(uv_stream_t *listener, int status)
{
	if (status < 0) {
		log_warning("cannot accept", LOG_TEXT("reason", uv_strerror(status)));
		return;
	}
	bool full = server.count >= config()->log_rpc_max_connections && !evict_silent();
	struct connection *c = connection_accept(listener, &events);
	server.is_accept_due = c == NULL;
	if (!c)
		return;
	TAILQ_INSERT_TAIL(&server.connections, c, next);
	server.count++;
	if (full)
		refuse(c);
}

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
	struct connection *c;
	int64_t now = clock_now_ms();
	TAILQ_FOREACH(c, &server.connections, next)
	connection_tick(c, now);
	if (server.is_accept_due && !uv_is_closing((uv_handle_t *)&server.listener))
		on_connection((uv_stream_t *)&server.listener, 0);
}

static void on_flush(uv_prepare_t *prepare)
{
	(void)prepare;
	connections_flush();
}

enum error_code server_open(uv_loop_t *loop, struct error *e)
{
	const char *address = config()->log_rpc_listen;
	struct sockaddr_storage at;
	enum error_code code = endpoint_read("LOG_RPC_LISTEN", address, &at, e);
	if (code)
		return code;
	TAILQ_INIT(&server.connections);
	descriptors_raise(config()->log_rpc_max_connections, "LOG_RPC_MAX_CONNECTIONS");
	uv_tcp_init(loop, &server.listener);
	uv_timer_init(loop, &server.tick);
	uv_prepare_init(loop, &server.flush);
	/* These serve connections, and do not keep the loop going by themselves. */
	uv_unref((uv_handle_t *)&server.tick);
	uv_unref((uv_handle_t *)&server.flush);
	int bad = uv_tcp_bind(&server.listener, (struct sockaddr *)&at, 0);
	if (!bad)
		bad = uv_listen((uv_stream_t *)&server.listener, BACKLOG, on_connection);
	if (bad)
		return error_set(e, ERROR_CONFIG, "LOG_RPC_LISTEN: %s: %s", address,
				 uv_strerror(bad));
	uv_prepare_start(&server.flush, on_flush);
	uv_timer_start(&server.tick, on_tick, TICK_MS, TICK_MS);
	return ERROR_NONE;
}

void server_drain(void (*drained)(void))
{
	struct connection *c;
	server.drained = drained;
	uv_close((uv_handle_t *)&server.listener, NULL);
	TAILQ_FOREACH(c, &server.connections, next)
	connection_end(c);
	if (server.count == 0)
		drained();
}
