/*
 * dead_letters: looking through QUEUE.dead, and taking messages out of it, for a person who has
 * mended what kept them from being handled.
 *
 * A letter that goes back into its queue is confirmed there before it leaves the dead ones: when this
 * dies in between it is in both, which its id makes harmless wherever the id counts.
 */
#ifndef FLEXI_TRANSPORT_DEAD_LETTERS_H
#define FLEXI_TRANSPORT_DEAD_LETTERS_H

#include <stdint.h>

#include "core/error.h"
#include "core/text.h"

/* A dead letter; what its texts point to lives as long as the call that shows it. */
struct dead_letter {
	struct text id;	     /* "" if its publisher gave none, and RabbitMQ itself put it aside */
	struct text reason;  /* "delivery_limit" if RabbitMQ did */
	struct text time;    /* RFC 3339; "" if RabbitMQ did */
	struct text handler; /* likewise */
	struct text key;     /* the routing key it was first published with */
	struct text body;
	int attempts;
};

enum dead_letter_fate {
	DEAD_LETTER_STAYS,
	DEAD_LETTER_GOES_BACK, /* into its queue, as if nothing had been tried yet */
	DEAD_LETTER_IS_DROPPED,
};

/* Says what becomes of a letter. Called before that is done. */
typedef enum dead_letter_fate dead_letter_seen(void *context, const struct dead_letter *letter);

/*
 * Shows each letter of QUEUE.dead that is there at the start, once. On error some may have been seen:
 * those before the last have had what was said; the last may have. ERROR_NOT_FOUND if there is no such
 * queue, and the errors of broker and confirm.
 */
enum error_code dead_letters_each(const char *queue, dead_letter_seen *seen, void *context,
				  struct error *e);

struct dead_letter_counts {
	uint32_t waiting; /* in QUEUE, not yet given to the listener */
	uint32_t dead;
};

/* How many there are now, for each of count queues; ERROR_NOT_FOUND if one is not there. */
enum error_code dead_letters_count(const char *const *queues, size_t count,
				   struct dead_letter_counts *counts, struct error *e);

#endif
