/*
 * smtp_sink: an SMTP server that records every byte and misbehaves on demand.
 *
 * It listens on a free port of 127.0.0.1 in a thread of its own and serves one
 * connection after the other. Between sink_start and sink_stop a test says
 * what is to go wrong with sink_expect, and reads what came with the functions
 * below, which lock.
 */
#ifndef FLEXI_TEST_SMTP_SINK_H
#define FLEXI_TEST_SMTP_SINK_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/buffer.h"

/* Instead of a reply: say nothing until the client leaves, or close. */
#define SINK_STALL "stall"
#define SINK_DROP  "drop"

/* What goes wrong, and where. Zeroed: nothing. */
struct sink_fault {
	const char *at; /* "connect", "LOGIN", "." for a message's end, or how a command begins */
	const char *reply;    /* lines with CRLF, SINK_STALL or SINK_DROP */
	bool once;	      /* and only the first time */
	const char *offers;   /* lines of the EHLO reply: "250-AUTH PLAIN\r\n" */
	bool drop_after;      /* close after each message */
	bool drop_in_message; /* close when a message has begun to come */
	bool mute_quit;	      /* leave QUIT unanswered and the connection open */
};

struct sink {
	int listener;
	int stop[2];
	int port;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	bool busy; /* with a connection */
	struct sink_fault fault;
	struct buffer bytes; /* all that ever came */
	int connections;
	int messages;
	/* Of the connection at hand. */
	int client;
	bool in_message;
	char line[4096];
	size_t size;
};

/* Sends the reply to what, or the fault. Returns whether the connection goes on. */
static bool sink_answer(struct sink *s, const char *what, const char *usual)
{
	pthread_mutex_lock(&s->lock);
	const char *reply = usual;
	if (s->fault.at && strncmp(s->fault.at, what, strlen(s->fault.at)) == 0) {
		reply = s->fault.reply;
		s->fault.at = s->fault.once ? NULL : s->fault.at;
	}
	pthread_mutex_unlock(&s->lock);
	if (strcmp(reply, SINK_DROP) == 0)
		return false;
	if (strcmp(reply, SINK_STALL) == 0)
		return true;
	return send(s->client, reply, strlen(reply), MSG_NOSIGNAL) == (ssize_t)strlen(reply);
}

static bool sink_end_message(struct sink *s)
{
	s->in_message = false;
	pthread_mutex_lock(&s->lock);
	s->messages++;
	bool drop = s->fault.drop_after;
	pthread_mutex_unlock(&s->lock);
	return sink_answer(s, ".", "250 2.0.0 taken\r\n") && !drop;
}

static bool sink_line(struct sink *s, const char *line)
{
	static const char *const verbs[] = { "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT" };
	char greeting[512];
	if (s->in_message)
		return strcmp(line, ".") == 0 ? sink_end_message(s) : !s->fault.drop_in_message;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strncmp(line, verbs[i], 4) != 0)
			continue;
		const char *reply = "250 2.1.0 fine\r\n";
		if (i == 0) {
			snprintf(greeting, sizeof(greeting), "250-sink.example\r\n%s250 HELP\r\n",
				 s->fault.offers ? s->fault.offers : "");
			reply = greeting;
		} else if (i == 1) {
			reply = "334 \r\n";
		} else if (i == 4) {
			reply = "354 go on\r\n";
			s->in_message = true;
		} else if (i == 5) {
			return s->fault.mute_quit;
		}
		return sink_answer(s, line, reply);
	}
	/* What is no command answers the challenge of AUTH. */
	return sink_answer(s, "LOGIN", "235 2.7.0 welcome\r\n");
}

/* Takes in what came, line by line. */
static bool sink_take(struct sink *s, const char *bytes, size_t n)
{
	pthread_mutex_lock(&s->lock);
	buffer_append(&s->bytes, bytes, n);
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < n; i++) {
		if (s->size < sizeof(s->line) - 1)
			s->line[s->size++] = bytes[i];
		if (s->size < 2 || memcmp(s->line + s->size - 2, "\r\n", 2) != 0)
			continue;
		s->line[s->size - 2] = '\0';
		s->size = 0;
		if (!sink_line(s, s->line))
			return false;
	}
	return true;
}

/* Waits for fd or for the end of the test. Returns whether it was fd. */
static bool sink_wait(struct sink *s, int fd)
{
	struct pollfd fds[] = { { s->stop[0], POLLIN, 0 }, { fd, POLLIN, 0 } };
	while (poll(fds, 2, -1) < 0)
		;
	return !fds[0].revents;
}

static void sink_serve(struct sink *s)
{
	char bytes[4096];
	s->in_message = false;
	s->size = 0;
	bool on = sink_answer(s, "connect", "220 sink.example ESMTP\r\n");
	while (on && sink_wait(s, s->client)) {
		ssize_t n = recv(s->client, bytes, sizeof(bytes), 0);
		on = n > 0 && sink_take(s, bytes, (size_t)n);
	}
}

static void *sink_run(void *data)
{
	struct sink *s = data;
	while (sink_wait(s, s->listener)) {
		pthread_mutex_lock(&s->lock);
		s->client = accept(s->listener, NULL, NULL);
		s->busy = true;
		s->connections++;
		pthread_mutex_unlock(&s->lock);
		sink_serve(s);
		close(s->client);
		pthread_mutex_lock(&s->lock);
		s->busy = false;
		pthread_cond_signal(&s->idle);
		pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

static struct sink *sink_start(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	struct sink *s = calloc(1, sizeof(*s));
	if (!s || pipe(s->stop) || pthread_mutex_init(&s->lock, NULL) ||
	    pthread_cond_init(&s->idle, NULL))
		abort();
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(s->listener, (struct sockaddr *)&address, size) || listen(s->listener, 8) ||
	    getsockname(s->listener, (struct sockaddr *)&address, &size) ||
	    pthread_create(&s->thread, NULL, sink_run, s))
		abort();
	s->port = ntohs(address.sin_port);
	return s;
}

static void sink_stop(struct sink *s)
{
	close(s->stop[1]);
	pthread_join(s->thread, NULL);
	close(s->stop[0]);
	close(s->listener);
	pthread_cond_destroy(&s->idle);
	pthread_mutex_destroy(&s->lock);
	buffer_finish(&s->bytes);
	free(s);
}

/* Says what goes wrong from now on, and forgets what came. */
static void sink_expect(struct sink *s, struct sink_fault fault)
{
	pthread_mutex_lock(&s->lock);
	s->fault = fault;
	buffer_clear(&s->bytes);
	s->connections = 0;
	s->messages = 0;
	pthread_mutex_unlock(&s->lock);
}

/* Waits until the connections that clients have closed are done with, at most ten seconds. */
static inline void sink_rest(struct sink *s)
{
	struct pollfd waiting = { s->listener, POLLIN, 0 };
	pthread_mutex_lock(&s->lock);
	for (int waits = 0; s->busy || poll(&waiting, 1, 0) > 0; waits++) {
		struct timespec soon;
		if (waits == 10)
			abort();
		clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_sec++;
		pthread_cond_timedwait(&s->idle, &s->lock, &soon);
	}
	pthread_mutex_unlock(&s->lock);
}

static int sink_count(struct sink *s, const int *counter)
{
	pthread_mutex_lock(&s->lock);
	int n = *counter;
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* Whether the bytes stand in what came. */
static bool sink_saw(struct sink *s, const char *bytes)
{
	pthread_mutex_lock(&s->lock);
	bool saw = s->bytes.size > 0 && memmem(s->bytes.bytes, s->bytes.size, bytes, strlen(bytes));
	pthread_mutex_unlock(&s->lock);
	return saw;
}

#endif
