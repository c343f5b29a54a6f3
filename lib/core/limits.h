/*
 * limits: the fixed bounds of the system, with their units. What a person may
 * change is in config.c instead.
 */
#ifndef FLEXI_CORE_LIMITS_H
#define FLEXI_CORE_LIMITS_H

enum {
	/* What a handler reads of one body. The public site stops at 1 MiB before that. */
	MAX_BODY_BYTES = 16 * 1024 * 1024,
	/* How deep JSON may nest. */
	MAX_JSON_DEPTH = 16,
	/* How many values one text may hold: 3 bytes of it ("{},") take 800 of memory. */
	MAX_JSON_VALUES = 200 * 1000,
	/* How many entries one body, and how many items one batch, may hold. */
	MAX_BATCH_ITEMS = 10000,
	/* A handler's name: the socket's path must fit into sun_path with the longest RUN_DIR. */
	MAX_HANDLER_NAME_BYTES = 32,
	MAX_RUN_DIR_BYTES = 60,
	/* A request id as Caddy passes it on. */
	MAX_REQUEST_ID_BYTES = 64,
	/* What a worker may map: one announced FastCGI parameter can ask for 2 GiB. */
	MAX_WORKER_ADDRESS_SPACE_MIB = 1024,
	/* How long a client may take to send a request to a worker, or to take the reply. */
	WORKER_IO_TIMEOUT_MS = 10000,
	/* How often an idle worker looks after the connections that it keeps. */
	WORKER_IDLE_TICK_MS = 4000,
	/* The first byte of a connection to a peer. */
	CONNECT_TIMEOUT_MS = 2000,
	/* A connection to the front door is not used again after so long: at 60 s it is closed there. */
	KEPT_CONNECTION_S = 50,
	/* A peer that timed out is passed over for so long. */
	PEER_PAUSE_MS = 2000,
	/* What Retry-After says when a peer is down or full. */
	RETRY_AFTER_S = 1,
};

#endif
