/*
 * http_peer: a server of a few lines that answers as a test tells it to, on a
 * port of 127.0.0.1 or on a unix socket, and keeps what it was asked last.
 */
#ifndef FLEXI_TESTS_HTTP_PEER_H
#define FLEXI_TESTS_HTTP_PEER_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/buffer.h"

enum { HTTP_PEER_BYTES = 64 * 1024 };

struct http_peer {
	int listener, port;
	int stop[2];
	pthread_t thread;
	pthread_mutex_t lock;
	struct text answer; /* raw bytes; none: it never answers */
	size_t padding;	    /* bytes of 'x' after the answer */
	bool close_after;   /* the answer, or, without one, the request */
	int connections, closed, requests;
	struct buffer request; /* the last one, head and body */
};

/* Whether request holds a whole one. */
static inline bool http_peer_is_whole(const struct buffer *request)
{
	const char *end = request->size > 0 ? strstr(request->bytes, "\r\n\r\n") : NULL;
	const char *length = end ? strcasestr(request->bytes, "\r\ncontent-length:") : NULL;
	size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
	return end && request->size >= (size_t)(end + 4 - request->bytes) + body;
}

/* Reads one request and answers it; false when the connection is over. */
static inline bool http_peer_serve_one(struct http_peer *p, int fd)
{
	struct buffer request = { 0 };
	while (!http_peer_is_whole(&request)) {
		struct pollfd fds[] = { { .fd = fd, .events = POLLIN },
					{ .fd = p->stop[0], .events = POLLIN } };
		poll(fds, 2, -1);
		char *room = buffer_room(&request, HTTP_PEER_BYTES);
		ssize_t n = fds[1].revents ? 0 : recv(fd, room, HTTP_PEER_BYTES, 0);
		if (n <= 0) {
			buffer_finish(&request);
			return false;
		}
		buffer_grew(&request, (size_t)n);
	}
	pthread_mutex_lock(&p->lock);
	struct text answer = p->answer;
	size_t padding = p->padding;
	bool go_on = !p->close_after;
	p->requests++;
	buffer_finish(&p->request);
	p->request = request;
	pthread_mutex_unlock(&p->lock);
	send(fd, answer.s, answer.n, MSG_NOSIGNAL);
	static const char x[HTTP_PEER_BYTES] = { [0 ... HTTP_PEER_BYTES - 1] = 'x' };
	while (padding > 0) {
		ssize_t n = send(fd, x, padding < sizeof(x) ? padding : sizeof(x), MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		padding -= (size_t)n;
	}
	return go_on;
}

static inline void *http_peer_run(void *context)
{
	struct http_peer *p = context;
	for (;;) {
		struct pollfd fds[] = { { .fd = p->listener, .events = POLLIN },
					{ .fd = p->stop[0], .events = POLLIN } };
		poll(fds, 2, -1);
		if (fds[1].revents)
			return NULL;
		int fd = accept(p->listener, NULL, NULL);
		pthread_mutex_lock(&p->lock);
		p->connections++;
		pthread_mutex_unlock(&p->lock);
		while (http_peer_serve_one(p, fd))
			;
		close(fd);
		pthread_mutex_lock(&p->lock);
		p->closed++;
		pthread_mutex_unlock(&p->lock);
	}
}

/* On a unix socket at path, or, if that is NULL, on p->port. */
static inline void http_peer_start(struct http_peer *p, const char *path)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(in);
	*p = (struct http_peer){ 0 };
	p->listener = socket(path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (path)
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	int bad = path ? bind(p->listener, (struct sockaddr *)&un, sizeof(un))
		       : bind(p->listener, (struct sockaddr *)&in, sizeof(in));
	bad = bad || listen(p->listener, 16) || pipe(p->stop);
	if (!path)
		getsockname(p->listener, (struct sockaddr *)&in, &size);
	p->port = ntohs(in.sin_port);
	pthread_mutex_init(&p->lock, NULL);
	if (bad || pthread_create(&p->thread, NULL, http_peer_run, p))
		abort();
}

static inline void http_peer_answers(struct http_peer *p, const char *answer)
{
	pthread_mutex_lock(&p->lock);
	p->answer = text_of(answer);
	p->padding = 0;
	p->close_after = false;
	pthread_mutex_unlock(&p->lock);
}

/* From the next connection on it has the answer, or silence, and then closes. */
static inline void http_peer_closes(struct http_peer *p, const char *answer)
{
	http_peer_answers(p, answer);
	pthread_mutex_lock(&p->lock);
	p->close_after = true;
	pthread_mutex_unlock(&p->lock);
}

static inline void http_peer_pads(struct http_peer *p, size_t padding)
{
	pthread_mutex_lock(&p->lock);
	p->padding = padding;
	pthread_mutex_unlock(&p->lock);
}

static inline int http_peer_connections(struct http_peer *p)
{
	pthread_mutex_lock(&p->lock);
	int connections = p->connections;
	pthread_mutex_unlock(&p->lock);
	return connections;
}

/* Waits until the peer has closed every connection that there was. */
static inline void http_peer_await_closed(struct http_peer *p)
{
	for (int looks = 0; looks < 5000; looks++) {
		pthread_mutex_lock(&p->lock);
		bool closed = p->closed == p->connections;
		pthread_mutex_unlock(&p->lock);
		if (closed)
			return;
		poll(NULL, 0, 1);
	}
	fail_msg("the peer keeps a connection open");
}

static inline int http_peer_requests(struct http_peer *p)
{
	pthread_mutex_lock(&p->lock);
	int requests = p->requests;
	pthread_mutex_unlock(&p->lock);
	return requests;
}

/* The last request; only between calls. */
static inline const char *http_peer_request(struct http_peer *p)
{
	return p->request.bytes ? p->request.bytes : "";
}

static inline void http_peer_stop(struct http_peer *p)
{
	if (write(p->stop[1], "", 1) != 1)
		abort();
	pthread_join(p->thread, NULL);
	close(p->listener);
	close(p->stop[0]);
	close(p->stop[1]);
	buffer_finish(&p->request);
}

#endif
