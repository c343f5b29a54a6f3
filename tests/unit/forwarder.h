/*
 * forwarder: stands between a client and a server, in a process of its own, so that a test can take
 * the server away: frozen, killed, and back at the same port, with the real one left alone.
 */
#ifndef FLEXI_TESTS_FORWARDER_H
#define FLEXI_TESTS_FORWARDER_H

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORWARDER_CONNECTIONS = 16, FORWARDER_BYTES = 65536 };

struct forwarder {
	int port; /* on 127.0.0.1 */
	pid_t pid;
	struct sockaddr_storage server;
	socklen_t server_size;
};

static inline struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* Listens on 127.0.0.1:*port, or on a free port, then named by *port, if that is 0. */
static inline int listen_at(int *port)
{
	struct sockaddr_in address = loopback(*port);
	socklen_t size = sizeof(address);
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 16), 0);
	getsockname(fd, (struct sockaddr *)&address, &size);
	*port = ntohs(address.sin_port);
	return fd;
}

/*
 * Where host and port lead to: an address, the directory of PostgreSQL's unix socket, or, with an
 * empty port, the path of a unix socket.
 */
static inline void forwarder_server(struct forwarder *f, const char *host, const char *port)
{
	memset(&f->server, 0, sizeof(f->server));
	if (*host == '/') {
		struct sockaddr_un *address = (struct sockaddr_un *)&f->server;
		address->sun_family = AF_UNIX;
		int n = snprintf(address->sun_path, sizeof(address->sun_path), "%s%s%s", host,
				 *port ? "/.s.PGSQL." : "", port);
		assert_in_range(n, 1, sizeof(address->sun_path) - 1);
		f->server_size = sizeof(*address);
	} else {
		struct sockaddr_in *address = (struct sockaddr_in *)&f->server;
		*address = loopback(atoi(port));
		if (strcmp(host, "localhost") != 0)
			inet_pton(AF_INET, host, &address->sin_addr);
		f->server_size = sizeof(*address);
	}
}

/* Copies what has come from a to b; false when either has ended. */
static inline bool forward_some(int a, int b)
{
	static char bytes[FORWARDER_BYTES];
	ssize_t n = read(a, bytes, sizeof(bytes));
	for (ssize_t sent = 0; sent < n;) {
		ssize_t more = write(b, bytes + sent, (size_t)(n - sent));
		if (more <= 0)
			return false;
		sent += more;
	}
	return n > 0;
}

static inline void forwarder_accept(const struct forwarder *f, int listener, struct pollfd *p)
{
	int client = accept(listener, NULL, NULL);
	int server = socket(f->server.ss_family, SOCK_STREAM, 0);
	for (int i = 1; i < 2 * FORWARDER_CONNECTIONS; i += 2) {
		if (p[i].fd >= 0)
			continue;
		if (connect(server, (const struct sockaddr *)&f->server, f->server_size) != 0)
			break;
		p[i].fd = client;
		p[i + 1].fd = server;
		return;
	}
	close(client);
	close(server);
}

static inline void forwarder_loop(const struct forwarder *f, int listener)
{
	struct pollfd p[1 + 2 * FORWARDER_CONNECTIONS];
	for (size_t i = 0; i < sizeof(p) / sizeof(p[0]); i++)
		p[i] = (struct pollfd){ .fd = i ? -1 : listener, .events = POLLIN };
	for (;;) {
		poll(p, sizeof(p) / sizeof(p[0]), -1);
		for (int i = 1; i < 2 * FORWARDER_CONNECTIONS; i += 2) {
			bool open = (!p[i].revents || forward_some(p[i].fd, p[i + 1].fd)) &&
				    (!p[i + 1].revents || forward_some(p[i + 1].fd, p[i].fd));
			if (p[i].fd < 0 || open)
				continue;
			close(p[i].fd);
			close(p[i + 1].fd);
			p[i].fd = p[i + 1].fd = -1;
		}
		if (p[0].revents)
			forwarder_accept(f, listener, p);
	}
}

/* Starts it at f->port, or at a free one if that is 0. */
static inline void forwarder_start(struct forwarder *f)
{
	int listener = listen_at(&f->port);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		alarm(120); /* a test that dies leaves nobody behind */
		forwarder_loop(f, listener);
	}
	close(listener);
}

static inline void forwarder_freeze(const struct forwarder *f)
{
	int status;
	assert_int_equal(kill(f->pid, SIGSTOP), 0);
	assert_int_equal(waitpid(f->pid, &status, WUNTRACED), f->pid);
}

static inline void forwarder_thaw(const struct forwarder *f)
{
	assert_int_equal(kill(f->pid, SIGCONT), 0);
}

/* Connections end, and new ones are refused. */
static inline void forwarder_kill(struct forwarder *f)
{
	assert_int_equal(kill(f->pid, SIGKILL), 0);
	assert_int_equal(waitpid(f->pid, NULL, 0), f->pid);
	f->pid = 0;
}

#endif
