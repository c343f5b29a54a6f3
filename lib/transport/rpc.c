/* rpc: one call an entry over a connection that is kept, and what its answer says about the entry. */
#include "transport/rpc.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/limits.h"
#include "core/log.h"
#include "wire/rpc.h"

enum {
	URL_BYTES = 512,
	READ_BYTES = 4096,
	/* An answer repeats the entry's name, which was in a body. */
	MAX_ANSWER_BYTES = MAX_BODY_BYTES + 4096,
	KEPT_BUFFER_BYTES = 64 * 1024,
};

/* The connection, and what both sides have said on it. libcurl finds the address and connects. */
static struct {
	CURL *curl; /* NULL: there is none */
	int fd;
	uint64_t seq;
	struct rpc_reader reader;
	struct rpc_writer writer;
	struct buffer in;
	struct buffer out;
} peer;

static int64_t pause_until_ms; /* monotonic */

void rpc_close(void)
{
	curl_easy_cleanup(peer.curl);
	rpc_reader_finish(&peer.reader);
	buffer_finish(&peer.in);
	buffer_finish(&peer.out);
	memset(&peer, 0, sizeof(peer));
}

/* ---- the connection ---- */

static enum error_code set_address(CURL *curl, const char *address, struct error *e)
{
	char url[URL_BYTES];
	if (!strrchr(address, ':') ||
	    snprintf(url, sizeof(url), "http://%s", address) >= (int)sizeof(url) ||
	    curl_easy_setopt(curl, CURLOPT_URL, url) ||
	    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http") ||
	    curl_easy_setopt(curl, CURLOPT_PROXY, ""))
		return error_set(e, ERROR_CONFIG, "LOG_RPC_ADDR: must be HOST:PORT");
	return ERROR_NONE;
}

static enum error_code dial(CURL *curl, int64_t deadline_ms, struct error *e)
{
	long left = clock_left_ms(deadline_ms);
	left = left > 0 ? left : 1; /* 0 would mean no limit */
	left = left < CONNECT_TIMEOUT_MS ? left : (long)CONNECT_TIMEOUT_MS;
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, left);
	CURLcode result = curl_easy_perform(curl);
	curl_socket_t fd = CURL_SOCKET_BAD;
	if (result == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &fd);
	peer.fd = fd;
	if (fd != CURL_SOCKET_BAD)
		return ERROR_NONE;
	if (result == CURLE_URL_MALFORMAT)
		return error_set(e, ERROR_CONFIG, "LOG_RPC_ADDR: must be HOST:PORT");
	log_warning("no connection to the RPC log server",
		    LOG_TEXT("reason", curl_easy_strerror(result)));
	if (result == CURLE_OPERATION_TIMEDOUT)
		return error_set(e, ERROR_PEER_TIMEOUT,
				 "the RPC log server did not answer in time");
	return error_set(e, ERROR_PEER_DOWN, "the RPC log server cannot be reached");
}

static enum error_code open_connection(int64_t deadline_ms, struct error *e)
{
	static bool ready;
	if (!ready && curl_global_init(CURL_GLOBAL_DEFAULT))
		return error_set(e, ERROR_INTERNAL, "libcurl does not start");
	ready = true;
	peer.curl = curl_easy_init();
	peer.reader.max_bytes = MAX_ANSWER_BYTES;
	if (!peer.curl)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	enum error_code code = set_address(peer.curl, config()->log_rpc_addr, e);
	if (!code)
		code = dial(peer.curl, deadline_ms, e);
	if (code)
		rpc_close();
	return code;
}

/* Nothing may come while nothing was asked: neither an end nor a byte. */
static bool is_kept(void)
{
	char byte;
	return peer.curl && peer.in.size == 0 &&
	       recv(peer.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	       (errno == EAGAIN || errno == EWOULDBLOCK);
}

static enum error_code wait_for(short events, int64_t deadline_ms, struct error *e)
{
	struct pollfd p = { .fd = peer.fd, .events = events };
	int n;
	do {
		n = poll(&p, 1, clock_left_ms(deadline_ms));
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		return ERROR_NONE;
	return error_set(e, ERROR_PEER_TIMEOUT, "the RPC log server did not answer in time");
}

static enum error_code broken(struct error *e)
{
	return error_set(e, ERROR_PEER_ANSWER, "the RPC log server broke off without an answer");
}

/* Sends all of bytes. On error the server has not got all of it, and can do nothing with it. */
static enum error_code send_whole(struct text bytes, int64_t deadline_ms, struct error *e)
{
	enum error_code code = ERROR_NONE;
	while (bytes.n > 0 && !code) {
		ssize_t n = send(peer.fd, bytes.s, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			bytes.s += n;
			bytes.n -= (size_t)n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			code = wait_for(POLLOUT, deadline_ms, e);
		} else if (errno != EINTR) {
			code = broken(e);
		}
	}
	return code;
}

static enum error_code receive_some(int64_t deadline_ms, struct error *e)
{
	enum error_code code = wait_for(POLLIN, deadline_ms, e);
	if (code)
		return code;
	char *room = buffer_room(&peer.in, READ_BYTES);
	if (!room)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	ssize_t n = recv(peer.fd, room, READ_BYTES, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return ERROR_NONE;
	if (n <= 0)
		return broken(e);
	buffer_grew(&peer.in, (size_t)n);
	return ERROR_NONE;
}

/* Waits for the answer to the call seq; its texts are valid until the next call. */
static enum error_code receive_answer(uint64_t seq, struct rpc_message *answer, int64_t deadline_ms,
				      struct error *e)
{
	size_t taken = 0;
	bool whole = false;
	for (;;) {
		struct text rest = { peer.in.bytes + taken, peer.in.size - taken };
		size_t used = 0;
		enum error_code code =
			rpc_read_answer(&peer.reader, rest, &used, &whole, answer, e);
		taken += used;
		if (!code && !whole)
			code = receive_some(deadline_ms, e);
		if (code)
			return code;
		if (whole)
			break;
	}
	if (answer->seq != seq || taken != peer.in.size)
		return error_set(e, ERROR_PEER_ANSWER,
				 "the RPC log server answered something else");
	return rpc_skip_body(&peer.reader, &answer->body, e);
}

/* ---- one call ---- */

/* What an answer's error means for the entry. */
static enum outcome outcome_of(enum error_code code)
{
	switch (code) {
	case ERROR_BAD_INPUT:
	case ERROR_CONFLICT:
	case ERROR_TOO_LARGE:
		return OUTCOME_REFUSED;
	case ERROR_CONFIG:
	case ERROR_PEER_DOWN:
	case ERROR_PEER_FULL:
		return OUTCOME_NOT_STORED;
	default:
		return OUTCOME_UNKNOWN;
	}
}

static enum outcome judge(const struct rpc_message *answer, struct error *e)
{
	struct text said;
	if (answer->error.n == 0)
		return OUTCOME_STORED;
	enum error_code code = rpc_error_read(answer->error, &said);
	enum outcome outcome = outcome_of(code);
	error_set(e, code, "%s%.*s",
		  outcome == OUTCOME_REFUSED ? "" : "the RPC log server answered: ", (int)said.n,
		  said.s);
	return outcome;
}

static enum error_code write_call(const struct entry *entry, struct error *e)
{
	const struct rpc_payload payload = {
		.name = entry->name,
		.data = entry->data,
		.id = text_of(entry->id),
		.level = text_of(entry_level_name(entry->level)),
		.created_ms = entry->accepted_ms,
	};
	buffer_clear(&peer.out);
	rpc_write_call(&peer.writer, &peer.out, text_of(RPC_LOG_INFO), peer.seq, &payload);
	return peer.out.failed ? error_set(e, ERROR_INTERNAL, "out of memory") : ERROR_NONE;
}

/* A large entry is rare, and its room not kept for the next. */
static void tidy(void)
{
	peer.seq++;
	buffer_clear(&peer.in);
	if (peer.out.room > KEPT_BUFFER_BYTES)
		buffer_finish(&peer.out);
	if (peer.in.room > KEPT_BUFFER_BYTES)
		buffer_finish(&peer.in);
}

/* Sends the entry over the connection that there is, and closes it if no answer came. */
static enum outcome call(const struct entry *entry, int64_t deadline_ms, struct error *e)
{
	struct rpc_message answer;
	enum outcome outcome = OUTCOME_NOT_STORED;
	enum error_code code = write_call(entry, e);
	if (!code)
		code = send_whole(buffer_text(&peer.out), deadline_ms, e);
	if (!code) {
		outcome = OUTCOME_UNKNOWN;
		code = receive_answer(peer.seq, &answer, deadline_ms, e);
	}
	if (!code) {
		outcome = judge(&answer, e);
		tidy();
		return outcome;
	}
	log_warning("a call of the RPC log server failed", LOG_REASON(e));
	if (code == ERROR_PEER_TIMEOUT)
		pause_until_ms = clock_now_ms() + PEER_PAUSE_MS;
	if (code == ERROR_BAD_INPUT || code == ERROR_TOO_LARGE) /* the answer, not the entry */
		error_set(e, ERROR_PEER_ANSWER, "the RPC log server's answer cannot be read");
	rpc_close();
	return outcome;
}

static enum outcome connect_and_call(const struct entry *entry, int64_t deadline_ms,
				     struct error *e)
{
	enum error_code code = open_connection(deadline_ms, e);
	if (code == ERROR_PEER_TIMEOUT)
		pause_until_ms = clock_now_ms() + PEER_PAUSE_MS;
	return code ? OUTCOME_NOT_STORED : call(entry, deadline_ms, e);
}

enum outcome rpc_send(const struct entry *entry, int64_t deadline_ms, struct error *e)
{
	struct error own;
	e = e ? e : &own;
	if (clock_now_ms() < pause_until_ms) {
		error_set(e, ERROR_PEER_DOWN, "the RPC log server did not answer a moment ago");
		return OUTCOME_NOT_STORED;
	}
	if (!is_kept()) {
		rpc_close();
		return connect_and_call(entry, deadline_ms, e);
	}
	enum outcome outcome = call(entry, deadline_ms, e);
	if (peer.curl || e->code == ERROR_PEER_TIMEOUT)
		return outcome;
	struct error first = *e;
	enum outcome second = connect_and_call(entry, deadline_ms, e);
	if (second == OUTCOME_NOT_STORED && outcome == OUTCOME_UNKNOWN) {
		*e = first;
		return outcome;
	}
	return second;
}

enum error_code rpc_check(int64_t deadline_ms, struct error *e)
{
	const struct rpc_payload nothing = { .name = text_of("health") };
	struct rpc_message answer;
	rpc_close();
	enum error_code code = open_connection(deadline_ms, e);
	if (code)
		return code;
	rpc_write_call(&peer.writer, &peer.out, text_of("Health.Check"), peer.seq, &nothing);
	code = peer.out.failed ? error_set(e, ERROR_INTERNAL, "out of memory")
			       : send_whole(buffer_text(&peer.out), deadline_ms, e);
	if (!code)
		code = receive_answer(peer.seq, &answer, deadline_ms, e);
	rpc_close();
	return code;
}
