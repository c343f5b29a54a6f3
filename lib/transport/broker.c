/* broker: connecting to RabbitMQ, and what its answers mean. */
#include "transport/broker.h"

#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"

enum {
	PORT_PLAIN = 5672,
	PORT_TLS = 5671,
	CLOSE_TIMEOUT_MS = 200,
	MAX_CHANNELS = 8,
};

/* ---- the URL ---- */

struct address {
	bool tls;
	int port;
	char *host, *user, *password, *vhost; /* freed by address_finish */
};

static void address_finish(struct address *a)
{
	curl_free(a->host);
	curl_free(a->user);
	curl_free(a->password);
	curl_free(a->vhost);
}

static void url_finish(CURLU **url)
{
	curl_url_cleanup(*url);
}

/* "[::1]" is how an URL writes the host ::1. */
static void take_brackets_away(char *host)
{
	size_t n = strlen(host);
	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		memmove(host, host + 1, n - 2);
		host[n - 2] = '\0';
	}
}

/* The path "/NAME" names the virtual host NAME; without one it is "/". */
static void path_to_vhost(char *path)
{
	if (path[0] == '/' && path[1] != '\0')
		memmove(path, path + 1, strlen(path));
}

/*
 * Takes an URL apart. The parser is libcurl's: that of rabbitmq-c knows no
 * percent-encoded bytes above 127, and cuts a password at a %00.
 */
static enum error_code address_parse(const char *text, struct address *a, struct error *e)
{
	CLEANUP(url_finish) CURLU *url = curl_url();
	if (!url)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	a->tls = strncmp(text, "amqps://", strlen("amqps://")) == 0;
	if (!a->tls && strncmp(text, "amqp://", strlen("amqp://")) != 0)
		return error_set(e, ERROR_CONFIG,
				 "RABBITMQ_URL: must begin with amqp:// or amqps://");
	char *port = NULL;
	CURLUcode bad =
		curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME | CURLU_PATH_AS_IS);
	if (!bad)
		bad = curl_url_get(url, CURLUPART_HOST, &a->host, 0);
	if (!bad)
		bad = curl_url_get(url, CURLUPART_PATH, &a->vhost, CURLU_URLDECODE);
	if (!bad &&
	    curl_url_get(url, CURLUPART_USER, &a->user, CURLU_URLDECODE) == CURLUE_URLDECODE)
		bad = CURLUE_URLDECODE;
	if (!bad && curl_url_get(url, CURLUPART_PASSWORD, &a->password, CURLU_URLDECODE) ==
			    CURLUE_URLDECODE)
		bad = CURLUE_URLDECODE;
	if (bad)
		return error_set(e, ERROR_CONFIG, "RABBITMQ_URL: %s", curl_url_strerror(bad));
	a->port = a->tls ? PORT_TLS : PORT_PLAIN;
	if (curl_url_get(url, CURLUPART_PORT, &port, 0) == CURLUE_OK)
		a->port = (int)strtol(port, NULL, 10);
	curl_free(port);
	take_brackets_away(a->host);
	path_to_vhost(a->vhost);
	return ERROR_NONE;
}

/* ---- what went wrong ---- */

/* The library's own errors: status is one of amqp_status_enum. */
enum error_code broker_status(int status, const char *what, struct error *e)
{
	if (status == AMQP_STATUS_OK)
		return ERROR_NONE;
	log_warning("RabbitMQ failed", LOG_TEXT("doing", what),
		    LOG_TEXT("reason", amqp_error_string2(status)));
	if (status == AMQP_STATUS_TIMEOUT || status == AMQP_STATUS_HEARTBEAT_TIMEOUT)
		return error_set(e, ERROR_PEER_TIMEOUT, "RabbitMQ did not answer in time (%s)",
				 what);
	if (status == AMQP_STATUS_NO_MEMORY)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	if (status == AMQP_STATUS_SSL_PEER_VERIFY_FAILED ||
	    status == AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED)
		return error_set(e, ERROR_PEER_DOWN,
				 "RabbitMQ's certificate cannot be verified (%s)", what);
	return error_set(e, ERROR_PEER_DOWN, "RabbitMQ cannot be reached (%s)", what);
}

/* A channel.close or connection.close: its code and text, in the log and as an error. */
static enum error_code server_error(int code, amqp_bytes_t text, const char *what, struct error *e)
{
	char reason[ERROR_TEXT_BYTES];
	size_t n = text.len < sizeof(reason) - 1 ? text.len : sizeof(reason) - 1;
	if (n > 0)
		memcpy(reason, text.bytes, n);
	reason[n] = '\0';
	const char *said = reason;
	log_warning("RabbitMQ refused", LOG_TEXT("doing", what), LOG_INT("code", code),
		    LOG_TEXT("reason", said));
	switch (code) {
	case AMQP_ACCESS_REFUSED:
	case AMQP_NOT_ALLOWED:
		return error_set(e, ERROR_CONFIG,
				 "RabbitMQ refuses the user or virtual host of RABBITMQ_URL (%s)",
				 what);
	case AMQP_PRECONDITION_FAILED:
		return error_set(e, ERROR_CONFIG,
				 "RabbitMQ has it already, with other settings (%s)", what);
	case AMQP_NOT_FOUND:
	case AMQP_COMMAND_INVALID:
	case AMQP_NOT_IMPLEMENTED:
		return error_set(e, ERROR_CONFIG, "RabbitMQ refuses with %d (%s)", code, what);
	case AMQP_CONNECTION_FORCED:
		return error_set(e, ERROR_PEER_DOWN, "RabbitMQ closed the connection (%s)", what);
	default:
		return error_set(e, ERROR_PEER_ANSWER, "RabbitMQ refused with %d (%s)", code, what);
	}
}

enum error_code broker_closed(const amqp_method_t *method, const char *what, struct error *e)
{
	if (method->id == AMQP_CHANNEL_CLOSE_METHOD) {
		const amqp_channel_close_t *close = method->decoded;
		return server_error(close->reply_code, close->reply_text, what, e);
	}
	if (method->id == AMQP_CONNECTION_CLOSE_METHOD) {
		const amqp_connection_close_t *close = method->decoded;
		return server_error(close->reply_code, close->reply_text, what, e);
	}
	return error_set(e, ERROR_PEER_ANSWER, "RabbitMQ answered out of turn (%s)", what);
}

enum error_code broker_check(amqp_rpc_reply_t reply, const char *what, struct error *e)
{
	switch (reply.reply_type) {
	case AMQP_RESPONSE_NORMAL:
		return ERROR_NONE;
	case AMQP_RESPONSE_LIBRARY_EXCEPTION:
		return broker_status(reply.library_error, what, e);
	case AMQP_RESPONSE_SERVER_EXCEPTION:
		return broker_closed(&reply.reply, what, e);
	case AMQP_RESPONSE_NONE:
		break;
	}
	return broker_status(AMQP_STATUS_CONNECTION_CLOSED, what, e);
}

/* ---- waiting ---- */

struct timeval broker_time_left(int64_t deadline_ms)
{
	int left = clock_left_ms(deadline_ms);
	return (struct timeval){ .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000L };
}

enum error_code broker_wait_writable(amqp_connection_state_t connection, int64_t deadline_ms,
				     const char *what, struct error *e)
{
	struct pollfd fd = { .fd = amqp_get_sockfd(connection), .events = POLLOUT };
	if (fd.fd < 0)
		return broker_status(AMQP_STATUS_SOCKET_CLOSED, what, e);
	for (;;) {
		int n = poll(&fd, 1, clock_left_ms(deadline_ms));
		if (n > 0)
			return ERROR_NONE; /* or broken: then sending says so */
		if (n == 0)
			return broker_status(AMQP_STATUS_TIMEOUT, what, e);
		if (errno != EINTR)
			return broker_status(AMQP_STATUS_SOCKET_ERROR, what, e);
	}
}

/* ---- connecting ---- */

static enum error_code open_socket(amqp_connection_state_t connection, const struct address *a,
				   int64_t deadline_ms, struct error *e)
{
	amqp_socket_t *socket =
		a->tls ? amqp_ssl_socket_new(connection) : amqp_tcp_socket_new(connection);
	if (!socket)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	if (a->tls) {
		amqp_ssl_socket_set_verify_peer(socket, 1);
		amqp_ssl_socket_set_verify_hostname(socket, 1);
		int status =
			amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
		if (status)
			return broker_status(status, "set up TLS", e);
		if (amqp_ssl_socket_set_cacert(socket, config()->tls_ca_file))
			return error_set(e, ERROR_CONFIG,
					 "TLS_CA_FILE: %s: not a file of certificates",
					 config()->tls_ca_file);
	}
	int64_t connect_deadline_ms = clock_now_ms() + CONNECT_TIMEOUT_MS;
	if (connect_deadline_ms > deadline_ms)
		connect_deadline_ms = deadline_ms;
	struct timeval left = broker_time_left(connect_deadline_ms);
	int status = amqp_socket_open_noblock(socket, a->host, a->port, &left);
	if (status)
		return broker_status(status, "connect", e);
	/* See its comment. Where it fails, the kernel's own is larger. */
	int bytes = BROKER_SEND_BUFFER_BYTES;
	setsockopt(amqp_get_sockfd(connection), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return ERROR_NONE;
}

static amqp_table_entry_t capability(const char *name)
{
	return (amqp_table_entry_t){
		.key = amqp_cstring_bytes(name),
		.value = { .kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1 },
	};
}

static enum error_code log_in(amqp_connection_state_t connection, const struct address *a,
			      const char *name, int64_t deadline_ms, struct error *e)
{
	amqp_table_entry_t capabilities[] = {
		capability("connection.blocked"),
		capability("consumer_cancel_notify"),
		capability("publisher_confirms"),
		capability("basic.nack"),
	};
	amqp_table_entry_t properties[] = {
		{ .key = amqp_cstring_bytes("capabilities"),
		  .value = { .kind = AMQP_FIELD_KIND_TABLE,
			     .value.table = { sizeof(capabilities) / sizeof(capabilities[0]),
					      capabilities } } },
		{ .key = amqp_cstring_bytes("connection_name"),
		  .value = { .kind = AMQP_FIELD_KIND_UTF8,
			     .value.bytes = amqp_cstring_bytes(name) } },
	};
	amqp_table_t table = { sizeof(properties) / sizeof(properties[0]), properties };
	struct timeval left = broker_time_left(deadline_ms);
	amqp_set_handshake_timeout(connection, &left);
	enum error_code code = broker_check(
		amqp_login_with_properties(connection, a->vhost, MAX_CHANNELS, BROKER_FRAME_BYTES,
					   BROKER_HEARTBEAT_S, &table, AMQP_SASL_METHOD_PLAIN,
					   a->user ? a->user : "guest",
					   a->password ? a->password : "guest"),
		"log in", e);
	if (code)
		return code;
	left = broker_time_left(deadline_ms);
	amqp_set_rpc_timeout(connection, &left);
	amqp_channel_open(connection, BROKER_CHANNEL);
	code = broker_check(amqp_get_rpc_reply(connection), "open a channel", e);
	left = broker_time_left(clock_now_ms() + config()->confirm_timeout_ms);
	amqp_set_rpc_timeout(connection, &left);
	return code;
}

enum error_code broker_connect(const char *name, int64_t deadline_ms,
			       amqp_connection_state_t *connection, struct error *e)
{
	*connection = NULL;
	CLEANUP(address_finish) struct address address = { 0 };
	enum error_code code = address_parse(config()->rabbitmq_url, &address, e);
	if (code)
		return code;
	amqp_connection_state_t opened = amqp_new_connection();
	if (!opened)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	code = open_socket(opened, &address, deadline_ms, e);
	if (!code)
		code = log_in(opened, &address, name, deadline_ms, e);
	if (code)
		amqp_destroy_connection(opened);
	else
		*connection = opened;
	return code;
}

enum error_code broker_ping(int64_t deadline_ms, struct error *e)
{
	amqp_connection_state_t connection = NULL;
	enum error_code code = broker_connect("health", deadline_ms, &connection, e);
	broker_disconnect(&connection);
	return code;
}

void broker_disconnect(amqp_connection_state_t *connection)
{
	if (!*connection)
		return;
	/* Saying goodbye sends without a deadline: only where it cannot wait. */
	struct pollfd fd = { .fd = amqp_get_sockfd(*connection), .events = POLLOUT };
	if (fd.fd >= 0 && poll(&fd, 1, 0) == 1 && !(fd.revents & (POLLERR | POLLHUP))) {
		struct timeval timeout = { .tv_usec = CLOSE_TIMEOUT_MS * 1000L };
		amqp_set_rpc_timeout(*connection, &timeout);
		amqp_connection_close(*connection, AMQP_REPLY_SUCCESS);
	}
	broker_drop(connection);
}

void broker_drop(amqp_connection_state_t *connection)
{
	if (*connection)
		amqp_destroy_connection(*connection);
	*connection = NULL;
}
