/* bcrypt: what matches, what never does, and that no answer comes sooner than another. */
#include "suite.h"

#include "core/clock.h"
#include "store/password.h"

/* The hash of an empty password, as a Java implementation's tests have it. */
static const char of_nothing[] = "$2a$10$k1wbIrmNyFAPwPVPSVa/zecw2BCEnBwVS2GbrmgzxFUOqW9dk4TCW";

static void a_hash_matches_its_password_and_no_other(void **state)
{
	(void)state;
	char hash[PASSWORD_HASH_BYTES];
	assert_int_equal(password_hash(text_of("p\xc3\xa4ss word"), hash, NULL), ERROR_NONE);
	assert_memory_equal(hash, "$2b$12$", 7);
	assert_true(password_hash_is_valid(hash));
	assert_true(password_matches(text_of("p\xc3\xa4ss word"), hash));
	assert_false(password_matches(text_of("p\xc3\xa4ss wore"), hash));
	assert_false(password_matches(text_of(""), hash));
	assert_false(password_matches(TEXT_LITERAL("p\xc3\xa4ss word\0x"), hash));
}

static void the_same_password_never_has_the_same_hash(void **state)
{
	(void)state;
	char one[PASSWORD_HASH_BYTES];
	char other[PASSWORD_HASH_BYTES];
	assert_int_equal(password_hash(text_of("x"), one, NULL), ERROR_NONE);
	assert_int_equal(password_hash(text_of("x"), other, NULL), ERROR_NONE);
	assert_string_not_equal(one, other);
}

static void hashes_of_other_implementations_match(void **state)
{
	(void)state;
	char hash[PASSWORD_HASH_BYTES];
	memcpy(hash, of_nothing, sizeof(hash));
	for (const char *variant = "aby"; *variant; variant++) {
		hash[2] = *variant;
		assert_true(password_matches(text_of(""), hash));
		assert_false(password_matches(text_of("x"), hash));
	}
}

static void what_is_no_hash_never_matches(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"",
		"secret",
		"*0",
		"$2a$31$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234", /* days of work */
		"$2a$09$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
		"$2a$15$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
		"$2x$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
		"$2a$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ0123",
		"$2a$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ012345",
		"$2a$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ0123!",
		"$6$12$$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
	};
	assert_true(password_hash_is_valid(
		"$2a$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(password_hash_is_valid(wrong[i]));
	assert_false(password_matches(text_of("secret"), wrong[1]));
	assert_false(password_matches(text_of(""), NULL));
}

static void a_password_that_bcrypt_would_cut_is_not_set(void **state)
{
	(void)state;
	char hash[PASSWORD_HASH_BYTES];
	char long_one[MAX_PASSWORD_BYTES + 2];
	memset(long_one, 'x', sizeof(long_one));
	struct error e = { 0 };
	struct text text = { long_one, MAX_PASSWORD_BYTES + 1 };
	assert_int_equal(password_hash(text, hash, &e), ERROR_UNPROCESSABLE);
	assert_string_equal(e.text, "password: over 72 bytes");
	assert_int_equal(password_hash(text_of(""), hash, NULL), ERROR_UNPROCESSABLE);
	assert_int_equal(password_hash(TEXT_LITERAL("a\0b"), hash, NULL), ERROR_UNPROCESSABLE);
	text.n = MAX_PASSWORD_BYTES;
	assert_int_equal(password_hash(text, hash, NULL), ERROR_NONE);
	assert_true(password_matches(text, hash));
}

static void what_is_tried_first_is_weak(void **state)
{
	(void)state;
	static const char *const weak[] = {
		"",
		"verysecret",
		"7f3a9c0e51d",
		"password1234",
		"Password!2026",
		"PASSWORDPASSWORD",
		"p-a-s-s-w-o-r-d",
		"VerySecret-2026",
		"guestguestguest",
		"123456789012",
		"2026-11-24-13-40",
		"abababababab",
		"CorrectHorseBatteryStaple",
	};
	for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++)
		assert_non_null(password_weakness(text_of(weak[i])));
	char long_one[MAX_PASSWORD_BYTES + 2] = { 0 };
	for (size_t i = 0; i <= MAX_PASSWORD_BYTES; i++)
		long_one[i] = (char)('a' + i % 26);
	assert_string_equal(password_weakness(text_of(long_one)), "over 72 bytes");
	long_one[MAX_PASSWORD_BYTES] = '\0';
	assert_null(password_weakness(text_of(long_one)));
}

static void what_nobody_tries_first_is_not_weak(void **state)
{
	(void)state;
	static const char *const strong[] = {
		"Gr\xc3\xbc\xc3\x9f-Gott-23",
		"7f3a9c0e51d2",
		"the password of my house",
		"guest-House-of-mine",
		"\xd0\xbf\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c 1",
	};
	for (size_t i = 0; i < sizeof(strong) / sizeof(strong[0]); i++)
		assert_null(password_weakness(text_of(strong[i])));
}

static int64_t time_of(const char *hash)
{
	int64_t start = clock_now_ms();
	assert_false(password_matches(text_of("wrong"), hash));
	return clock_now_ms() - start;
}

static void nobody_takes_as_long_as_somebody(void **state)
{
	(void)state;
	char hash[PASSWORD_HASH_BYTES];
	assert_int_equal(password_hash(text_of("x"), hash, NULL), ERROR_NONE);
	int64_t somebody = time_of(hash);
	/* Not a matter of milliseconds: without the work it would be none at all. */
	assert_true(time_of(NULL) > somebody / 4);
	assert_true(time_of("not a hash") > somebody / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hash_matches_its_password_and_no_other),
		cmocka_unit_test(the_same_password_never_has_the_same_hash),
		cmocka_unit_test(hashes_of_other_implementations_match),
		cmocka_unit_test(what_is_no_hash_never_matches),
		cmocka_unit_test(a_password_that_bcrypt_would_cut_is_not_set),
		cmocka_unit_test(what_is_tried_first_is_weak),
		cmocka_unit_test(what_nobody_tries_first_is_not_weak),
		cmocka_unit_test(nobody_takes_as_long_as_somebody),
	};
	return RUN_SUITE(tests);
}
