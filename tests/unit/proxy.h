/*
 * proxy: stands between a test and a peer on 127.0.0.1, and does to their
 * connections what networks and dying peers do.
 */
#ifndef FLEXI_TESTS_PROXY_H
#define FLEXI_TESTS_PROXY_H

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROXY_PAIRS = 16, PROXY_BYTES = 64 * 1024 };

enum proxy_mode {
	PROXY_PASS,
	PROXY_FREEZE,	  /* takes nothing, passes nothing on */
	PROXY_MUTE,	  /* what the peer answers is swallowed */
	PROXY_CUT_ANSWER, /* at the next answer the connection is cut instead; then as PASS */
	PROXY_REFUSE,	  /* new connections are closed at once */
};

struct proxy {
	int listener, port, target_port;
	int wake[2]; /* a byte: look at mode, cut and inject again */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t done;
	enum proxy_mode mode;
	bool cut, stop;
	const char *inject; /* bytes for the clients, as if from the peer */
	size_t inject_size;
	int accepted;		   /* connections so far */
	int pairs[PROXY_PAIRS][2]; /* client and peer; -1: free */
};

static inline int proxy_socket(int port, bool to)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)port),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int bad = to ? connect(fd, (struct sockaddr *)&address, sizeof(address))
		     : bind(fd, (struct sockaddr *)&address, sizeof(address));
	if (bad) {
		close(fd);
		return -1;
	}
	if (!to)
		listen(fd, 16);
	return fd;
}

static inline void proxy_close_pair(struct proxy *p, int i)
{
	close(p->pairs[i][0]);
	close(p->pairs[i][1]);
	p->pairs[i][0] = p->pairs[i][1] = -1;
}

static inline void proxy_accept(struct proxy *p)
{
	int client = accept(p->listener, NULL, NULL);
	int peer = p->mode == PROXY_REFUSE ? -1 : proxy_socket(p->target_port, true);
	for (int i = 0; peer >= 0 && client >= 0 && i < PROXY_PAIRS; i++) {
		if (p->pairs[i][0] >= 0)
			continue;
		p->pairs[i][0] = client;
		p->pairs[i][1] = peer;
		p->accepted++;
		return;
	}
	close(client);
	close(peer);
}

static inline void proxy_pass(struct proxy *p, int i, int side)
{
	char bytes[PROXY_BYTES];
	ssize_t n = recv(p->pairs[i][side], bytes, sizeof(bytes), 0);
	bool answer = side == 1;
	bool cut = answer && p->mode == PROXY_CUT_ANSWER;
	if (cut)
		p->mode = PROXY_PASS;
	if (n <= 0 || cut)
		proxy_close_pair(p, i);
	else if (!answer || p->mode != PROXY_MUTE)
		send(p->pairs[i][!side], bytes, (size_t)n, MSG_NOSIGNAL);
}

/* Sends, and waits until the client's side has it: a test that goes on may rely on that. */
static inline void proxy_send_injected(struct proxy *p, int client)
{
	int waiting = 1;
	send(client, p->inject, p->inject_size, MSG_NOSIGNAL);
	for (int ms = 0; ms < 2000 && waiting > 0; ms++) {
		if (ioctl(client, SIOCOUTQ, &waiting))
			waiting = 0;
		else if (waiting > 0)
			poll(NULL, 0, 1);
	}
}

static inline void proxy_do_as_told(struct proxy *p)
{
	char byte;
	if (read(p->wake[0], &byte, 1) != 1)
		return;
	for (int i = 0; i < PROXY_PAIRS; i++) {
		if (p->pairs[i][0] < 0)
			continue;
		if (p->inject)
			proxy_send_injected(p, p->pairs[i][0]);
		if (p->cut)
			proxy_close_pair(p, i);
	}
	p->inject = NULL;
	p->cut = false;
	pthread_cond_signal(&p->done);
}

static inline void *proxy_run(void *context)
{
	struct proxy *p = context;
	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		struct pollfd fds[2 + 2 * PROXY_PAIRS] = { { .fd = p->wake[0], .events = POLLIN },
							   { .fd = p->listener,
							     .events = POLLIN } };
		for (int i = 0; i < 2 * PROXY_PAIRS; i++) {
			int fd = p->mode == PROXY_FREEZE ? -1 : p->pairs[i / 2][i % 2];
			fds[2 + i] = (struct pollfd){ .fd = fd, .events = POLLIN };
		}
		pthread_mutex_unlock(&p->lock);
		poll(fds, 2 + 2 * PROXY_PAIRS, -1);
		pthread_mutex_lock(&p->lock);
		if (fds[0].revents)
			proxy_do_as_told(p);
		if (fds[1].revents)
			proxy_accept(p);
		for (int i = 0; i < 2 * PROXY_PAIRS; i++) {
			if (fds[2 + i].revents && p->pairs[i / 2][i % 2] == fds[2 + i].fd &&
			    p->mode != PROXY_FREEZE)
				proxy_pass(p, i / 2, i % 2);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static inline void proxy_start(struct proxy *p, int target_port)
{
	struct sockaddr_in address = { 0 };
	socklen_t size = sizeof(address);
	*p = (struct proxy){ .target_port = target_port };
	memset(p->pairs, -1, sizeof(p->pairs));
	p->listener = proxy_socket(0, false);
	getsockname(p->listener, (struct sockaddr *)&address, &size);
	p->port = ntohs(address.sin_port);
	if (pipe(p->wake) || pthread_mutex_init(&p->lock, NULL) ||
	    pthread_cond_init(&p->done, NULL))
		abort();
	if (pthread_create(&p->thread, NULL, proxy_run, p))
		abort();
}

/* Has the thread look at what was changed, and waits until it has. Takes the lock over. */
static inline void proxy_tell(struct proxy *p)
{
	if (write(p->wake[1], "", 1) != 1)
		abort();
	pthread_cond_wait(&p->done, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

static inline void proxy_set(struct proxy *p, enum proxy_mode mode)
{
	pthread_mutex_lock(&p->lock);
	p->mode = mode;
	proxy_tell(p);
}

static inline void proxy_cut(struct proxy *p)
{
	pthread_mutex_lock(&p->lock);
	p->cut = true;
	proxy_tell(p);
}

static inline void proxy_inject(struct proxy *p, const char *bytes, size_t size)
{
	pthread_mutex_lock(&p->lock);
	p->inject = bytes;
	p->inject_size = size;
	proxy_tell(p);
}

static inline int proxy_accepted(struct proxy *p)
{
	pthread_mutex_lock(&p->lock);
	int accepted = p->accepted;
	pthread_mutex_unlock(&p->lock);
	return accepted;
}

static inline void proxy_stop(struct proxy *p)
{
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	p->cut = true;
	proxy_tell(p);
	pthread_join(p->thread, NULL);
	close(p->listener);
	close(p->wake[0]);
	close(p->wake[1]);
}

#endif
