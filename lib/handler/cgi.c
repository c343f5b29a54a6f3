/* cgi: one request from the environment and standard input (RFC 3875). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/log.h"
#include "handler/exchange.h"

/* A CGI server may keep standard input open: the announced length is where the body ends. */
struct input {
	bool bounded;
	unsigned long long left;
};

static ssize_t read_input(void *source, char *bytes, size_t n)
{
	struct input *in = source;
	if (in->bounded && in->left < n)
		n = (size_t)in->left;
	if (n == 0 || (!in->bounded && isatty(STDIN_FILENO)))
		return 0;
	ssize_t got;
	do
		got = read(STDIN_FILENO, bytes, n);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		in->left -= (unsigned long long)got;
	return got;
}

static bool write_output(struct text out)
{
	bool written = fwrite(out.s, 1, out.n, stdout) == out.n;
	return fflush(stdout) == 0 && written;
}

int cgi_run(const struct handler *handler)
{
	/* From a shell, without the variables of a CGI server, the handler's own method is meant.
	 */
	if (!getenv("REQUEST_METHOD"))
		setenv("REQUEST_METHOD", handler->methods & METHOD_GET ? "GET" : "POST", 1);
	struct request rq;
	exchange_begin(&rq, handler, environ);
	const char *length = request_variable(&rq, "CONTENT_LENGTH");
	struct input in = { .bounded = *length != '\0', .left = strtoull(length, NULL, 10) };
	exchange_read_body(&rq, read_input, &in);
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	bool sent = exchange_answer(&rq, &out) && write_output(buffer_text(&out));
	exchange_log(&rq, exchange_status(), out.size, sent);
	exchange_finish(&rq);
	return sent ? 0 : 1;
}
