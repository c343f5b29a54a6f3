/*
 * probe: a plain libfcgi program, as anyone may drop in, that does on request what programs do badly.
 *
 * The query string says what, its members parted by &:
 *	sleep=MS       waits before it answers
 *	status=N       answers with this status (200)
 *	length=BYTES   a body of so many letters x instead of one that tells about the request
 *	crash          dies before it answers; crash=head: after the headers; crash=body: in the body
 *	exit=N         answers, then ends with this status
 *	read=no        leaves the request's body where it is
 */
#include <fcgiapp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Finds NAME=VALUE in the query: VALUE ("" where there is none), or NULL. It ends at & or NUL. */
static const char *option(const FCGX_Request *rq, const char *name)
{
	const char *query = FCGX_GetParam("QUERY_STRING", rq->envp);
	size_t n = strlen(name);
	while (query && *query) {
		if (strncmp(query, name, n) == 0 && strchr("=&", query[n]))
			return query[n] == '=' ? query + n + 1 : query + n;
		query += strcspn(query, "&");
		query += *query == '&';
	}
	return NULL;
}

static long number(const FCGX_Request *rq, const char *name, long otherwise)
{
	const char *value = option(rq, name);
	return value ? strtol(value, NULL, 10) : otherwise;
}

static int says(const FCGX_Request *rq, const char *name, const char *what)
{
	const char *value = option(rq, name);
	return value && strcspn(value, "&") == strlen(what) &&
	       strncmp(value, what, strlen(what)) == 0;
}

static void pause_ms(long ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	while (ms > 0 && nanosleep(&left, &left) != 0)
		continue;
}

static long read_body(const FCGX_Request *rq)
{
	char bytes[4096];
	long size = 0;
	int n;
	while (!says(rq, "read", "no") && (n = FCGX_GetStr(bytes, sizeof(bytes), rq->in)) > 0)
		size += n;
	return size;
}

/* What came from the client stays on one line each, so that a test can split it. */
static void tell(const FCGX_Request *rq, long body)
{
	static const char *const names[] = { "REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO",
					     "QUERY_STRING", "HTTP_X_REQUEST_ID" };
	FCGX_FPrintF(rq->out, "pid=%d\nbody=%ld\n", (int)getpid(), body);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = FCGX_GetParam(names[i], rq->envp);
		FCGX_FPrintF(rq->out, "%s=%s\n", names[i], value ? value : "");
	}
}

static void fill(const FCGX_Request *rq, long length)
{
	for (long i = 0; i < length; i++) {
		if (i == length / 2 && says(rq, "crash", "body")) {
			FCGX_FFlush(rq->out);
			raise(SIGKILL);
		}
		FCGX_PutChar('x', rq->out);
	}
}

static void answer(const FCGX_Request *rq)
{
	long body = read_body(rq);
	long length = number(rq, "length", -1);
	pause_ms(number(rq, "sleep", 0));
	if (says(rq, "crash", ""))
		raise(SIGKILL);
	FCGX_FPrintF(rq->out, "Status: %d\r\nContent-Type: text/plain\r\n",
		     (int)number(rq, "status", 200));
	if (length >= 0)
		FCGX_FPrintF(rq->out, "Content-Length: %d\r\n", (int)length);
	FCGX_FPrintF(rq->out, "\r\n");
	if (says(rq, "crash", "head")) {
		FCGX_FFlush(rq->out);
		raise(SIGKILL);
	}
	if (length >= 0)
		fill(rq, length);
	else
		tell(rq, body);
}

int main(void)
{
	FCGX_Request rq;
	if (FCGX_Init() != 0 || FCGX_InitRequest(&rq, 0, 0) != 0)
		return 1;
	while (FCGX_Accept_r(&rq) == 0) {
		answer(&rq);
		const char *end = option(&rq, "exit");
		int status = end ? (int)strtol(end, NULL, 10) : 0;
		FCGX_Finish_r(&rq);
		if (end)
			return status;
	}
	return 0;
}
