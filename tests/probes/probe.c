/*
 * probe: a plain libfcgi program, as anyone may drop in, that does on request what programs do badly.
 *
 * The query string says what, its members parted by &:
 *	sleep=MS       waits before it answers
 *	status=N       answers with this status (200)
 *	length=BYTES   a body of so many letters x instead of one that tells about the request
 *	sized          names the length of its body, and its status last, as is good practice
 *	crash          dies before it does anything; crash=done: after it, before the answer;
 *	               crash=head: after the headers; crash=body: in the body; crash=end: after it
 *	exit=N         answers, then ends with this status
 *	read=no        leaves the request's body where it is
 *
 * Fed by a queue it writes the batch to standard error, which is what it does,
 * and answers with a JSON object. The payload of the first item, if that is a
 * text, is what the query string is otherwise; but only at its first attempt.
 */
#include <fcgiapp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_KEPT = 64 * 1024, TEXT_BYTES = 4096 };

static char options[1024];
static char body[MOST_KEPT + 1];
static long body_size;

/* Finds NAME=VALUE in the options: VALUE ("" where there is none), or NULL. It ends at & or NUL. */
static const char *option(const char *name)
{
	size_t n = strlen(name);
	for (const char *o = options; *o;) {
		if (strncmp(o, name, n) == 0 && (o[n] == '\0' || strchr("=&", o[n])))
			return o[n] == '=' ? o + n + 1 : o + n;
		o += strcspn(o, "&");
		o += *o == '&';
	}
	return NULL;
}

static long number(const char *name, long otherwise)
{
	const char *value = option(name);
	return value ? strtol(value, NULL, 10) : otherwise;
}

static int says(const char *name, const char *what)
{
	const char *value = option(name);
	return value && strcspn(value, "&") == strlen(what) &&
	       strncmp(value, what, strlen(what)) == 0;
}

static void crash_if(const char *where)
{
	if (says("crash", where))
		raise(SIGKILL);
}

static void pause_ms(long ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	while (ms > 0 && nanosleep(&left, &left) != 0)
		continue;
}

static const char *parameter(const FCGX_Request *rq, const char *name)
{
	const char *value = FCGX_GetParam(name, rq->envp);
	return value ? value : "";
}

static void read_body(const FCGX_Request *rq)
{
	char bytes[4096];
	size_t kept = 0;
	int n;
	body_size = 0;
	while (!says("read", "no") && (n = FCGX_GetStr(bytes, sizeof(bytes), rq->in)) > 0) {
		size_t room = MOST_KEPT - kept;
		size_t more = (size_t)n < room ? (size_t)n : room;
		memcpy(body + kept, bytes, more);
		kept += more;
		body_size += n;
	}
	body[kept] = '\0';
}

/* Takes the options from the first item of a batch. */
static void read_item_options(void)
{
	static const char before[] = "\"attempt\":1,\"payload\":\"";
	const char *payload = strstr(body, before);
	if (!payload)
		return;
	payload += strlen(before);
	snprintf(options, sizeof(options), "%.*s", (int)strcspn(payload, "\""), payload);
}

/* What came from the client stays on one line each, so that a test can split it. */
static size_t tell(const FCGX_Request *rq, char text[TEXT_BYTES])
{
	static const char *const names[] = { "REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO",
					     "QUERY_STRING", "HTTP_X_REQUEST_ID" };
	int n = snprintf(text, TEXT_BYTES, "pid=%d\nbody=%ld\n", (int)getpid(), body_size);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = parameter(rq, names[i]);
		n += snprintf(text + n, (size_t)(TEXT_BYTES - n), "%s=%.700s\n", names[i], value);
	}
	return (size_t)n;
}

/* Writes bytes, or so many letters x if there are none. */
static void put(const FCGX_Request *rq, const char *bytes, long size)
{
	for (long i = 0; i < size; i++) {
		if (i == size / 2 && says("crash", "body"))
			FCGX_FFlush(rq->out);
		if (i == size / 2)
			crash_if("body");
		FCGX_PutChar(bytes ? bytes[i] : 'x', rq->out);
	}
}

static void answer(const FCGX_Request *rq)
{
	char text[TEXT_BYTES] = "{\"error\":false,\"message\":\"eaten\"}";
	int fed = *parameter(rq, "HTTP_X_TRIGGER") != '\0';
	snprintf(options, sizeof(options), "%s", parameter(rq, "QUERY_STRING"));
	read_body(rq);
	if (fed)
		read_item_options();
	pause_ms(number("sleep", 0));
	crash_if("");
	if (fed)
		fprintf(stderr, "ate %s\n", body);
	crash_if("done");
	size_t told = fed ? strlen(text) : tell(rq, text);
	long length = number("length", (long)told);
	int status = (int)number("status", 200);
	const char *type = fed ? "application/json" : "text/plain";
	if (option("sized"))
		FCGX_FPrintF(rq->out,
			     "Content-Type: %s\r\nContent-Length: %d\r\nStatus: %d\r\n\r\n", type,
			     (int)length, status);
	else
		FCGX_FPrintF(rq->out, "Status: %d\r\nContent-Type: %s\r\n\r\n", status, type);
	if (says("crash", "head"))
		FCGX_FFlush(rq->out);
	crash_if("head");
	put(rq, option("length") ? NULL : text, length);
	if (says("crash", "end"))
		FCGX_FFlush(rq->out);
	crash_if("end");
}

int main(void)
{
	FCGX_Request rq;
	if (FCGX_Init() != 0 || FCGX_InitRequest(&rq, 0, 0) != 0)
		return 1;
	while (FCGX_Accept_r(&rq) == 0) {
		answer(&rq);
		const char *end = option("exit");
		int status = end ? (int)strtol(end, NULL, 10) : 0;
		FCGX_Finish_r(&rq);
		if (end)
			return status;
	}
	return 0;
}
