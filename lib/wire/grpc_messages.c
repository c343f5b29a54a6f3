/* grpc_messages: generated code knows the fields; what is text and what is missing is said here. */
#include "wire/grpc_messages.h"

#include <stdint.h>
#include <string.h>

#include <health.pb-c.h>
#include <logs.pb-c.h>

#include "core/utf8.h"

static ProtobufCBinaryData bytes_of(struct text text)
{
	return (ProtobufCBinaryData){ text.n, (uint8_t *)text.s };
}

static struct text text_from(const ProtobufCBinaryData *bytes)
{
	return bytes->data ? (struct text){ (const char *)bytes->data, bytes->len } : text_of("");
}

static void append_message(struct buffer *out, const ProtobufCMessage *message)
{
	size_t n = protobuf_c_message_get_packed_size(message);
	char *room = buffer_room(out, n);
	if (room)
		buffer_grew(out, protobuf_c_message_pack(message, (uint8_t *)room));
}

static bool is_clean(struct text text)
{
	return utf8_is_valid(text) && (text.n == 0 || !memchr(text.s, '\0', text.n));
}

/* ---- logs.proto ---- */

/* The struct has no members of its own: it is the generated one by another name. */
static Logs__LogRequest *generated(struct log_request *request)
{
	return (Logs__LogRequest *)request;
}

enum error_code log_request_read(struct text message, struct log_request **out, struct text *name,
				 struct text *data, struct error *e)
{
	Logs__LogRequest *r =
		logs__log_request__unpack(NULL, message.n, (const uint8_t *)message.s);
	if (!r)
		return error_set(e, ERROR_BAD_INPUT, "the message is no logs.LogRequest");
	*out = (struct log_request *)r;
	enum error_code code = ERROR_NONE;
	if (!r->logentry) {
		code = error_set(e, ERROR_BAD_INPUT, "logEntry: is missing");
	} else {
		*name = text_from(&r->logentry->name);
		*data = text_from(&r->logentry->data);
		if (!is_clean(*name))
			code = error_set(e, ERROR_BAD_INPUT,
					 "logEntry.name: must be UTF-8 without NUL");
		else if (!is_clean(*data))
			code = error_set(e, ERROR_BAD_INPUT,
					 "logEntry.data: must be UTF-8 without NUL");
	}
	if (code)
		log_request_destroy(*out);
	return code;
}

void log_request_destroy(struct log_request *request)
{
	logs__log_request__free_unpacked(generated(request), NULL);
}

void log_request_append(struct buffer *out, struct text name, struct text data)
{
	Logs__Log log = LOGS__LOG__INIT;
	Logs__LogRequest request = LOGS__LOG_REQUEST__INIT;
	log.name = bytes_of(name);
	log.data = bytes_of(data);
	request.logentry = &log;
	append_message(out, &request.base);
}

bool log_response_read(struct text message)
{
	Logs__LogResponse *r =
		logs__log_response__unpack(NULL, message.n, (const uint8_t *)message.s);
	logs__log_response__free_unpacked(r, NULL);
	return r != NULL;
}

void log_response_append(struct buffer *out, const char *result)
{
	Logs__LogResponse response = LOGS__LOG_RESPONSE__INIT;
	response.result = bytes_of(text_of(result));
	append_message(out, &response.base);
}

/* ---- health.proto ---- */

enum error_code health_request_read(struct text message, struct buffer *service, struct error *e)
{
	Grpc__Health__V1__HealthCheckRequest *r = grpc__health__v1__health_check_request__unpack(
		NULL, message.n, (const uint8_t *)message.s);
	if (!r)
		return error_set(e, ERROR_BAD_INPUT,
				 "the message is no grpc.health.v1.HealthCheckRequest");
	buffer_append_text(service, text_from(&r->service));
	grpc__health__v1__health_check_request__free_unpacked(r, NULL);
	return service->failed ? error_set(e, ERROR_INTERNAL, "out of memory") : ERROR_NONE;
}

void health_response_append(struct buffer *out, enum health health)
{
	Grpc__Health__V1__HealthCheckResponse response =
		GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	response.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)health;
	append_message(out, &response.base);
}

bool health_response_read(struct text message, enum health *health)
{
	Grpc__Health__V1__HealthCheckResponse *r = grpc__health__v1__health_check_response__unpack(
		NULL, message.n, (const uint8_t *)message.s);
	if (!r)
		return false;
	*health = (enum health)r->status;
	grpc__health__v1__health_check_response__free_unpacked(r, NULL);
	return true;
}
