/*
 * config: every setting, read once from the environment.
 *
 * A variable NAME may be given as NAME_FILE instead: the setting is then that
 * file's contents less one newline at its end (secrets). A secret that is given
 * in neither way is read in the same form from flexiconnect_NAME in
 * CREDENTIALS_DIRECTORY, where systemd puts credentials. A variable that is unset
 * or empty has its default. The table in config.c is the only list; it also
 * prints `flexi config` and docs/configuration.md.
 */
#ifndef FLEXI_CORE_CONFIG_H
#define FLEXI_CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "core/log.h"

enum mail_transport { MAIL_TRANSPORT_DIRECT, MAIL_TRANSPORT_AMQP };
enum logs_access { LOGS_ACCESS_OFF, LOGS_ACCESS_TOKEN, LOGS_ACCESS_OPEN };
enum mail_encryption { MAIL_ENCRYPTION_NONE, MAIL_ENCRYPTION_TLS, MAIL_ENCRYPTION_SSL };

struct config {
	const char *run_dir;
	const char *handlers_dir;
	const char *templates_dir;
	const char *migrations_dir;
	const char *triggers_file;
	const char *fdholder_socket;
	const char *notify_socket;
	const char *seed;
	const char *admin_email;
	const char *admin_password;
	const char *dsn;
	const char *mongo_url;
	const char *rabbitmq_url;
	const char *internal_url;
	const char *queue_url;
	const char *tls_ca_file;
	const char *log_transports;
	const char *health_parts;
	const char *log_rpc_addr;
	const char *log_rpc_listen;
	const char *log_grpc_addr;
	const char *log_grpc_listen;
	const char *logs_token;
	const char *mail_domain;
	const char *mail_host;
	const char *mail_username;
	const char *mail_password;
	const char *from_name;
	const char *from_address;
	long mail_port;
	long mail_encryption; /* enum mail_encryption */
	long log_level;	      /* enum log_level */
	long logs_access;     /* enum logs_access */
	long workers;
	long stop_delay_ms;
	long drain_timeout_ms;
	long request_timeout_ms;
	long store_timeout_ms;
	long confirm_timeout_ms;
	long mail_timeout_ms;
	long mail_max_bytes;
	long mail_transport; /* enum mail_transport */
	long max_batch_bytes;
	long log_rpc_max_connections;
	long log_rpc_max_message_bytes;
	long log_rpc_idle_timeout_ms;
	long log_grpc_max_connections;
	long log_grpc_max_message_bytes;
	long log_grpc_idle_timeout_ms;
};

/*
 * Reads the environment. The first wrong value is an ERROR_CONFIG that names
 * the variable. Call it once, from main, before threads. What it allocates
 * lives as long as the process.
 */
enum error_code config_load(struct error *e);

/* The settings; the defaults before config_load. Never NULL. */
const struct config *config(void);

/* One row of the table, for those who print it. */
struct config_variable {
	const char *name;
	const char *type;   /* "text", "path", "URL", "number", "a|b|c" */
	const char *preset; /* the default as it would be written */
	const char *about;
	bool secret; /* never print its value */
};

/* The table's row i, or false past its end. */
bool config_variable(size_t i, struct config_variable *row);

/* The value in force of row i as text; secrets as "(set)" or "". out is cut to size. */
void config_value(size_t i, char *out, size_t size);

#endif
