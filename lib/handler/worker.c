/*
 * worker: the gated FastCGI loop.
 *
 * libfcgi's own handling of SIGTERM can lose the request that arrives with it.
 * So SIGTERM is blocked for good, and read from a descriptor between requests,
 * together with what says that there is a connection to accept: a worker that
 * is never idle sees it too. Every worker of a handler waits on the same socket;
 * EPOLLEXCLUSIVE wakes one of them for a connection, not all.
 */
#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/limits.h"
#include "core/log.h"
#include "handler/exchange.h"

enum {
	LISTENING_FD = 0,
	MAX_TICKS = 4,
	WAIT_EVENTS = 2, /* a connection, and the end */
	ACCEPT_PAUSE_MS = 100,
};

static void (*ticks[MAX_TICKS])(void);
static size_t tick_count;
static int64_t last_tick_ms;

static FCGX_Request connection;
static volatile sig_atomic_t reading;

/*
 * A signal ends only the one read or write that it meets, and who keeps sending
 * may never be met in one. A connection that is shut down ends all of them. Who
 * sent too slowly may still read that.
 */
static void on_alarm(int signal_number)
{
	(void)signal_number;
	int saved = errno;
	if (connection.ipcFd >= 0)
		shutdown(connection.ipcFd, reading ? SHUT_RD : SHUT_RDWR);
	reading = 0;
	errno = saved;
}

static void ignore_signal(int signal_number)
{
	(void)signal_number;
}

void handler_on_idle(void (*tick)(void))
{
	for (size_t i = 0; i < tick_count; i++) {
		if (ticks[i] == tick)
			return;
	}
	if (tick_count < MAX_TICKS)
		ticks[tick_count++] = tick;
}

static void run_ticks(void)
{
	int64_t now = clock_now_ms();
	if (tick_count == 0 || now - last_tick_ms < WORKER_IDLE_TICK_MS)
		return;
	last_tick_ms = now;
	for (size_t i = 0; i < tick_count; i++)
		ticks[i]();
}

/*
 * libfcgi reads and writes without a limit of time. The alarm repeats, because
 * the first can come just before there is a connection that it should end.
 */
static void set_alarm(long ms)
{
	struct itimerval timer = {
		.it_value = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 },
		.it_interval = { .tv_sec = ms ? 1 : 0 },
	};
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void limit_reading(void)
{
	reading = 1;
	set_alarm(WORKER_IO_TIMEOUT_MS);
}

static void limit_writing(void)
{
	reading = 0;
	set_alarm(WORKER_IO_TIMEOUT_MS);
}

/*
 * Sets handlers before libfcgi does: it leaves alone what is not the default.
 * Returns the descriptor that tells when to stop, or -1.
 */
static int prepare_signals(void)
{
	struct sigaction stop = { .sa_handler = ignore_signal };
	struct sigaction alarm = { .sa_handler = on_alarm };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGALRM, &alarm, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGUSR1, &ignore, NULL);
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	return signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* One announced FastCGI parameter makes libfcgi ask for up to 2 GiB. */
static void limit_memory(void)
{
#ifndef __SANITIZE_ADDRESS__
	rlim_t most = (rlim_t)MAX_WORKER_ADDRESS_SPACE_MIB << 20;
	setrlimit(RLIMIT_AS, &(struct rlimit){ most, most });
#endif
}

static ssize_t read_stream(void *source, char *bytes, size_t n)
{
	FCGX_Stream *in = source;
	int got = FCGX_GetStr(bytes, (int)n, in);
	/* A body that was cut off looks like its end; only the error tells. */
	return got > 0 ? got : FCGX_GetError(in) ? -1 : 0;
}

static void serve(const struct handler *handler)
{
	struct request rq;
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	exchange_begin(&rq, handler, connection.envp);
	exchange_read_body(&rq, read_stream, connection.in);
	set_alarm(0);
	bool sent = exchange_answer(&rq, &out);
	limit_writing();
	if (sent)
		FCGX_PutStr(out.bytes, (int)out.size, connection.out);
	/* The last stream that closes ends the request, in the same write as its last bytes. */
	FCGX_FClose(connection.err);
	FCGX_FClose(connection.out);
	sent = sent && FCGX_GetError(connection.out) == 0;
	exchange_log(&rq, exchange_status(), out.size, sent);
	exchange_finish(&rq);
	/* A kept connection would hold this worker for one client. */
	connection.keepConnection = 0;
	FCGX_Finish_r(&connection);
	set_alarm(0);
}

enum event { EVENT_FAILED, EVENT_NONE, EVENT_CONNECTION, EVENT_STOP };

/* Waits until there may be a connection, or it is time to stop or to look after what is idle. */
static enum event wait_for_event(int epoll)
{
	struct epoll_event events[WAIT_EVENTS];
	int n = epoll_wait(epoll, events, WAIT_EVENTS, tick_count ? WORKER_IDLE_TICK_MS : -1);
	if (n < 0 && errno != EINTR)
		return EVENT_FAILED;
	for (int i = 0; i < n; i++) {
		if (events[i].data.fd != LISTENING_FD)
			return EVENT_STOP;
	}
	return n > 0 ? EVENT_CONNECTION : EVENT_NONE;
}

static void serve_one(const struct handler *handler)
{
	limit_reading();
	int accepted = FCGX_Accept_r(&connection);
	if (accepted == 0) {
		serve(handler);
		return;
	}
	set_alarm(0);
	/* Another worker was faster, or the client left: nothing of ours is lost. */
	if (accepted == -EAGAIN || accepted == -EINTR || accepted == -ECONNABORTED)
		return;
	log_warning("cannot accept a connection", LOG_ERRNO(-accepted));
	poll(NULL, 0, ACCEPT_PAUSE_MS); /* out of descriptors, say: it is still there at once */
}

static int loop(const struct handler *handler, int epoll)
{
	if (FCGX_Init() != 0 ||
	    FCGX_InitRequest(&connection, LISTENING_FD, FCGI_FAIL_ACCEPT_ON_INTR) != 0)
		return EXIT_FAILURE;
	enum event event;
	while ((event = wait_for_event(epoll)) != EVENT_STOP) {
		if (event == EVENT_FAILED) {
			log_error("cannot wait for requests", LOG_ERRNO(errno));
			return EXIT_FAILURE;
		}
		run_ticks();
		if (event == EVENT_CONNECTION)
			serve_one(handler);
	}
	FCGX_Free(&connection, 1);
	return EXIT_SUCCESS;
}

static bool watch(int epoll, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

int worker_run(const struct handler *handler)
{
	connection.ipcFd = -1;
	limit_memory();
	int stop = prepare_signals();
	int flags = fcntl(LISTENING_FD, F_GETFL);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int status = EXIT_FAILURE;
	if (flags < 0 || fcntl(LISTENING_FD, F_SETFL, flags | O_NONBLOCK) < 0 || stop < 0 ||
	    epoll < 0 || !watch(epoll, LISTENING_FD, EPOLLIN | EPOLLEXCLUSIVE) ||
	    !watch(epoll, stop, EPOLLIN))
		log_error("cannot wait on the listening socket", LOG_ERRNO(errno));
	else
		status = loop(handler, epoll);
	if (epoll >= 0)
		close(epoll);
	if (stop >= 0)
		close(stop);
	return status;
}
