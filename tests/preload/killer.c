/*
 * killer: kills a FastCGI worker, ours or anybody's, at an exact byte of what it reads or writes.
 *
 * Loaded before a worker (LD_PRELOAD), with the name of a file in KILLER. What
 * the file says when a connection is accepted is for that connection:
 *
 *	accept 0   dies before it accepts the connection
 *	read N     dies when it has read N bytes of it, and wants more
 *	write N    dies when it has written N bytes to it
 *
 * Whoever dies removes the file first: so it kills once. Without the file
 * nothing happens.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
	int fd; /* the connection that is meant; -1: none */
	char what[8];
	size_t left; /* bytes until it dies */
} target = { .fd = -1 };

/* Reads the file; what is said in it, or "". */
static void aim(int fd)
{
	char bytes[64] = "";
	const char *file = getenv("KILLER");
	int in = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
	target.fd = -1;
	target.what[0] = '\0';
	if (in < 0)
		return;
	ssize_t n = syscall(SYS_read, in, bytes, sizeof(bytes) - 1);
	close(in);
	char *space = n > 0 ? strchr(bytes, ' ') : NULL;
	if (!space || space - bytes >= (long)sizeof(target.what))
		return;
	memcpy(target.what, bytes, (size_t)(space - bytes));
	target.what[space - bytes] = '\0';
	target.left = strtoul(space + 1, NULL, 10);
	target.fd = fd;
}

static int meant(int fd, const char *what)
{
	return fd == target.fd && strcmp(target.what, what) == 0;
}

static void die(void)
{
	const char *file = getenv("KILLER");
	if (file && unlink(file) == 0)
		raise(SIGKILL);
	target.fd = -1;
}

int accept(int listener, struct sockaddr *address, socklen_t *size)
{
	aim(listener);
	if (meant(listener, "accept"))
		die();
	int fd = (int)syscall(SYS_accept, listener, address, size);
	aim(fd);
	return fd;
}

ssize_t read(int fd, void *bytes, size_t n)
{
	if (!meant(fd, "read"))
		return syscall(SYS_read, fd, bytes, n);
	if (target.left == 0)
		die();
	ssize_t got =
		syscall(SYS_read, fd, bytes, target.left && n > target.left ? target.left : n);
	target.left -= got > 0 && target.left ? (size_t)got : 0;
	return got;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	if (!meant(fd, "write"))
		return syscall(SYS_write, fd, bytes, n);
	size_t most = n < target.left ? n : target.left;
	ssize_t put = most > 0 ? syscall(SYS_write, fd, bytes, most) : 0;
	target.left -= put > 0 ? (size_t)put : 0;
	if (target.left == 0)
		die();
	return most > 0 ? put : syscall(SYS_write, fd, bytes, n);
}
