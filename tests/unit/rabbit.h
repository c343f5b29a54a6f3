/*
 * rabbit: a real RabbitMQ for tests, TEST_RABBITMQ_URL, with a proxy on the way
 * to it that can break things, and a queue of the test's own.
 */
#ifndef FLEXI_TESTS_RABBIT_H
#define FLEXI_TESTS_RABBIT_H

#include <unistd.h>

#include <amqp.h>
#include <amqp_framing.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/error.h"
#include "core/log.h"
#include "proxy.h"
#include "transport/broker.h"

enum { ENOUGH_MS = 10000, CONFIRM_TIMEOUT_MS = 500, SLACK_MS = 1500 };

static struct proxy proxy;
static const char *url; /* the real one; NULL: nothing to test against */
static char triggers_path[] = "/tmp/rabbit-test-XXXXXX";
static char queue[MAX_QUEUE_NAME_BYTES + 1]; /* a queue of this test's own, and the key to it */

/* The test's own eyes: a connection that goes straight to RabbitMQ. */
static amqp_connection_state_t direct;

static inline int64_t soon(void)
{
	return clock_now_ms() + ENOUGH_MS;
}

#define NEEDS_RABBITMQ                                                                             \
	do {                                                                                       \
		(void)state;                                                                       \
		if (!url) {                                                                        \
			print_message("TEST_RABBITMQ_URL is not set\n");                           \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

/* Takes the next message of queue name; its id must be this. The caller destroys it. */
static inline void rabbit_take(const char *name, const char *id, amqp_message_t *message)
{
	int64_t deadline = soon();
	amqp_rpc_reply_t reply;
	do {
		amqp_maybe_release_buffers(direct);
		reply = amqp_basic_get(direct, BROKER_CHANNEL, amqp_cstring_bytes(name), 1);
		assert_int_equal(reply.reply_type, AMQP_RESPONSE_NORMAL);
	} while (reply.reply.id != AMQP_BASIC_GET_OK_METHOD && clock_left_ms(deadline) > 0);
	assert_int_equal(reply.reply.id, AMQP_BASIC_GET_OK_METHOD);
	reply = amqp_read_message(direct, BROKER_CHANNEL, message, 0);
	assert_int_equal(reply.reply_type, AMQP_RESPONSE_NORMAL);
	struct text is = { message->properties.message_id.bytes,
			   message->properties.message_id.len };
	assert_text_equal(is, id);
}

static inline void rabbit_taken(const char *id)
{
	amqp_message_t message;
	rabbit_take(queue, id, &message);
	amqp_destroy_message(&message);
}

static inline void rabbit_is_empty(void)
{
	amqp_maybe_release_buffers(direct);
	amqp_rpc_reply_t reply =
		amqp_basic_get(direct, BROKER_CHANNEL, amqp_cstring_bytes(queue), 1);
	assert_int_equal(reply.reply.id, AMQP_BASIC_GET_EMPTY_METHOD);
}

static inline void rabbit_declare(const char *name, amqp_table_t arguments)
{
	amqp_queue_declare(direct, BROKER_CHANNEL, amqp_cstring_bytes(name), 0, 1, 0, 0, arguments);
	assert_int_equal(amqp_get_rpc_reply(direct).reply_type, AMQP_RESPONSE_NORMAL);
}

static inline void rabbit_delete(const char *name)
{
	amqp_queue_delete(direct, BROKER_CHANNEL, amqp_cstring_bytes(name), 0, 0);
	assert_int_equal(amqp_get_rpc_reply(direct).reply_type, AMQP_RESPONSE_NORMAL);
	amqp_maybe_release_buffers(direct);
}

static inline void rabbit_delete_ours(void)
{
	char name[BROKER_QUEUE_NAME_BYTES];
	rabbit_delete(queue);
	broker_dead_queue(queue, name);
	rabbit_delete(name);
	broker_retry_queue(queue, 1000, name);
	rabbit_delete(name);
}

/* Each test begins with a whole network and an empty queue. */
static inline int rabbit_reset(void **state)
{
	(void)state;
	if (!url)
		return 0;
	log_set_context("", "");
	proxy_set(&proxy, PROXY_PASS);
	amqp_queue_purge(direct, BROKER_CHANNEL, amqp_cstring_bytes(queue));
	return amqp_get_rpc_reply(direct).reply_type == AMQP_RESPONSE_NORMAL ? 0 : -1;
}

static inline void rabbit_write_triggers(void)
{
	FILE *f = fdopen(mkstemp(triggers_path), "w");
	snprintf(queue, sizeof(queue), "test-%d", (int)getpid());
	fprintf(f, "[%s]\nkeys = %s\nhandler = none\nbackoff = 1s\n", queue, queue);
	fclose(f);
}

/* amqp://USER:PASSWORD@HOST:PORT/VHOST, with the proxy in the place of HOST:PORT. */
static inline void rabbit_point_at_proxy(void)
{
	char through[512], number[16];
	const char *host = strrchr(url, '@') ? strrchr(url, '@') + 1 : url + strlen("amqp://");
	const char *port = strchr(host, ':');
	const char *end = host + strcspn(host, "/");
	proxy_start(&proxy, port && port < end ? (int)strtol(port + 1, NULL, 10) : 5672);
	snprintf(through, sizeof(through), "%.*s127.0.0.1:%d%s", (int)(host - url), url, proxy.port,
		 end);
	snprintf(number, sizeof(number), "%d", CONFIRM_TIMEOUT_MS);
	setenv("RABBITMQ_URL", through, 1);
	setenv("CONFIRM_TIMEOUT_MS", number, 1);
	setenv("TRIGGERS_FILE", triggers_path, 1);
}

static inline int rabbit_start(void **state)
{
	(void)state;
	struct error e = { 0 };
	url = getenv("TEST_RABBITMQ_URL");
	url = url && *url ? url : NULL;
	log_init("test", LOG_LEVEL_ERROR);
	if (!url)
		return 0;
	rabbit_write_triggers();
	setenv("RABBITMQ_URL", url, 1);
	if (config_load(&e) || broker_connect("eyes", soon(), &direct, &e)) {
		print_error("%s\n", e.text);
		return -1;
	}
	struct triggers triggers;
	struct timeval timeout = { .tv_sec = ENOUGH_MS / 1000 };
	amqp_set_rpc_timeout(direct, &timeout);
	if (triggers_load(triggers_path, &triggers, &e) || broker_declare(direct, &triggers, &e)) {
		print_error("%s\n", e.text);
		return -1;
	}
	triggers_finish(&triggers);
	rabbit_point_at_proxy();
	return config_load(&e) ? -1 : 0;
}

static inline int rabbit_stop(void **state)
{
	(void)state;
	if (!url)
		return 0;
	rabbit_delete_ours();
	broker_disconnect(&direct);
	proxy_stop(&proxy);
	unlink(triggers_path);
	return 0;
}

#endif
