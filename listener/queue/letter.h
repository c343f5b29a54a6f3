/*
 * letter: a message as it is published again, to a retry queue or as a dead letter.
 *
 * It keeps the properties and headers that its publisher gave it, less what
 * would act anew (an expiry, further recipients, a user) and what RabbitMQ
 * counts by (x-death), and gets those of message.h.
 */
#ifndef FLEXI_LISTENER_LETTER_H
#define FLEXI_LISTENER_LETTER_H

#include <amqp.h>

#include "core/clock.h"
#include "core/error.h"
#include "message.h"
#include "transport/broker.h"

enum letter_step { LETTER_METHOD, LETTER_HEADER, LETTER_BODY };

struct letter {
	TAILQ_ENTRY(letter) next;
	struct message *message; /* borrowed */
	char queue[BROKER_QUEUE_NAME_BYTES];
	uint64_t sequence;
	int64_t deadline_ms; /* of its confirm */
	bool returned;
	bool dead;
	char from_queue[MAX_QUEUE_NAME_BYTES + 1];
	char handler[MAX_HANDLER_NAME_BYTES + 1];
	char time[CLOCK_TEXT_BYTES];
	char reason[ERROR_TEXT_BYTES];
};

TAILQ_HEAD(letter_list, letter);

/* The caller frees it; NULL when memory is short. */
struct letter *letter_new_retry(struct message *m, const char *queue);
struct letter *letter_new_dead(struct message *m, const char *from_queue, const char *handler,
			       struct text reason);

/* The three parts, to be sent in this order; *sent counts the body's bytes. Statuses of rabbitmq-c.
 */
int letter_send_method(const struct letter *l, amqp_connection_state_t connection);
int letter_send_header(const struct letter *l, amqp_connection_state_t connection);
int letter_send_body(const struct letter *l, amqp_connection_state_t connection, size_t *sent);

/* Whether these properties, of a message that came back, are the letter's. */
bool letter_is(const struct letter *l, const amqp_basic_properties_t *properties);

#endif
