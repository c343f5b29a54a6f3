/* consumers: passive declarations, which tell of a queue and change nothing. */
#include "transport/consumers.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <sys/time.h>

#include "core/cleanup.h"
#include "core/config.h"
#include "transport/broker.h"

static enum error_code check_queue(amqp_connection_state_t connection, const char *queue,
				   int64_t deadline_ms, struct error *e)
{
	struct timeval left = broker_time_left(deadline_ms);
	amqp_set_rpc_timeout(connection, &left);
	const amqp_queue_declare_ok_t *found =
		amqp_queue_declare(connection, BROKER_CHANNEL, amqp_cstring_bytes(queue), 1, 1, 0,
				   0, amqp_empty_table);
	enum error_code code = broker_check(amqp_get_rpc_reply(connection), queue, e);
	if (!code && found->consumer_count == 0)
		code = error_set(e, ERROR_PEER_DOWN, "nobody takes from the queue %s", queue);
	return code;
}

enum error_code consumers_check(int64_t deadline_ms, struct error *e)
{
	CLEANUP(triggers_finish) struct triggers triggers = { 0 };
	CLEANUP(broker_disconnect) amqp_connection_state_t connection = NULL;
	enum error_code code = triggers_load(config()->triggers_file, &triggers, e);
	if (!code)
		code = broker_connect("health", deadline_ms, &connection, e);
	for (int i = 0; !code && i < triggers.count; i++)
		code = check_queue(connection, triggers.list[i].queue, deadline_ms, e);
	return code;
}
