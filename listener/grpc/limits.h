/*
 * limits: what one peer, and all of them together, may ask of the gRPC server.
 * What a person may change (connections, sizes, idle time) is in core/config.
 */
#ifndef FLEXI_LISTENER_GRPC_LIMITS_H
#define FLEXI_LISTENER_GRPC_LIMITS_H

enum {
	/* Calls at once on one connection; clients keep the others back until there is room. */
	MAX_STREAMS = 128,
	/* Request headers as HTTP/2 counts them. Over the first a call is refused, over the
	 * second its stream is reset. */
	MAX_HEADER_BYTES = 8 * 1024,
	MAX_HEADER_BYTES_READ = 256 * 1024,
	/* Of messages that are not whole yet, over all connections. */
	MAX_HELD_BYTES = 64 * 1024 * 1024,
	/* After so many bytes, or connections, memory is given back to the system. */
	MANY_HELD_BYTES = 4 * 1024 * 1024,
	MANY_CONNECTIONS = 256,
	/* What a peer may send before it is told that it was read. */
	STREAM_WINDOW_BYTES = 256 * 1024,
	CONNECTION_WINDOW_BYTES = 1024 * 1024,
	/* A request must be whole by then. */
	REQUEST_TIMEOUT_MS = 30000,
	/* The first frame of a connection; and the time to take what is sent. */
	GREETING_TIMEOUT_MS = 5000,
	WRITE_TIMEOUT_MS = 10000,
	/* Resets that a peer made us send: so many at once, and so many more every second. */
	MAX_PROVOKED_RESETS = 200,
	PROVOKED_RESETS_PER_S = 10,
	/* Between the two steps of a farewell: calls that are on their way are still served. */
	FAREWELL_PAUSE_MS = 100,
	/* How often connections are looked after. */
	TICK_MS = 250,
	/* Connections that wait to be accepted. */
	BACKLOG = 512,
	/* Calls of Watch at once, and what one of them may leave unread. */
	MAX_WATCHERS = 256,
	MAX_UNREAD_BYTES = 4096,
	/* How often the store is asked for when nobody else does. */
	STORE_ASK_MS = 1000,
};

#endif
