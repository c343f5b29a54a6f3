/*
 * limits: what one peer, and all of them together, may ask of rpc-logd. What a
 * person may change (connections, sizes, idle time) is in core/config; what
 * one stream may define, in wire/gob.
 */
#ifndef FLEXI_LISTENER_RPC_LIMITS_H
#define FLEXI_LISTENER_RPC_LIMITS_H

enum {
	/* What is read at once. */
	READ_BYTES = 64 * 1024,
	/* Past these no more is read of a connection until there is less of it: calls that are
	 * not answered, the names that their answers will repeat, answers that are not taken. */
	MAX_CALLS = 1024,
	MAX_CALL_BYTES = 1024 * 1024,
	MAX_UNSENT_BYTES = 256 * 1024,
	/* All that connections make us keep; past it, who keeps most is closed. */
	MAX_HELD_BYTES = 32 * 1024 * 1024,
	/* A buffer that has grown beyond this is not kept for later. */
	KEPT_BUFFER_BYTES = 4 * 1024,
	/* A message that has begun must be whole by then; and the time to take some of what is
	 * sent. */
	MESSAGE_TIMEOUT_MS = 10000,
	WRITE_TIMEOUT_MS = 10000,
	/* After our end, how long a client may take for its own. */
	FAREWELL_MS = 1000,
	/* Connections that are gone without a word are found. */
	KEEPALIVE_S = 60,
	/* How often connections are looked after. */
	TICK_MS = 250,
	/* Connections that wait to be accepted. */
	BACKLOG = 512,
};

#endif
