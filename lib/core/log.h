/*
 * log: one JSON object a line on standard error, written by one write(2) up to
 * PIPE_BUF bytes, so that lines of several processes do not mix.
 *
 *	log_info("stored", LOG_TEXT("id", id), LOG_INT("entries", n));
 *
 * gives {"time":"…","level":"info","program":"log","pid":7,"request_id":"…",
 * "trace":"…","message":"stored","id":"…","entries":3}. What is not UTF-8 or is
 * a control character is escaped. A value over 1.5 KiB is cut, and
 * a line over 8 KiB leaves fields out and says "cut":true. A line that cannot be
 * written within a second is dropped, and the next says how many were "lost".
 * errno is kept.
 * Never log a password, a hash, a token, or the body of a mail or an entry.
 */
#ifndef FLEXI_CORE_LOG_H
#define FLEXI_CORE_LOG_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log_field {
	const char *key;  /* an identifier of ours, written as it is */
	const char *text; /* the value, or NULL for number */
	int64_t number;
};

/* Fields of a line. A NULL text is logged as an empty one. */
static inline struct log_field log_field_text(const char *key, const char *text)
{
	return (struct log_field){ .key = key, .text = text ? text : "" };
}

static inline struct log_field log_field_number(const char *key, int64_t number)
{
	return (struct log_field){ .key = key, .number = number };
}

#define LOG_TEXT(key, text)  log_field_text((key), (text))
#define LOG_INT(key, number) log_field_number((key), (int64_t)(number))
#define LOG_ERRNO(number)    log_field_text("reason", strerror(number))
#define LOG_REASON(error)    log_field_text("reason", (error)->text)

#define log_at(level, message, ...)                                                                \
	log_write((level), (message), (const struct log_field[]){ { 0 }, ##__VA_ARGS__ },          \
		  sizeof((const struct log_field[]){ { 0 }, ##__VA_ARGS__ }) /                     \
			  sizeof(struct log_field))
#define log_error(message, ...)	  log_at(LOG_LEVEL_ERROR, message, ##__VA_ARGS__)
#define log_warning(message, ...) log_at(LOG_LEVEL_WARNING, message, ##__VA_ARGS__)
#define log_info(message, ...)	  log_at(LOG_LEVEL_INFO, message, ##__VA_ARGS__)
#define log_debug(message, ...)	  log_at(LOG_LEVEL_DEBUG, message, ##__VA_ARGS__)

/* Names the program in every line, and drops lines above level. program must stay valid. */
void log_init(const char *program, enum log_level level);

/*
 * What is being worked on: stands in every line of this thread, and is passed
 * on to every peer, until set anew. Both are copied; NULL or "" clears.
 */
void log_set_context(const char *request_id, const char *traceparent);
const char *log_request_id(void);
const char *log_traceparent(void);

/* The name that log_init got, "" before. */
const char *log_program(void);

/* What the macros call. The first field is a placeholder, so that a message may have none. */
void log_write(enum log_level level, const char *message, const struct log_field *fields,
	       size_t count);

#endif
