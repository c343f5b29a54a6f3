/*
 * message_headers: what the listener writes into the headers of a message that
 * it publishes again, and how headers are read.
 */
#ifndef FLEXI_TRANSPORT_MESSAGE_HEADERS_H
#define FLEXI_TRANSPORT_MESSAGE_HEADERS_H

#include <stdbool.h>

#include <amqp.h>
#include <amqp_framing.h>

#include "core/text.h"

#define MESSAGE_ATTEMPTS "x-flexi-attempts" /* attempts that failed so far */
#define MESSAGE_ALONE	 "x-flexi-alone"    /* whether it must be a batch of its own */
#define MESSAGE_KEY	 "x-flexi-key"	    /* the routing key it was first published with */
#define MESSAGE_QUEUE	 "x-flexi-queue"    /* dead letters: the queue that it came from, */
#define MESSAGE_HANDLER	 "x-flexi-handler"  /* the handler that it was for, */
#define MESSAGE_REASON	 "x-flexi-reason"   /* why it is dead, */
#define MESSAGE_TIME	 "x-flexi-time"	    /* and since when (RFC 3339) */

struct text message_text(amqp_bytes_t bytes);

/* NULL if there is no such header. */
const amqp_field_value_t *message_header(const amqp_basic_properties_t *p, const char *name);

/* "" if there is none, or it is no text. */
struct text message_header_text(const amqp_basic_properties_t *p, const char *name);

/* 0 if there is none, or what is there is no count. */
int message_header_attempts(const amqp_basic_properties_t *p);

/*
 * Whether a header goes along when its message is published again: it is none of ours, and none by
 * which RabbitMQ counts or finds further recipients.
 */
bool message_header_goes_along(amqp_bytes_t name);

#endif
