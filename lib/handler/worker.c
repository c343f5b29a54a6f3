/*
 * worker: the gated FastCGI loop.
 *
 * libfcgi's own handling of SIGTERM can lose the request that arrives with it.
 * So SIGTERM is blocked but for the wait, and the wait is ours: it ends when
 * there is a connection to accept or a signal, and only between requests is the
 * worker asked to stop. Every worker of a handler waits on the same socket;
 * EPOLLEXCLUSIVE wakes one of them for a connection, not all.
 */
#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/limits.h"
#include "core/log.h"
#include "handler/exchange.h"

enum { MAX_TICKS = 4, WAIT_EVENTS = 1 };

static void (*ticks[MAX_TICKS])(void);
static size_t tick_count;
static int64_t last_tick_ms;

static volatile sig_atomic_t stopping;

static void on_stop(int signal_number)
{
	(void)signal_number;
	stopping = 1;
}

static void on_alarm(int signal_number)
{
	(void)signal_number; /* its work is done: it ended a read or write */
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
 * libfcgi reads and writes without a limit of time, but ends both at any
 * signal. The alarm repeats, because the first can come just before the read
 * that it should end.
 */
static void limit_io(long ms)
{
	struct itimerval timer = {
		.it_value = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 },
		.it_interval = { .tv_sec = ms ? 1 : 0 },
	};
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* Sets handlers before libfcgi does: it leaves alone what is not the default. */
static void prepare_signals(sigset_t *while_waiting)
{
	struct sigaction stop = { .sa_handler = on_stop };
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
	sigprocmask(SIG_BLOCK, &blocked, while_waiting);
	sigdelset(while_waiting, SIGTERM);
	sigdelset(while_waiting, SIGINT);
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

static void serve(FCGX_Request *connection, const struct handler *handler)
{
	struct request rq;
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	exchange_begin(&rq, handler, connection->envp);
	exchange_read_body(&rq, read_stream, connection->in);
	limit_io(0);
	bool sent = exchange_answer(&rq, &out);
	limit_io(WORKER_IO_TIMEOUT_MS);
	if (sent)
		FCGX_PutStr(out.bytes, (int)out.size, connection->out);
	/* The last stream that closes ends the request, in the same write as its last bytes. */
	FCGX_FClose(connection->err);
	FCGX_FClose(connection->out);
	sent = sent && FCGX_GetError(connection->out) == 0;
	exchange_log(&rq, exchange_status(), out.size, sent);
	exchange_finish(&rq);
	/* A kept connection would hold this worker for one client. */
	connection->keepConnection = 0;
	FCGX_Finish_r(connection);
	limit_io(0);
}

/* Waits for a connection: 1 there may be one, 0 not yet, -1 the wait failed. */
static int wait_for_connection(int epoll, const sigset_t *mask)
{
	struct epoll_event event;
	int timeout = tick_count ? WORKER_IDLE_TICK_MS : -1;
	int n = epoll_pwait(epoll, &event, WAIT_EVENTS, timeout, mask);
	return n < 0 && errno != EINTR ? -1 : n > 0;
}

static int loop(const struct handler *handler, int epoll, const sigset_t *mask)
{
	FCGX_Request connection;
	if (FCGX_Init() != 0 || FCGX_InitRequest(&connection, 0, FCGI_FAIL_ACCEPT_ON_INTR) != 0)
		return EXIT_FAILURE;
	while (!stopping) {
		int ready = wait_for_connection(epoll, mask);
		if (ready < 0) {
			log_error("cannot wait for requests", LOG_ERRNO(errno));
			return EXIT_FAILURE;
		}
		run_ticks();
		if (stopping || !ready)
			continue;
		limit_io(WORKER_IO_TIMEOUT_MS);
		int accepted = FCGX_Accept_r(&connection);
		if (accepted == 0) {
			serve(&connection, handler);
			continue;
		}
		limit_io(0);
		/* Another worker was faster, or the client left: nothing of ours is lost. */
		if (accepted != -EAGAIN && accepted != -EINTR && accepted != -ECONNABORTED)
			log_warning("cannot accept a connection", LOG_ERRNO(-accepted));
	}
	FCGX_Free(&connection, 1);
	return EXIT_SUCCESS;
}

int worker_run(const struct handler *handler)
{
	sigset_t while_waiting;
	limit_memory();
	prepare_signals(&while_waiting);
	int flags = fcntl(0, F_GETFL);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	if (flags < 0 || fcntl(0, F_SETFL, flags | O_NONBLOCK) < 0 || epoll < 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event) < 0) {
		log_error("cannot wait on the listening socket", LOG_ERRNO(errno));
		return EXIT_FAILURE;
	}
	int status = loop(handler, epoll, &while_waiting);
	close(epoll);
	return status;
}
