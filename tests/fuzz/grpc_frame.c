/*
 * grpc_frame, under a fuzzer: what stands around and beside gRPC messages is
 * refused or read, the same in whatever pieces it comes, and reads back.
 *
 * The first byte is the size of the pieces.
 */
#include <stdint.h>
#include <stdlib.h>

#include "wire/grpc.h"
#include "wire/grpc_messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 16 * 1024 };

static void check(bool holds)
{
	if (!holds)
		abort();
}

static enum grpc_status take(struct grpc_intake *in, struct text bytes, size_t piece)
{
	const char *why = NULL;
	enum grpc_status status = GRPC_OK;
	while (bytes.n > 0 && status == GRPC_OK) {
		size_t n = piece < bytes.n ? piece : bytes.n;
		status = grpc_intake_take(in, (struct text){ bytes.s, n }, MOST, &why);
		bytes.s += n;
		bytes.n -= n;
	}
	check(status == GRPC_OK || why);
	check(in->message.size <= MOST);
	return status;
}

static void read_messages(struct text message)
{
	struct log_request *request = NULL;
	struct text name, text;
	CLEANUP(buffer_finish) struct buffer service = { 0 };
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	health_request_read(message, &service, NULL);
	log_response_read(message);
	if (log_request_read(message, &request, &name, &text, NULL))
		return;
	struct log_request *again = NULL;
	struct text name_again, text_again;
	log_request_append(&out, name, text);
	check(!log_request_read(buffer_text(&out), &again, &name_again, &text_again, NULL));
	check(text_equal(name, name_again) && text_equal(text, text_again));
	log_request_destroy(again);
	log_request_destroy(request);
}

static void read_beside(struct text bytes)
{
	CLEANUP(buffer_finish) struct buffer encoded = { 0 };
	CLEANUP(buffer_finish) struct buffer decoded = { 0 };
	char timeout[GRPC_TIMEOUT_BYTES];
	int64_t ms = 0;
	if (grpc_timeout_read(bytes, &ms)) {
		grpc_timeout_write(ms, timeout);
		check(grpc_timeout_read(text_of(timeout), &ms));
	}
	grpc_percent_encode(bytes, &encoded);
	grpc_percent_decode(buffer_text(&encoded), &decoded);
	check(text_equal(bytes, buffer_text(&decoded)));
	buffer_clear(&decoded);
	grpc_percent_decode(bytes, &decoded);
	check(decoded.size <= bytes.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct text bytes = { (const char *)data + 1, size - 1 };
	struct grpc_intake whole = { 0 };
	struct grpc_intake pieces = { 0 };
	enum grpc_status status = take(&whole, bytes, SIZE_MAX);
	check(take(&pieces, bytes, data[0] + 1U) == status);
	if (status == GRPC_OK) {
		check(whole.whole == pieces.whole);
		check(text_equal(buffer_text(&whole.message), buffer_text(&pieces.message)));
		if (whole.whole)
			read_messages(buffer_text(&whole.message));
	}
	read_messages(bytes);
	read_beside(bytes);
	grpc_intake_finish(&whole);
	grpc_intake_finish(&pieces);
	return 0;
}
