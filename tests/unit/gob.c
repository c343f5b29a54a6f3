/* gob: what Go's encoding/gob writes is read and written alike; what it would not take is refused. */
#include "suite.h"

#include "hex.h"
#include "wire/gob.h"

enum { MOST = 1 << 20 };

struct payload {
	struct text name, data;
	uint64_t seq;
	int64_t number;
};

static const struct gob_member members[] = {
	{ "Name", GOB_STRING, offsetof(struct payload, name) },
	{ "Data", GOB_STRING, offsetof(struct payload, data) },
	{ "Seq", GOB_UINT, offsetof(struct payload, seq) },
	{ "Number", GOB_INT, offsetof(struct payload, number) },
};

static const struct gob_struct shape = { "Payload", "main.Payload", members, 4 };

static struct error error;

/* Reads a stream of messages and keeps its last value; the stream must hold one. */
static enum error_code read_all(struct gob_types *types, struct text stream,
				struct gob_value *value)
{
	struct text message;
	size_t used;
	*value = (struct gob_value){ 0 };
	while (stream.n > 0) {
		enum error_code code = gob_frame(stream, MOST, &message, &used, &error);
		if (!code && used == 0)
			fail_msg("a message is not whole");
		if (!code)
			code = gob_read(types, message, value, &error);
		if (code)
			return code;
		stream = (struct text){ stream.s + used, stream.n - used };
	}
	return ERROR_NONE;
}

static enum error_code read_payload(struct text stream, struct payload *p)
{
	CLEANUP(gob_types_finish) struct gob_types types = { 0 };
	struct gob_value value;
	enum error_code code = read_all(&types, stream, &value);
	return code ? code : gob_read_struct(&types, &value, &shape, p, &error);
}

/* A struct written and read again. */
static struct payload round_trip(const struct payload *p, struct buffer *out)
{
	struct payload got = { .name = text_of(""), .data = text_of("") };
	gob_write_definition(out, GOB_FIRST_TYPE, &shape);
	gob_write_struct(out, GOB_FIRST_TYPE, &shape, p);
	assert_false(out->failed);
	assert_int_equal(read_payload(buffer_text(out), &got), ERROR_NONE);
	return got;
}

static void a_struct_comes_back_as_it_was(void **state)
{
	static const uint64_t numbers[] = { 0,		1,	    127,       128,	 255,
					    256,	65535,	    65536,     1u << 31, UINT32_MAX,
					    1ull << 40, 1ull << 63, UINT64_MAX };
	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		CLEANUP(buffer_finish) struct buffer out = { 0 };
		struct payload p = { text_of("n"), text_of("d"), numbers[i], (int64_t)numbers[i] };
		struct payload got = round_trip(&p, &out);
		assert_true(got.seq == p.seq && got.number == p.number);
		assert_text_equal(got.name, "n");
		assert_text_equal(got.data, "d");
	}
}

static void texts_may_be_empty_long_and_any_bytes(void **state)
{
	(void)state;
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	CLEANUP(buffer_finish) struct buffer large = { 0 };
	for (int i = 0; i < 70000; i++)
		buffer_append(&large, &(char){ (char)i }, 1);
	struct payload p = { text_of(""), buffer_text(&large), 0, -1 };
	struct payload got = round_trip(&p, &out);
	assert_int_equal(got.name.n, 0);
	assert_int_equal(got.number, -1);
	assert_true(text_equal(got.data, p.data));
}

static void the_bytes_are_those_of_go(void **state)
{
	static const struct gob_struct plain = { "RPCPayload", "main.RPCPayload", members, 2 };
	static const struct gob_struct nothing = { "", "struct {}", NULL, 0 };
	static const char expected[] = "\x2a\xff\x83\x03\x01\x01\x0aRPCPayload\x01\xff\x84\x00\x01"
				       "\x02\x01\x04Name\x01\x0c\x00\x01\x04"
				       "Data\x01\x0c\x00\x00\x00"
				       "\x0f\xff\x84\x01\x03log\x01\x05hello\x00"
				       "\x0f\xff\x84\x02\x0a"
				       "empty name\x00"
				       "\x03\xff\x84\x00"
				       "\x0a\xff\x85\x03\x01\x02\xff\x86\x00\x00\x00"
				       "\x03\xff\x86\x00"
				       "\x06\x0c\x00\x03"
				       "abc";
	(void)state;
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	struct payload p = { .name = text_of("log"), .data = text_of("hello") };
	gob_write_definition(&out, 66, &plain);
	gob_write_struct(&out, 66, &plain, &p);
	p = (struct payload){ .name = text_of(""), .data = text_of("empty name") };
	gob_write_struct(&out, 66, &plain, &p);
	p.data = text_of("");
	gob_write_struct(&out, 66, &plain, &p);
	gob_write_definition(&out, 67, &nothing);
	gob_write_struct(&out, 67, &nothing, NULL);
	gob_write_string(&out, text_of("abc"));
	assert_int_equal(out.size, sizeof(expected) - 1);
	assert_memory_equal(out.bytes, expected, sizeof(expected) - 1);
}

/* The definition of a struct as any sender may order and name its fields. */
struct other {
	uint64_t flag;
	struct text data, more, name;
};

static const struct gob_member other_members[] = {
	{ "Flag", GOB_UINT, offsetof(struct other, flag) },
	{ "Data", GOB_STRING, offsetof(struct other, data) },
	{ "More", GOB_STRING, offsetof(struct other, more) },
	{ "Name", GOB_STRING, offsetof(struct other, name) },
};

static void fields_are_found_by_name_whatever_their_order_and_others_skipped(void **state)
{
	static const struct gob_struct sent = { "Other", "main.Other", other_members, 4 };
	(void)state;
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	struct other o = { 7, text_of("the data"), text_of("more"), text_of("the name") };
	struct payload got = { .seq = 5, .number = 6 };
	gob_write_definition(&out, 100, &sent);
	gob_write_struct(&out, 100, &sent, &o);
	assert_int_equal(read_payload(buffer_text(&out), &got), ERROR_NONE);
	assert_text_equal(got.name, "the name");
	assert_text_equal(got.data, "the data");
	assert_true(got.seq == 5 && got.number == 6); /* did not come: kept */
}

/* What Go 1.26 sends for struct{L …; Name string} with the Name "x". */
static const struct {
	const char *what, *stream;
} skipped[] = {
	{ "a slice", "1f7f03010102545301ff8000010201014c01ff820001044e616d65010c00000016ff81"
		     "020101085b5d737472696e6701ff8200010c00000cff8001020161016201017800" },
	{ "a map", "20ff8303010102544d01ff8400010201014c01ff860001044e616d65010c0000001eff"
		   "850401010e6d61705b737472696e675d696e7401ff8600010c010400000bff84010101"
		   "6b5401017800" },
	{ "an array", "20ff8703010102544101ff8800010201014c01ff8a0001044e616d65010c00000017ff"
		      "89010101075b325d75696e7401ff8a000106010400000aff880102010201017800" },
	{ "an encoder's bytes",
	  "20ff8b03010102544501ff8c00010201014c01ff8e0001044e616d65010c0000000dff"
	  "8d050101014501ff8e00000006ff8c02017800" },
	{ "an interface", "1fff8f03010102544901ff9000010201014c01100001044e616d65010c0000000fff90"
			  "0103696e740402000e01017800" },
	{ "a complex number",
	  "1fff9503010102544301ff9600010201014c010e0001044e616d65010c0000000bff96"
	  "01fef03f4001017800" },
	{ "a struct", "20ff9703010102544e01ff9800010201014c01ff940001044e616d65010c0000001dff"
		      "930301010353756201ff94000102010141010c00010142010c0000000eff9801010170"
		      "0101710001017800" },
	{ "bytes, a float and a boolean",
	  "2bff9903010102544201ff9a00010401014c010a000101460108000101420102000104"
	  "4e616d65010c00000011ff9a010361626301fef83f010101017800" },
};

static void fields_of_any_kind_are_skipped(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(skipped) / sizeof(skipped[0]); i++) {
		struct payload got = { .name = text_of("") };
		error = (struct error){ 0 };
		CLEANUP(buffer_finish) struct buffer stream = bytes_of(skipped[i].stream);
		if (read_payload(buffer_text(&stream), &got) || !text_equal(got.name, text_of("x")))
			fail_msg("%s: %s", skipped[i].what, error.text);
	}
}

static const struct {
	const char *stream, *sentence;
} of_another_type[] = {
	{ "03040054",
	  "gob: type mismatch in decoder: want struct type main.Payload; got non-struct" },
	{ "050c00027879",
	  "gob: type mismatch in decoder: want struct type main.Payload; got non-struct" },
	{ "1cff9b03010105574e616d6501ff9c00010101044e616d65010400000005ff9c010a00",
	  "gob: wrong type (string) for received field WName.Name" },
	{ "1aff9d030101045753657101ff9e0001010103536571010c00000006ff9e01017800",
	  "gob: wrong type (uint64) for received field WSeq.Seq" },
	{ "1bff9f03010105574e6f6e6501ffa00001010103466f6f010c00000006ffa001017900",
	  "gob: type mismatch: no fields matched compiling decoder for Payload" },
};

static void a_value_of_another_type_is_refused_in_go_s_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(of_another_type) / sizeof(of_another_type[0]); i++) {
		struct payload got = { 0 };
		CLEANUP(buffer_finish) struct buffer stream = bytes_of(of_another_type[i].stream);
		assert_int_equal(read_payload(buffer_text(&stream), &got), ERROR_UNPROCESSABLE);
		assert_string_equal(error.text, of_another_type[i].sentence);
	}
}

static void a_struct_without_fields_leaves_everything_as_it_was(void **state)
{
	(void)state;
	struct payload got = { .seq = 3 };
	assert_int_equal(read_payload(TEXT_LITERAL("\x0a\xff\x83\x03\x01\x02\xff\x84\x00\x00\x00"
						   "\x03\xff\x84\x00"),
				      &got),
			 ERROR_NONE);
	assert_int_equal(got.seq, 3);
}

static const struct text malformed[] = {
	TEXT_LITERAL("\x01\x80"),     /* a number of 128 bytes */
	TEXT_LITERAL("\x02\xf7\x01"), /* of 9 */
	TEXT_LITERAL("\x02\xff"
		     "\x00"),		      /* type 0 */
	TEXT_LITERAL("\x03\xff\x84\x00"),     /* never defined */
	TEXT_LITERAL("\x02\x0c\x00"),	      /* a string without a length */
	TEXT_LITERAL("\x05\x0c\x00\x05xy"),   /* a string longer than its message */
	TEXT_LITERAL("\x05\x0c\x01\x02xy"),   /* no lead */
	TEXT_LITERAL("\x06\x0c\x00\x02xyz"),  /* more than the string */
	TEXT_LITERAL("\x02\xff\x81"),	      /* a definition of nothing */
	TEXT_LITERAL("\x03\xff\x81\x00"),     /* the same */
	TEXT_LITERAL("\x04\xff\x81\x20\x00"), /* of an unknown kind */
	TEXT_LITERAL(
		"\x0a\x0b\x03\x01\x02\xff\x84\x00\x00\x00\x00"), /* of a type that is built in */
	TEXT_LITERAL("\x0b\xff\x83\x03\x01\x02\xff\x84\x00\x00\x00\x00"), /* with more behind it */
	TEXT_LITERAL("\x0a\xff\x83\x03\x01\x02\xff\x84\x00\x00\x00"	  /* twice */
		     "\x0a\xff\x83\x03\x01\x02\xff\x84\x00\x00\x00"),
	TEXT_LITERAL("\x0a\xff\x83\x03\x01\x02\xff\x84\x00\x00\x00" /* a field it has not */
		     "\x05\xff\x84\x01\x00\x00"),
	TEXT_LITERAL("\x0a\xff\x83\x03\x01\x02\xff\x84\x00\x00\x00" /* no end */
		     "\x02\xff\x84"),
	TEXT_LITERAL("\x0d\xff\x83\x03\x01\x02\xff\x84\x00\x01\xfe\xff\xff\x00"), /* 65535 fields */
	TEXT_LITERAL("\x0d\xff\x83\x02\x01\x02\xff\x84\x00\x01\xff\x84\x00\x00"	  /* of itself */
		     "\x15\xff\x84\x00\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
		     "\x01\x01\x00"),
	TEXT_LITERAL("\x0c\xff\x83\x02\x01\x02\xff\x84\x00\x01\x0c\x00\x00" /* 2^63 elements */
		     "\x0d\xff\x84\x00\xf8\x80\x00\x00\x00\x00\x00\x00\x00\x00"),
};

static void what_is_malformed_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		struct payload got = { 0 };
		enum error_code code = read_payload(malformed[i], &got);
		if (code != ERROR_BAD_INPUT)
			fail_msg("malformed[%zu]: %d %s", i, code, error.text);
	}
}

static void a_message_that_is_not_whole_waits_for_more(void **state)
{
	static const char long_message[] = "\xfe\x01\x36";
	struct text message;
	size_t used = 1;
	(void)state;
	for (size_t n = 0; n < sizeof(long_message); n++) {
		assert_int_equal(
			gob_frame((struct text){ long_message, n }, MOST, &message, &used, &error),
			ERROR_NONE);
		assert_int_equal(used, 0);
	}
	assert_int_equal(gob_frame(TEXT_LITERAL("\x03\x0c\x00"), MOST, &message, &used, &error),
			 ERROR_NONE);
	assert_int_equal(used, 0);
	assert_int_equal(
		gob_frame(TEXT_LITERAL("\x03\x0c\x00\x00\x01"), MOST, &message, &used, &error),
		ERROR_NONE);
	assert_int_equal(used, 4);
	assert_int_equal(message.n, 3);
}

static void a_length_over_the_limit_is_refused_before_anything_of_it_comes(void **state)
{
	struct text message;
	size_t used;
	(void)state;
	assert_int_equal(gob_frame(TEXT_LITERAL("\xfd\x10\x00\x01"), MOST, &message, &used, &error),
			 ERROR_TOO_LARGE);
	assert_int_equal(gob_frame(TEXT_LITERAL("\xf8\xff\xff\xff\xff\xff\xff\xff\xff"), MOST,
				   &message, &used, &error),
			 ERROR_TOO_LARGE);
	assert_int_equal(gob_frame(TEXT_LITERAL("\xfd\x10\x00\x00"), MOST, &message, &used, &error),
			 ERROR_NONE);
	assert_int_equal(gob_frame(TEXT_LITERAL("\x00"), MOST, &message, &used, &error),
			 ERROR_BAD_INPUT);
	assert_int_equal(
		gob_frame(TEXT_LITERAL("GET / HTTP/1.1\r\n"), MOST, &message, &used, &error),
		ERROR_NONE); /* 71 bytes to come */
	assert_int_equal(gob_frame(TEXT_LITERAL("\x80"), MOST, &message, &used, &error),
			 ERROR_BAD_INPUT);
}

static void types_have_a_bound_of_count_and_of_bytes(void **state)
{
	static const struct gob_struct nothing = { "", "struct {}", NULL, 0 };
	char name[2000];
	struct gob_struct named = { name, "main.T", NULL, 0 };
	struct gob_value value;
	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (int large = 0; large < 2; large++) {
		CLEANUP(gob_types_finish) struct gob_types types = { 0 };
		int taken = 0;
		for (int i = 0; i < GOB_MAX_TYPES + 1; i++) {
			CLEANUP(buffer_finish) struct buffer out = { 0 };
			gob_write_definition(&out, GOB_FIRST_TYPE + i, large ? &named : &nothing);
			taken += read_all(&types, buffer_text(&out), &value) == ERROR_NONE;
		}
		assert_int_equal(taken, large ? GOB_MAX_DEFINITIONS_BYTES / 2000 : GOB_MAX_TYPES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_struct_comes_back_as_it_was),
		cmocka_unit_test(texts_may_be_empty_long_and_any_bytes),
		cmocka_unit_test(the_bytes_are_those_of_go),
		cmocka_unit_test(fields_are_found_by_name_whatever_their_order_and_others_skipped),
		cmocka_unit_test(fields_of_any_kind_are_skipped),
		cmocka_unit_test(a_value_of_another_type_is_refused_in_go_s_words),
		cmocka_unit_test(a_struct_without_fields_leaves_everything_as_it_was),
		cmocka_unit_test(what_is_malformed_is_refused),
		cmocka_unit_test(a_message_that_is_not_whole_waits_for_more),
		cmocka_unit_test(a_length_over_the_limit_is_refused_before_anything_of_it_comes),
		cmocka_unit_test(types_have_a_bound_of_count_and_of_bytes),
	};
	return RUN_SUITE(tests);
}
