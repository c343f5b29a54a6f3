/* config: the table of settings and the one place that reads the environment. */
#include "core/config.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buffer.h"

enum kind { KIND_TEXT, KIND_NUMBER, KIND_CHOICE };

enum { MAX_SETTING_FILE_BYTES = 64 * 1024, PATH_BYTES = 1024 };

struct variable {
	const char *name;
	enum kind kind;
	const char *type;
	const char *preset;
	long least, most; /* of a number, both included */
	size_t offset;
	bool secret;
	const char *about;
};

#define TEXT(NAME, member, type, preset, about)                                                    \
	{                                                                                          \
		NAME, KIND_TEXT, type, preset, 0, 0, offsetof(struct config, member), false, about \
	}
#define SECRET(NAME, member, type, preset, about)                                                  \
	{                                                                                          \
		NAME, KIND_TEXT, type, preset, 0, 0, offsetof(struct config, member), true, about  \
	}
#define NUMBER(NAME, member, preset, least, most, about)                                           \
	{                                                                                          \
		NAME, KIND_NUMBER, "number", preset, least, most, offsetof(struct config, member), \
			false, about                                                               \
	}
#define CHOICE(NAME, member, choices, preset, about)                                               \
	{                                                                                          \
		NAME, KIND_CHOICE, choices, preset, 0, 0, offsetof(struct config, member), false,  \
			about                                                                      \
	}

/* A choice's value is the position of its word, as the enum beside the member counts. */
static const struct variable variables[] = {
	TEXT("RUN_DIR", run_dir, "path", "run", "Where a running stack keeps sockets and state"),
	TEXT("HANDLERS_DIR", handlers_dir, "path", "run/handlers",
	     "Where programs are dropped in: public/, internal/, queue/"),
	TEXT("TEMPLATES_DIR", templates_dir, "path", "templates", "Mail templates"),
	TEXT("MIGRATIONS_DIR", migrations_dir, "path", ".",
	     "What holds sql/ and mongo-init/ for flexi migrate"),
	TEXT("TRIGGERS_FILE", triggers_file, "path", "triggers.conf",
	     "Which queue feeds which handler"),
	TEXT("FDHOLDER_SOCKET", fdholder_socket, "path", "",
	     "The holder that keeps listening sockets while a pool restarts; empty: none"),
	TEXT("NOTIFY_SOCKET", notify_socket, "path", "",
	     "Where a daemon tells systemd that it is ready; set by systemd"),
	TEXT("SEED", seed, "text", "",
	     "Names a development seed that flexi migrate applies too: dev; empty: none"),
	TEXT("ADMIN_EMAIL", admin_email, "text", "",
	     "Whom flexi migrate makes a user, where there is none of that address; empty: nobody"),
	SECRET("ADMIN_PASSWORD", admin_password, "text", "",
	       "That user's password, needed until there is one: 12 to 72 bytes, and no known one"),
	SECRET("DSN", dsn, "text", "host=127.0.0.1 user=postgres dbname=users",
	       "PostgreSQL, as libpq's connection string or URI"),
	SECRET("MONGO_URL", mongo_url, "URL", "mongodb://127.0.0.1:27017/", "MongoDB"),
	SECRET("RABBITMQ_URL", rabbitmq_url, "URL", "amqp://guest:guest@127.0.0.1:5672/",
	       "RabbitMQ; amqps:// for TLS, always verified"),
	TEXT("INTERNAL_URL", internal_url, "URL", "unix:run/internal.sock",
	     "The internal site: http://HOST:PORT, or unix:PATH of its socket"),
	TEXT("QUEUE_URL", queue_url, "URL", "unix:run/queue.sock",
	     "The queue site, in the same forms"),
	TEXT("TLS_CA_FILE", tls_ca_file, "path", "/etc/ssl/certs/ca-certificates.crt",
	     "Certificates that peers are verified against"),
	TEXT("LOG_TRANSPORTS", log_transports, "list", "amqp,rpc,grpc,http",
	     "Ways to the log, in the order in which they are tried"),
	TEXT("HEALTH_PARTS", health_parts, "list", "postgres,store,rabbitmq,listener,mail,rpc,grpc",
	     "What GET /health of the internal site asks for"),
	TEXT("LOG_RPC_ADDR", log_rpc_addr, "address", "127.0.0.1:5001",
	     "Where the transport rpc finds the log server: HOST:PORT"),
	TEXT("LOG_RPC_LISTEN", log_rpc_listen, "address", "127.0.0.1:5001",
	     "Where rpc-logd listens: ADDRESS:PORT, a numeric address"),
	NUMBER("LOG_RPC_MAX_CONNECTIONS", log_rpc_max_connections, "2048", 1, 65536,
	       "How many connections rpc-logd has at once"),
	NUMBER("LOG_RPC_MAX_MESSAGE_BYTES", log_rpc_max_message_bytes, "1114112", 1024, 16777216,
	       "How large a message to rpc-logd may be, in bytes"),
	NUMBER("LOG_RPC_IDLE_TIMEOUT_MS", log_rpc_idle_timeout_ms, "3600000", 100, 86400000,
	       "How long rpc-logd keeps a connection without calls, in milliseconds"),
	TEXT("LOG_GRPC_ADDR", log_grpc_addr, "address", "127.0.0.1:50001",
	     "Where the transport grpc finds the log server: HOST:PORT, or https://HOST:PORT"),
	TEXT("LOG_GRPC_LISTEN", log_grpc_listen, "address", "127.0.0.1:50001",
	     "Where grpc-logd listens: ADDRESS:PORT, a numeric address"),
	NUMBER("LOG_GRPC_MAX_CONNECTIONS", log_grpc_max_connections, "2048", 1, 65536,
	       "How many connections grpc-logd has at once"),
	NUMBER("LOG_GRPC_MAX_MESSAGE_BYTES", log_grpc_max_message_bytes, "4194304", 1024, 16777216,
	       "How large a request to grpc-logd may be, in bytes"),
	NUMBER("LOG_GRPC_IDLE_TIMEOUT_MS", log_grpc_idle_timeout_ms, "300000", 100, 86400000,
	       "How long grpc-logd keeps a connection without calls, in milliseconds"),
	CHOICE("LOGS_ACCESS", logs_access, "off|token|open", "off",
	       "Who may read stored entries by GET /logs; token: who knows LOGS_TOKEN"),
	SECRET("LOGS_TOKEN", logs_token, "text", "", "What opens GET /logs, as a bearer token"),
	TEXT("MAIL_DOMAIN", mail_domain, "text", "localhost",
	     "The name the mail client greets with, and of message ids"),
	TEXT("MAIL_HOST", mail_host, "text", "127.0.0.1", "SMTP server"),
	NUMBER("MAIL_PORT", mail_port, "1025", 1, 65535, "SMTP port"),
	TEXT("MAIL_USERNAME", mail_username, "text", "", "SMTP user; empty: no authentication"),
	SECRET("MAIL_PASSWORD", mail_password, "text", "", "SMTP password"),
	CHOICE("MAIL_ENCRYPTION", mail_encryption, "none|tls|ssl", "none",
	       "tls: STARTTLS, required; ssl: TLS from the first byte"),
	NUMBER("MAIL_MAX_BYTES", mail_max_bytes, "10485760", 65536, 16777216,
	       "The largest mail that is taken, attachments in base64, in bytes"),
	CHOICE("MAIL_TRANSPORT", mail_transport, "direct|amqp", "direct",
	       "How the handler handle passes mails on: to send at once, or by the queue mail"),
	TEXT("FROM_NAME", from_name, "text", "", "Display name of mails"),
	TEXT("FROM_ADDRESS", from_address, "text", "no-reply@localhost",
	     "Sender of mails that name none"),
	CHOICE("LOG_LEVEL", log_level, "error|warning|info|debug", "info",
	       "The least important lines that are logged"),
	NUMBER("WORKERS", workers, "2", 1, 256, "Workers of a pool"),
	NUMBER("STOP_DELAY_MS", stop_delay_ms, "0", 0, 600000,
	       "How long a pool or log server that is told to stop goes on serving first, in "
	       "milliseconds"),
	NUMBER("DRAIN_TIMEOUT_MS", drain_timeout_ms, "30000", 0, 3600000,
	       "How long a stopped worker may finish the request in hand, in milliseconds"),
	NUMBER("REQUEST_TIMEOUT_MS", request_timeout_ms, "20000", 100, 600000,
	       "How long a handler has for one request, in milliseconds"),
	NUMBER("STORE_TIMEOUT_MS", store_timeout_ms, "3000", 100, 60000,
	       "How long one call to PostgreSQL or MongoDB may take, in milliseconds"),
	NUMBER("CONFIRM_TIMEOUT_MS", confirm_timeout_ms, "5000", 100, 60000,
	       "How long RabbitMQ may take to confirm, in milliseconds"),
	NUMBER("MAIL_TIMEOUT_MS", mail_timeout_ms, "10000", 100, 600000,
	       "How long the mail server may take for one mail, in milliseconds"),
	NUMBER("MAX_BATCH_BYTES", max_batch_bytes, "4194304", 4096, 8388608,
	       "How large a batch from a queue to a handler may grow, in bytes"),
};

enum { VARIABLES = sizeof(variables) / sizeof(variables[0]) };

static struct config values;

static void **text_slot(const struct variable *v)
{
	return (void **)((char *)&values + v->offset);
}

static long *number_slot(const struct variable *v)
{
	return (long *)((char *)&values + v->offset);
}

/* The position of word among "a|b|c", or -1. */
static long choice_position(const char *choices, const char *word)
{
	size_t n = strlen(word);
	for (long position = 0; *choices; position++) {
		size_t length = strcspn(choices, "|");
		if (length == n && memcmp(choices, word, n) == 0)
			return position;
		choices += length + (choices[length] == '|');
	}
	return -1;
}

static enum error_code set(const struct variable *v, const char *value, struct error *e)
{
	if (v->kind == KIND_TEXT) {
		char *copy = strdup(value);
		if (!copy)
			return error_set(e, ERROR_INTERNAL, "out of memory");
		free(*text_slot(v));
		*text_slot(v) = copy;
		return ERROR_NONE;
	}
	if (v->kind == KIND_CHOICE) {
		long position = choice_position(v->type, value);
		if (position < 0)
			return error_set(e, ERROR_CONFIG, "%s: must be one of %s", v->name,
					 v->type);
		*number_slot(v) = position;
		return ERROR_NONE;
	}
	errno = 0;
	char *end;
	long number = strtol(value, &end, 10);
	if (errno || *end || end == value || number < v->least || number > v->most)
		return error_set(e, ERROR_CONFIG, "%s: must be a number from %ld to %ld", v->name,
				 v->least, v->most);
	*number_slot(v) = number;
	return ERROR_NONE;
}

/* Reads the file that holds a setting, called name in errors; on success the caller frees *out. */
static enum error_code read_file(const char *name, const char *path, char **out, struct error *e)
{
	CLEANUP(buffer_finish) struct buffer b = { 0 };
	FILE *f = fopen(path, "re");
	if (!f)
		return error_set(e, ERROR_CONFIG, "%s: %s: %s", name, path, strerror(errno));
	char *room = buffer_room(&b, MAX_SETTING_FILE_BYTES + 1);
	size_t n = room ? fread(room, 1, MAX_SETTING_FILE_BYTES + 1, f) : 0;
	int failed = ferror(f);
	fclose(f);
	if (!room)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	if (failed || n > MAX_SETTING_FILE_BYTES || memchr(room, '\0', n))
		return error_set(e, ERROR_CONFIG, "%s: %s: not a text of at most %d bytes", name,
				 path, MAX_SETTING_FILE_BYTES);
	if (n > 0 && room[n - 1] == '\n')
		n--;
	buffer_grew(&b, n);
	*out = buffer_take(&b, NULL);
	return *out ? ERROR_NONE : error_set(e, ERROR_INTERNAL, "out of memory");
}

/* Where systemd has put a secret for this program; false if it has not. */
static bool find_credential(const struct variable *v, char path[PATH_BYTES])
{
	const char *directory = v->secret ? getenv("CREDENTIALS_DIRECTORY") : NULL;
	if (!directory || !*directory)
		return false;
	int n = snprintf(path, PATH_BYTES, "%s/flexiconnect_%s", directory, v->name);
	return n > 0 && n < PATH_BYTES && access(path, F_OK) == 0;
}

static enum error_code load(const struct variable *v, struct error *e)
{
	char file_name[64];
	char credential[PATH_BYTES];
	snprintf(file_name, sizeof(file_name), "%s_FILE", v->name);
	const char *value = getenv(v->name);
	const char *path = getenv(file_name);
	if (value && *value && path && *path)
		return error_set(e, ERROR_CONFIG, "%s and %s_FILE: only one may be set", v->name,
				 v->name);
	if (value && *value)
		return set(v, value, e);
	if (!path || !*path) {
		if (!find_credential(v, credential))
			return set(v, v->preset, e);
		path = credential;
		snprintf(file_name, sizeof(file_name), "%s", v->name);
	}
	char *contents = NULL;
	enum error_code code = read_file(file_name, path, &contents, e);
	if (code == ERROR_NONE)
		code = set(v, *contents ? contents : v->preset, e);
	free(contents);
	return code;
}

enum error_code config_load(struct error *e)
{
	for (size_t i = 0; i < VARIABLES; i++) {
		enum error_code code = load(&variables[i], e);
		if (code)
			return code;
	}
	return ERROR_NONE;
}

const struct config *config(void)
{
	if (!values.run_dir) {
		for (size_t i = 0; i < VARIABLES; i++)
			set(&variables[i], variables[i].preset, NULL);
	}
	return &values;
}

bool config_variable(size_t i, struct config_variable *row)
{
	if (i >= VARIABLES)
		return false;
	const struct variable *v = &variables[i];
	*row = (struct config_variable){ v->name, v->type, v->preset, v->about, v->secret };
	return true;
}

void config_value(size_t i, char *out, size_t size)
{
	const struct variable *v = &variables[i];
	const char *text = "";
	config();
	if (v->kind == KIND_NUMBER) {
		snprintf(out, size, "%ld", *number_slot(v));
		return;
	}
	if (v->kind == KIND_TEXT) {
		text = *text_slot(v);
		snprintf(out, size, "%s", v->secret && *text ? "(set)" : text);
		return;
	}
	const char *word = v->type;
	for (long skip = *number_slot(v); skip > 0; skip--)
		word += strcspn(word, "|") + 1;
	snprintf(out, size, "%.*s", (int)strcspn(word, "|"), word);
}
