/* address: what passes, what is refused, and that nothing dangerous ever passes. */
#include "suite.h"

#include "mail/address.h"

static void an_address_passes_as_it_is(void **state)
{
	static const char *const addresses[] = {
		"a@b",
		"no-reply@localhost",
		"first.last+tag@mail.example.org",
		"!#$%&'*+-/=?^_`{|}~@example.org",
		"x@1.2.example",
		"x@xn--bcher-kva.example",
		"Mixed.Case@example.org",
		"1234567890123456789012345678901234567890123456789012345678901234@example.org",
		"a@123456789012345678901234567890123456789012345678901234567890123.example",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct address a;
		struct error e = { 0 };
		if (address_parse(text_of(addresses[i]), "to", &a, &e))
			fail_msg("%s: %s", addresses[i], e.text);
		assert_string_equal(a.text, addresses[i]);
	}
}

static void a_domain_in_another_script_becomes_ascii(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "a@b\xc3\xbc"
		  "cher.example",
		  "a@xn--bcher-kva.example" },
		{ "a@B\xc3\x9c"
		  "CHER.example",
		  "a@xn--bcher-kva.example" },
		{ "a@\xe4\xbe\x8b\xe3\x81\x88.example", "a@xn--r8jz45g.example" },
		/* Letters of a domain name have no case. */
		{ "A@Example.ORG", "A@example.org" },
		{ "a@\xd0\xbf\xd1\x80\xd0\xb8\xd0\xbc\xd0\xb5\xd1\x80.example",
		  "a@xn--e1afmkfd.example" },
		/* An ideographic full stop separates labels. */
		{ "a@\xe4\xbe\x8b\xe3\x80\x82"
		  "example",
		  "a@xn--fsq.example" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address a;
		assert_int_equal(address_parse(text_of(rows[i].in), "to", &a, NULL), ERROR_NONE);
		assert_string_equal(a.text, rows[i].out);
	}
}

static const struct text refused[] = {
	TEXT_LITERAL(""),
	TEXT_LITERAL("plain"),
	TEXT_LITERAL("@"),
	TEXT_LITERAL("@example.org"),
	TEXT_LITERAL("a@"),
	TEXT_LITERAL("a@b@example.org"),
	TEXT_LITERAL("a@x.org, b@x.org"),
	TEXT_LITERAL("a@x.org,b@x.org"),
	TEXT_LITERAL("a@x.org;b@x.org"),
	TEXT_LITERAL(" a@x.org"),
	TEXT_LITERAL("a@x.org "),
	TEXT_LITERAL("a b@x.org"),
	TEXT_LITERAL("a@x .org"),
	TEXT_LITERAL("A <a@x.org>"),
	TEXT_LITERAL("<a@x.org>"),
	TEXT_LITERAL("a>@x.org"),
	TEXT_LITERAL("a@x.org>"),
	TEXT_LITERAL("a@x.org> SIZE=1"),
	TEXT_LITERAL("\"a b\"@x.org"),
	TEXT_LITERAL("a(comment)@x.org"),
	TEXT_LITERAL("a\\b@x.org"),
	TEXT_LITERAL("a:b@x.org"),
	TEXT_LITERAL(".a@x.org"),
	TEXT_LITERAL("a.@x.org"),
	TEXT_LITERAL("a..b@x.org"),
	TEXT_LITERAL("a@.x.org"),
	TEXT_LITERAL("a@x..org"),
	TEXT_LITERAL("a@x.org."),
	TEXT_LITERAL("a@-x.org"),
	TEXT_LITERAL("a@x-.org"),
	TEXT_LITERAL("a@x_y.org"),
	TEXT_LITERAL("a@[127.0.0.1]"),
	TEXT_LITERAL("a@x.org:25"),
	TEXT_LITERAL("a@x.org/y"),
	TEXT_LITERAL("a@x.org\r\nRCPT TO:<b@x.org>"),
	TEXT_LITERAL("a\r\nDATA@x.org"),
	TEXT_LITERAL("a@x.org\n"),
	TEXT_LITERAL("a@x.org\r"),
	TEXT_LITERAL("a@x.org\t"),
	TEXT_LITERAL("a\0b@x.org"),
	TEXT_LITERAL("a@x.org\0"),
	TEXT_LITERAL("a@x\0.org"),
	TEXT_LITERAL("a\x7f@x.org"),
	TEXT_LITERAL("a@x\x7f.org"),
	/* Not ASCII before the @, not UTF-8 after it. */
	TEXT_LITERAL("j\xc3\xb6rg@x.org"),
	TEXT_LITERAL("a\xff@x.org"),
	TEXT_LITERAL("a@\xff.org"),
	TEXT_LITERAL("a@\xc0\xae.org"),
	TEXT_LITERAL("a@\xed\xa0\x80.org"),
	/* What folds into an @, a slash, a dot dot, a blank, a <. */
	TEXT_LITERAL("a\xef\xbc\xa0x.org"),
	TEXT_LITERAL("a@b\xef\xbc\xa0x.org"),
	TEXT_LITERAL("a@\xe2\x84\x80.org"),
	TEXT_LITERAL("a@x\xe3\x80\x82\xe3\x80\x82org"),
	TEXT_LITERAL("a@x\xe3\x80\x80y.org"),
	TEXT_LITERAL("a@x\xc2\xa0y.org"),
	TEXT_LITERAL("a@x\xef\xbc\x9cy.org"),
	/* Control characters of Unicode: NEL, a line separator, right-to-left override. */
	TEXT_LITERAL("a@x\xc2\x85.org"),
	TEXT_LITERAL("a@x\xe2\x80\xa8.org"),
	TEXT_LITERAL("a@x\xe2\x80\xae.org"),
	/* Where standards differ: sharp s, final sigma, the joiners. */
	TEXT_LITERAL("a@stra\xc3\x9f"
		     "e.example"),
	TEXT_LITERAL("a@\xce\xb2\xcf\x8c\xce\xbb\xce\xbf\xcf\x82.example"),
	TEXT_LITERAL("a@x\xe2\x80\x8cy.example"),
	TEXT_LITERAL("a@x\xe2\x80\x8dy.example"),
	/* Lengths: 65 before the @, a label of 64. */
	TEXT_LITERAL("12345678901234567890123456789012345678901234567890123456789012345@x.org"),
	TEXT_LITERAL("a@1234567890123456789012345678901234567890123456789012345678901234.org"),
};

static void what_is_no_address_is_refused_with_a_sentence_that_names_the_member(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct address a;
		struct error e = { 0 };
		if (address_parse(refused[i], "to", &a, &e) != ERROR_UNPROCESSABLE)
			fail_msg("%s passed", refused[i].s);
		assert_int_equal(e.code, ERROR_UNPROCESSABLE);
		assert_memory_equal(e.text, "to: not an address: ", 20);
		for (const char *c = e.text; *c; c++)
			assert_in_range(*c, ' ', '~');
	}
}

static void no_byte_gets_through_but_those_of_an_address(void **state)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		char local[] = "a?b@x.org";
		char domain[] = "a@x?y.org";
		struct address a;
		char c = (char)byte;
		local[1] = domain[3] = c;
		bool word = c && strchr(allowed, c);
		bool passes_local = word || (c && strchr("!#$%&'*+-/=?^_`{|}~.", c));
		bool passes_domain = word || (c && strchr("-.", c));
		assert_int_equal(!address_parse((struct text){ local, 9 }, "to", &a, NULL),
				 passes_local);
		assert_int_equal(!address_parse((struct text){ domain, 9 }, "to", &a, NULL),
				 passes_domain);
	}
}

static void an_address_of_254_bytes_passes_and_of_255_does_not(void **state)
{
	(void)state;
	char in[2000];
	struct address a;
	for (size_t n = 3; n < sizeof(in) - 1; n++) {
		memset(in, 'a', n);
		for (size_t i = n - 3; i > 1; i -= i > 50 ? 50 : i - 1)
			in[i] = '.';
		in[1] = '@';
		in[2] = 'a';
		assert_int_equal(address_parse((struct text){ in, n }, "to", &a, NULL),
				 n <= MAX_ADDRESS_BYTES ? ERROR_NONE : ERROR_UNPROCESSABLE);
	}
}

static void text_without_a_nul_after_it_is_not_read_past_its_end(void **state)
{
	(void)state;
	struct address a;
	assert_int_equal(address_parse((struct text){ "a@x.org\r\nevil", 7 }, "to", &a, NULL),
			 ERROR_NONE);
	assert_string_equal(a.text, "a@x.org");
}

static void a_domain_alone_is_checked_in_the_same_way(void **state)
{
	static const char *const wrong[] = { "", ".", "a b", "a..b", "a@b", "-a", "a\r\nb", "a/b" };
	struct address_domain d;
	struct error e = { 0 };
	(void)state;
	assert_int_equal(address_domain_parse(text_of("mail.example"), "MAIL_DOMAIN", &d, &e),
			 ERROR_NONE);
	assert_string_equal(d.text, "mail.example");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(address_domain_parse(text_of(wrong[i]), "MAIL_DOMAIN", &d, &e),
				 ERROR_UNPROCESSABLE);
		assert_memory_equal(e.text, "MAIL_DOMAIN: not a domain name: ", 32);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_passes_as_it_is),
		cmocka_unit_test(a_domain_in_another_script_becomes_ascii),
		cmocka_unit_test(
			what_is_no_address_is_refused_with_a_sentence_that_names_the_member),
		cmocka_unit_test(no_byte_gets_through_but_those_of_an_address),
		cmocka_unit_test(an_address_of_254_bytes_passes_and_of_255_does_not),
		cmocka_unit_test(text_without_a_nul_after_it_is_not_read_past_its_end),
		cmocka_unit_test(a_domain_alone_is_checked_in_the_same_way),
	};
	return RUN_SUITE(tests);
}
