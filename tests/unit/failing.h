/*
 * failing: memory that is not there, and system calls that do half of what they
 * were asked for or are interrupted, when a test wants that.
 *
 * Included, it takes the place of malloc and its kin, and of the calls that
 * read, write and wait, for the whole program, its libraries too. It harms only
 * the thread that asked for it, and the children that it forks.
 */
#ifndef FLEXI_TESTS_FAILING_H
#define FLEXI_TESTS_FAILING_H

#include <dlfcn.h>
#include <errno.h>
#include <json-c/json_tokener.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum failing_io {
	IO_WHOLE,
	IO_SHORT,	/* every read and write does a byte or a few */
	IO_INTERRUPTED, /* and every other one of them, or of the waits, is EINTR */
};

static _Thread_local struct {
	long allocation; /* which one fails, counted from 1; 0: none */
	bool all_after;	 /* and all after it */
	long count;
	enum failing_io io;
	unsigned calls;
} failing;

/* From now on the n-th allocation fails; with all_after those that follow it, too. */
static inline void failing_allocation(long n, bool all_after)
{
	failing.count = 0;
	failing.all_after = all_after;
	failing.allocation = n;
}

/* Nothing fails any more; whether something did. */
static inline bool failing_end(void)
{
	bool failed = failing.allocation && failing.count >= failing.allocation;
	failing.allocation = 0;
	failing.io = IO_WHOLE;
	return failed;
}

/*
 * Calls `once` with the first allocation failing, then the second, and so on
 * until none fails; and again with all failing from there on. `once` ends the
 * failing itself (failing_end) before it asserts, and returns what that said.
 */
static inline void failing_each_allocation(bool (*once)(void))
{
	for (int all_after = 0; all_after < 2; all_after++) {
		long n = 0;
		do
			failing_allocation(++n, all_after);
		while (once());
		assert_true(n > 1);
	}
}

/* Before the sanitizers are ready these are called already: nothing of theirs may be in them. */
#define BARE __attribute__((no_sanitize_address))

#ifdef __SANITIZE_ADDRESS__
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif
void *REAL(malloc)(size_t n);
void *REAL(calloc)(size_t count, size_t n);
void *REAL(realloc)(void *old, size_t n);

static inline BARE bool failing_now(void)
{
	if (failing.allocation == 0)
		return false;
	failing.count++;
	return failing.all_after ? failing.count >= failing.allocation
				 : failing.count == failing.allocation;
}

BARE void *malloc(size_t n)
{
	return failing_now() ? errno = ENOMEM, NULL : REAL(malloc)(n);
}

BARE void *calloc(size_t count, size_t n)
{
	return failing_now() ? errno = ENOMEM, NULL : REAL(calloc)(count, n);
}

BARE void *realloc(void *old, size_t n)
{
	return failing_now() ? errno = ENOMEM, NULL : REAL(realloc)(old, n);
}

/*
 * json-c 0.16 crashes where it cannot copy a member's name: so parsing is one
 * allocation here, which fails as a whole.
 */
struct json_object *json_tokener_parse_ex(struct json_tokener *tokener, const char *s, int n)
{
	struct json_object *(*real)(struct json_tokener *, const char *, int);
	long allocation = failing.allocation;
	if (failing_now())
		return errno = ENOMEM, NULL;
	failing.allocation = 0;
	*(void **)&real = dlsym(RTLD_NEXT, "json_tokener_parse_ex");
	struct json_object *value = real(tokener, s, n);
	failing.allocation = allocation;
	return value;
}

static inline bool failing_interrupts(void)
{
	return failing.io == IO_INTERRUPTED && failing.calls++ % 2 == 0;
}

/* One byte to three, where that is asked for. */
static inline size_t failing_size(size_t n)
{
	size_t few = 1 + failing.calls++ / 2 % 3;
	return failing.io != IO_WHOLE && n > few ? few : n;
}

#define INTERRUPTED_OR(call) (failing_interrupts() ? errno = EINTR, -1 : (call))

ssize_t read(int fd, void *bytes, size_t n)
{
	return INTERRUPTED_OR(syscall(SYS_read, fd, bytes, failing_size(n)));
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	return INTERRUPTED_OR(syscall(SYS_write, fd, bytes, failing_size(n)));
}

ssize_t recv(int fd, void *bytes, size_t n, int flags)
{
	return INTERRUPTED_OR(syscall(SYS_recvfrom, fd, bytes, failing_size(n), flags, NULL, NULL));
}

ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
	return INTERRUPTED_OR(syscall(SYS_sendto, fd, bytes, failing_size(n), flags, NULL, 0));
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	if (failing.io == IO_WHOLE || count < 1 || pieces[0].iov_len == 0)
		return syscall(SYS_writev, fd, pieces, count);
	return write(fd, pieces[0].iov_base, pieces[0].iov_len);
}

int poll(struct pollfd *fds, nfds_t count, int ms)
{
	return (int)INTERRUPTED_OR(syscall(SYS_poll, fds, count, ms));
}

int epoll_wait(int fd, struct epoll_event *events, int most, int ms)
{
	return (int)INTERRUPTED_OR(syscall(SYS_epoll_wait, fd, events, most, ms));
}

#endif
