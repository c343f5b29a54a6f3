/*
 * transport: ways for an entry to the log.
 *
 * One interface, an implementation for each way. A connection is kept between
 * requests, remade at its first failure, and given up on for PEER_PAUSE_MS
 * after a timeout.
 */
#ifndef FLEXI_TRANSPORT_TRANSPORT_H
#define FLEXI_TRANSPORT_TRANSPORT_H

#include "entry/entry.h"

enum outcome {
	OUTCOME_STORED,	    /* stored, or kept by a durable queue that confirmed it */
	OUTCOME_NOT_STORED, /* for certain not: another way may be tried */
	OUTCOME_UNKNOWN,    /* perhaps: another way may be tried, with the same id */
	OUTCOME_REFUSED,    /* bad input or a conflict: no way will take it */
};

struct transport {
	const char *name;
	const char *answer; /* what a caller is told once it is stored this way */
	bool answers_name;  /* followed by the entry's name */
	/* Hands the entry over before the monotonic deadline. e is filled unless it is stored. */
	enum outcome (*send)(const struct entry *entry, int64_t deadline_ms, struct error *e);
};

/* By name ("amqp", "http"); NULL if there is none. */
const struct transport *transport_find(struct text name);

/*
 * Sends over the transport named by `only`, or, if that is empty, over those
 * of LOG_TRANSPORTS in their order until one takes it or one refuses it; each
 * attempt gets at most half of the time that is left. *used is the transport
 * that took or refused it, or NULL. If none did, the outcome is UNKNOWN if any
 * attempt's was.
 */
enum outcome transport_send(struct text only, const struct entry *entry, int64_t deadline_ms,
			    const struct transport **used, struct error *e);

/* Whether LOG_TRANSPORTS names only transports that there are: ERROR_CONFIG if not. */
enum error_code transport_check(struct error *e);

#endif
