/*
 * letter: a message as it is published again, to a retry queue or as a dead letter.
 *
 * It keeps the properties and headers that its publisher gave it, less what
 * would act anew (an expiry, further recipients, a user) and what RabbitMQ
 * counts by (x-death), and gets those of message.h.
 */
#ifndef FLEXI_LISTENER_LETTER_H
#define FLEXI_LISTENER_LETTER_H

#include "core/clock.h"
#include "core/error.h"
#include "message.h"
#include "transport/broker.h"
#include "transport/confirm.h"

struct letter {
	TAILQ_ENTRY(letter) next;
	struct message *message; /* borrowed */
	char queue[BROKER_QUEUE_NAME_BYTES];
	int64_t deadline_ms; /* of its confirm */
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

/* Publishes it: see confirms_publish, which gets the letter as `what`. */
enum error_code letter_publish(struct letter *l, struct confirms *confirms, struct error *e);

#endif
