/*
 * rpc_peer: a server of net/rpc of a few lines, in a thread. What it does with
 * a call is in the entry's name: see rpc_peer_act.
 */
#ifndef FLEXI_TESTS_RPC_PEER_H
#define FLEXI_TESTS_RPC_PEER_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/rpc.h"

enum { RPC_PEER_BYTES = 64 * 1024 };

static struct {
	int listener, port;
	int stop[2];
	pthread_t thread;
	pthread_mutex_t lock;
	int connections, calls;
	struct rpc_payload last; /* without name and data */
	char last_id[32], last_level[16];
	size_t last_name, last_data; /* their sizes */
	struct rpc_reader reader;
	struct rpc_writer writer;
} rpc_peer;

/* Sends what there is; false ends the connection. */
static inline bool rpc_peer_send(int fd, const struct buffer *out)
{
	size_t sent = 0;
	while (sent < out->size) {
		ssize_t n = send(fd, out->bytes + sent, out->size - sent, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		sent += (size_t)n;
	}
	return true;
}

static inline void rpc_peer_note(const struct rpc_payload *p)
{
	pthread_mutex_lock(&rpc_peer.lock);
	rpc_peer.calls++;
	rpc_peer.last = *p;
	rpc_peer.last_name = p->name.n;
	rpc_peer.last_data = p->data.n;
	snprintf(rpc_peer.last_id, sizeof(rpc_peer.last_id), "%.*s", (int)p->id.n, p->id.s);
	snprintf(rpc_peer.last_level, sizeof(rpc_peer.last_level), "%.*s", (int)p->level.n,
		 p->level.s);
	pthread_mutex_unlock(&rpc_peer.lock);
}

/*
 * "silent" is not answered, "broken" with bytes that are no gob, "stray" under
 * another number; "close" ends the connection instead, "bye" after the answer;
 * "error TEXT" is answered with that error; anything else is a success.
 */
static inline bool rpc_peer_act(int fd, const struct rpc_message *m, const struct rpc_payload *p)
{
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	CLEANUP(buffer_finish) struct buffer result = { 0 };
	uint64_t seq = m->seq + (text_equal(p->name, text_of("stray")) ? 1 : 0);
	buffer_append_string(&result, RPC_LOG_INFO_OK);
	buffer_append_text(&result, p->name);
	if (text_equal(p->name, text_of("silent")))
		return true;
	if (text_equal(p->name, text_of("close")))
		return false;
	if (text_equal(p->name, text_of("broken")))
		buffer_append(&out, "\x02\xff\x00", 3);
	else if (p->name.n > 6 && memcmp(p->name.s, "error ", 6) == 0)
		rpc_write_error(&rpc_peer.writer, &out, m->method, seq,
				(struct text){ p->name.s + 6, p->name.n - 6 });
	else
		rpc_write_result(&rpc_peer.writer, &out, m->method, seq, buffer_text(&result));
	return rpc_peer_send(fd, &out) && !text_equal(p->name, text_of("bye"));
}

/* Takes the calls that have come whole. */
static inline bool rpc_peer_take(int fd, struct buffer *in)
{
	for (;;) {
		struct rpc_message m;
		struct rpc_payload payload;
		size_t used;
		bool whole;
		if (rpc_read_call(&rpc_peer.reader, buffer_text(in), &used, &whole, &m, NULL))
			return false;
		if (whole && rpc_read_payload(&rpc_peer.reader, &m.body, &payload, NULL))
			return false;
		if (whole)
			rpc_peer_note(&payload);
		if (whole && !rpc_peer_act(fd, &m, &payload))
			return false;
		memmove(in->bytes, in->bytes + used, in->size - used);
		in->size -= used;
		if (!whole)
			return true;
	}
}

/* Serves one connection; false when told to stop. */
static inline bool rpc_peer_serve(int fd)
{
	CLEANUP(buffer_finish) struct buffer in = { 0 };
	rpc_peer.reader = (struct rpc_reader){ .max_bytes = 1 << 21 };
	rpc_peer.writer = (struct rpc_writer){ 0 };
	bool stop = false;
	for (bool open = true; open;) {
		struct pollfd fds[] = { { .fd = fd, .events = POLLIN },
					{ .fd = rpc_peer.stop[0], .events = POLLIN } };
		poll(fds, 2, -1);
		stop = fds[1].revents != 0;
		char *room = buffer_room(&in, RPC_PEER_BYTES);
		ssize_t n = stop ? 0 : recv(fd, room, RPC_PEER_BYTES, 0);
		if (n > 0)
			buffer_grew(&in, (size_t)n);
		open = n > 0 && rpc_peer_take(fd, &in);
	}
	rpc_reader_finish(&rpc_peer.reader);
	close(fd);
	return !stop;
}

static inline void *rpc_peer_run(void *unused)
{
	(void)unused;
	bool go_on = true;
	while (go_on) {
		struct pollfd fds[] = { { .fd = rpc_peer.listener, .events = POLLIN },
					{ .fd = rpc_peer.stop[0], .events = POLLIN } };
		poll(fds, 2, -1);
		if (fds[1].revents)
			return NULL;
		int fd = accept(rpc_peer.listener, NULL, NULL);
		pthread_mutex_lock(&rpc_peer.lock);
		rpc_peer.connections++;
		pthread_mutex_unlock(&rpc_peer.lock);
		go_on = rpc_peer_serve(fd);
	}
	return NULL;
}

static inline void rpc_peer_start(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	pthread_mutex_init(&rpc_peer.lock, NULL);
	rpc_peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(rpc_peer.listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(rpc_peer.listener, 8), 0);
	getsockname(rpc_peer.listener, (struct sockaddr *)&at, &size);
	rpc_peer.port = ntohs(at.sin_port);
	assert_int_equal(pipe(rpc_peer.stop), 0);
	assert_int_equal(pthread_create(&rpc_peer.thread, NULL, rpc_peer_run, NULL), 0);
}

static inline void rpc_peer_stop(void)
{
	assert_int_equal(write(rpc_peer.stop[1], "", 1), 1);
	pthread_join(rpc_peer.thread, NULL);
	close(rpc_peer.listener);
	close(rpc_peer.stop[0]);
	close(rpc_peer.stop[1]);
}

static inline int rpc_peer_count(const int *counter)
{
	pthread_mutex_lock(&rpc_peer.lock);
	int count = *counter;
	pthread_mutex_unlock(&rpc_peer.lock);
	return count;
}

#endif
