/* inline: what becomes of a page, and that nothing else does. */
#include "suite.h"

#include "core/buffer.h"
#include "mail/inline.h"
#include "mail/page.h"

static struct error error;

static enum error_code run(struct text html, struct buffer *out)
{
	error = (struct error){ 0 };
	return inline_styles(html, "html", out, &error);
}

struct row {
	const char *html, *expected;
};

static void check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		CLEANUP(buffer_finish) struct buffer out = { 0 };
		if (run(text_of(rows[i].html), &out))
			fail_msg("%s: %s", rows[i].html, error.text);
		if (!text_equal(buffer_text(&out), text_of(rows[i].expected)))
			fail_msg("%s\nbecame\n%s\nand not\n%s", rows[i].html, out.bytes,
				 rows[i].expected);
	}
}

#define CHECK(rows) check(rows, sizeof(rows) / sizeof((rows)[0]))

/* A sheet that stays, around its rules. */
#define KEPT(rules) "<style type=\"text/css\">\n" rules "</style>"

static void the_winner_of_each_property_is_written(void **state)
{
	static const struct row rows[] = {
		/* The later of two equal ones, and the more specific. */
		{ "<style>p{color:red}p{color:blue}</style><p>", "<p style=\"color:blue\">" },
		{ "<style>p.a{color:red}p{color:blue}</style><p class=a>",
		  "<p style=\"color:red\" class=a>" },
		{ "<style>#i{color:red}.a.b.c p.d{color:blue}</style><p id=i class=d>",
		  "<p style=\"color:red\" id=i class=d>" },
		{ "<style>p{color:red}</style><style>p{color:blue}</style><p>",
		  "<p style=\"color:blue\">" },
		/* Importance before specificity, and before the attribute. */
		{ "<style>p{color:red!important}p.a{color:blue}</style><p class=a>",
		  "<p style=\"color:red !important\" class=a>" },
		{ "<style>p{color:red ! IMPORTANT}</style><p style='color:blue'>",
		  "<p style=\"color:red !important\">" },
		{ "<style>p{color:red!important}</style><p style='color:blue!important'>",
		  "<p style=\"color:blue !important\">" },
		{ "<style>p{color:red}</style><p style='COLOR:blue'>", "<p style=\"color:blue\">" },
		/* One entry for each property, in the order that counts. */
		{ "<style>p{margin-top:1px;color:red}p{margin:2px}</style><p style=margin-top:3px>",
		  "<p style=\"color:red;margin:2px;margin-top:3px\">" },
		{ "<style>p{margin:1px}p.a{margin-top:2px}p{margin:3px}</style><p class=a>",
		  "<p style=\"margin:3px;margin-top:2px\" class=a>" },
		{ "<style>p{color:red;color:blue}</style><p>", "<p style=\"color:blue\">" },
		/* Names in small letters, but for those that mean what they say. */
		{ "<style>p{FONT-Size:9px;--My-X:1}</style><p>",
		  "<p style=\"font-size:9px;--My-X:1\">" },
	};
	(void)state;
	CHECK(rows);
}

static void selectors_mean_what_browsers_say(void **state)
{
	static const struct row rows[] = {
		{ "<style>ul li{a:b}</style><ul><li><b><li>",
		  "<ul><li style=\"a:b\"><b><li style=\"a:b\">" },
		{ "<style>div>p{a:b}</style><div><p><i></i></div><p>",
		  "<div><p style=\"a:b\"><i></i></div><p>" },
		{ "<style>h1+p{a:b}</style><h1></h1>text<p></p><p></p>",
		  "<h1></h1>text<p style=\"a:b\"></p><p></p>" },
		{ "<style>h1~p{a:b}</style><p></p><h1></h1><p></p><p></p>",
		  "<p></p><h1></h1><p style=\"a:b\"></p><p style=\"a:b\"></p>" },
		{ "<style>P.A#B{a:b}</style><p class='x A' id=B><p class=a id=B>",
		  "<p style=\"a:b\" class='x A' id=B><p class=a id=B>" },
		{ "<style>div p.a>b,i{a:b}</style><div><p class=a><s><b></b></s><b></b></div><i>",
		  "<div><p class=a><s><b></b></s><b style=\"a:b\"></b></div><i style=\"a:b\">" },
		{ "<style>[align]{a:b}</style><p align><p align=left>",
		  "<p style=\"a:b\" align><p style=\"a:b\" align=left>" },
		{ "<style>[x=\"1 2\"]{a:b}[x~='2']{c:d}[x|=en]{e:f}</style><p x='1 2'><p x=en-GB>",
		  "<p style=\"a:b;c:d\" x='1 2'><p style=\"e:f\" x=en-GB>" },
		{ "<style>[x^='ab']{a:b}[x$=cd]{c:d}[x*=\"bc\"]{e:f}</style><p x=abcd><p x=abc>",
		  "<p style=\"a:b;c:d;e:f\" x=abcd><p style=\"a:b;e:f\" x=abc>" },
		{ "<style>b:first-child{a:b}b:last-child{c:d}</style><p><b></b><b></b><b></b></p>",
		  "<p><b style=\"a:b\"></b><b></b><b style=\"c:d\"></b></p>" },
		{ "<style>b:nth-child(2n+1){a:b}b:nth-child( even "
		  "){c:d}</style><p><b></b><b></b><b></b></p>",
		  "<p><b style=\"a:b\"></b><b style=\"c:d\"></b><b style=\"a:b\"></b></p>" },
		{ "<style>b:nth-child(-n+2){a:b}b:NTH-CHILD(3){c:d}</style><p><b></b><b></b><b></"
		  "b></p>",
		  "<p><b style=\"a:b\"></b><b style=\"a:b\"></b><b style=\"c:d\"></b></p>" },
		{ "<style>b:only-child{a:b}</style><p><b></b></p><p><b></b><b></b></p>",
		  "<p><b style=\"a:b\"></b></p><p><b></b><b></b></p>" },
		{ "<style>.\\31 0,.sm\\:x{a:b}</style><p class=10><p class=sm:x>",
		  "<p style=\"a:b\" class=10><p style=\"a:b\" class=sm:x>" },
		{ "<style>.\xc3\xa9{a:b}</style><p class=\xc3\xa9>",
		  "<p style=\"a:b\" class=\xc3\xa9>" },
		{ "<style>o\\:p{a:b}</style><o:p>x</o:p>", "<o:p style=\"a:b\">x</o:p>" },
		/* A table's implied parts are there, though nothing is written at them. */
		{ "<style>table>tbody>tr{a:b}tbody{c:d}</style><table><tr><td></table>",
		  "<table><tr style=\"a:b\"><td></table>" },
		/* An element that is closed in the wrong order keeps one tag. */
		{ "<style>b{a:b}</style><b><p>x</b>y</p>", "<b style=\"a:b\"><p>x</b>y</p>" },
	};
	(void)state;
	CHECK(rows);
}

static void what_an_attribute_cannot_say_stays_in_one_sheet(void **state)
{
	static const struct row rows[] = {
		{ "<style>a:hover{color:red}a{color:blue}</style><a>",
		  KEPT("a:hover {\ncolor:red !important;\n}\n") "<a style=\"color:blue\">" },
		{ "<style>p, p::before, a:visited b {color:red}</style><p>",
		  KEPT("p::before {\ncolor:red !important;\n}\n"
		       "a:visited b {\ncolor:red !important;\n}\n") "<p style=\"color:red\">" },
		/* Everything beats a bare asterisk, in a sheet or not. */
		{ "<style>*{margin:0}p{margin:1px}.x > *{top:0}</style><p>",
		  KEPT("* {\nmargin:0;\n}\n.x > * {\ntop:0 !important;\n}\n") "<p "
									      "style=\"margin:"
									      "1px\">" },
		{ "<style>@media (max-width:9px){p{color:red}@supports "
		  "(a:b){p,a{b:c!important}}}</style><p>",
		  KEPT("@media (max-width:9px) {\np {\ncolor:red !important;\n}\n"
		       "@supports (a:b) {\np,a {\nb:c !important;\n}\n}\n}\n") "<p>" },
		{ "<style>@font-face{font-family:x;src:url(a;b)}@keyframes k{from{a:b}}</style><p>",
		  KEPT("@font-face{font-family:x;src:url(a;b)}\n@keyframes k{from{a:b}}\n") "<p>" },
		/* Imports only count before everything else. */
		{ "<style>a:hover{b:c}</style><style>@import url('x;y.css');p{d:e}</style><p>",
		  KEPT("@import url('x;y.css');\na:hover {\nb:c !important;\n}\n") "<p "
										   "style=\"d:"
										   "e\">" },
		/* Rules within rules are for those who know them. */
		{ "<style>p{color:red;&:hover{color:blue}}p{.b{c:d}}</style><p>",
		  KEPT("p{color:red;&:hover{color:blue}}\np{.b{c:d}}\n") "<p>" },
	};
	(void)state;
	CHECK(rows);
}

static void what_stays_goes_to_the_end_of_the_head(void **state)
{
#define RULE	"a:hover{b:c}"
#define SHEET	"<style>" RULE "</style>"
#define WRITTEN KEPT("a:hover {\nb:c !important;\n}\n")
	static const struct row rows[] = {
		{ "<html><head>" SHEET "<title></title></head><body>",
		  "<html><head><title></title>" WRITTEN "</head><body>" },
		{ "<html><head>" SHEET "<body>", "<html><head>" WRITTEN "<body>" },
		{ "<html><head>" SHEET "<p>", "<html><head>" WRITTEN "<p>" },
		{ "<html lang=en>" SHEET "<p>", "<html lang=en>" WRITTEN "<p>" },
		{ "<!-- > --> <!DOCTYPE html>\n" SHEET "<p>",
		  "<!-- > --> <!DOCTYPE html>" WRITTEN "\n<p>" },
		{ "<?xml version='1.0'?><!doctype html>" SHEET,
		  "<?xml version='1.0'?><!doctype html>" WRITTEN },
		{ "<p>x" SHEET "</p>", WRITTEN "<p>x</p>" },
		{ "\xef\xbb\xbf<p>" SHEET, "\xef\xbb\xbf" WRITTEN "<p>" },
		{ "<!-- <head> --><p>" SHEET "</head>", WRITTEN "<!-- <head> --><p></head>" },
		{ "<body class=x><p>" SHEET, WRITTEN "<body class=x><p>" },
	};
	(void)state;
	CHECK(rows);
}

static void only_sheets_for_everybody_are_taken(void **state)
{
	static const struct row rows[] = {
		{ "<style media=print>p{a:b}</style><p>", "<style media=print>p{a:b}</style><p>" },
		{ "<style data-premailer=\"ignore\">p{a:b}</style><p>",
		  "<style data-premailer=\"ignore\">p{a:b}</style><p>" },
		{ "<style type=text/less>p{a:b}</style><p>",
		  "<style type=text/less>p{a:b}</style><p>" },
		{ "<style media=' ALL ' type='TEXT/CSS'>p{a:b}</style><p>", "<p style=\"a:b\">" },
		{ "<style media>p{a:b}</style><p>", "<p style=\"a:b\">" },
		{ "<p><STYLE >p{a:b}</STYLE ></p>", "<p style=\"a:b\"></p>" },
		{ "<svg><style>p{a:b}<g/></style></svg><p>",
		  "<svg><style>p{a:b}<g/></style></svg><p>" },
		{ "<template><style>p{a:b}</style></template><p>",
		  "<template><style>p{a:b}</style></template><p>" },
		{ "<!--[if mso]><style>p{a:b}</style><![endif]--><p>",
		  "<!--[if mso]><style>p{a:b}</style><![endif]--><p>" },
		{ "<!--[if !mso]><!--><style>p{a:b}</style><!--<![endif]--><p>",
		  "<!--[if !mso]><!--><!--<![endif]--><p style=\"a:b\">" },
		{ "<p><style>p{a:b}", "<p><style>p{a:b}" },
		{ "<textarea><style>p{a:b}</style></textarea><p>",
		  "<textarea><style>p{a:b}</style></textarea><p>" },
	};
	(void)state;
	CHECK(rows);
}

static void the_attribute_is_written_where_it_belongs(void **state)
{
	static const struct row rows[] = {
		{ "<style>p{a:b}</style><p style>", "<p style=\"a:b\">" },
		{ "<style>p{a:b}</style><p style = >", "<p style=\"a:b\" >" },
		{ "<style>p{a:b}</style><p\nid=1\n>", "<p style=\"a:b\"\nid=1\n>" },
		{ "<style>p{a:b}</style><P STYLE = 'c:d' style=e:f>",
		  "<P style=\"a:b;c:d\" style=e:f>" },
		{ "<style>br{a:b}</style><br/><br />", "<br style=\"a:b\"/><br style=\"a:b\" />" },
		{ "<style>p{a:b}</style><p style=''>", "<p style=\"a:b\">" },
		/* What an attribute must not hold as it is, and what it may. */
		{ "<style>p{a:\"x&y\"}</style><p>", "<p style=\"a:&quot;x&amp;y&quot;\">" },
		{ "<style>p{a:b}</style><p style='c:url(&quot;&#x3b;&quot;)'>",
		  "<p style=\"a:b;c:url(&quot;;&quot;)\">" },
		{ "<style>p{a:b}</style><p "
		  "style=\"color:{{color}};background:url({{u}})\">{{#x}}&nbsp;{{/x}}",
		  "<p style=\"a:b;color:{{color}};background:url({{u}})\">{{#x}}&nbsp;{{/x}}" },
		/* What belongs to no rule is not touched. */
		{ "<style>a{a:b}</style><p style=\" color : red ;; \"  id = 'x' >&copy &lt;\r\n",
		  "<p style=\" color : red ;; \"  id = 'x' >&copy &lt;\r\n" },
	};
	(void)state;
	CHECK(rows);
}

static void mistakes_in_a_sheet_are_stepped_over(void **state)
{
	static const struct row rows[] = {
		{ "<style>p{a:b;c;d:;:e;f g:h;i:j</style><p>", "<p style=\"a:b;i:j\">" },
		{ "<style>p{a:'x;y}z';b:url(a;b)}</style><p>",
		  "<p style=\"a:'x;y}z';b:url(a;b)\">" },
		{ "<style>p{a:\"x\\\";y\"}</style><p>", "<p style=\"a:&quot;x\\&quot;;y&quot;\">" },
		{ "<style><!-- p{a:b} --></style><p>", "<p style=\"a:b\">" },
		{ "<style>}p{a:b};p{c:d}</style><p>", "<p style=\"a:b;c:d\">" },
		{ "<style>p{}  q{;}</style><p>", "<p>" },
		{ "<style>p{a:b}p</style><p>", "<p style=\"a:b\">" },
		{ "<style>p/*x*/.a{a:b/*;c:d*/;e:'/*'}/**/</style><p class=a>",
		  "<p style=\"a:b;e:'/*'\" class=a>" },
		{ "<style>p{a:1px/**/2px}</style><p>", "<p style=\"a:1px 2px\">" },
		{ "<style>p{a:b} /* never closed p{c:d}</style><p>", "<p style=\"a:b\">" },
		{ "<style>p..x{a:b}p>{a:b}>p{a:b},p{c:d}</style><p>",
		  KEPT("p..x {\na:b !important;\n}\np> {\na:b !important;\n}\n>p {\na:b "
		       "!important;\n}\n") "<p style=\"c:d\">" },
		{ "<style></style><p>", "<p>" },
		/* The end of a sheet cannot come about by taking a comment out. */
		{ "<style>a:hover{b:'<'/**//style}</style><p>",
		  KEPT("a:hover {\nb:'<'/style !important;\n}\n") "<p>" },
		{ "<style>a:hover{b:</**//style>}</style><p>",
		  KEPT("a:hover {\nb:< /style> !important;\n}\n") "<p>" },
	};
	(void)state;
	CHECK(rows);
}

static void a_page_without_a_sheet_passes_whatever_it_is(void **state)
{
	(void)state;
	CLEANUP(buffer_finish) struct buffer page = { 0 };
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	for (size_t i = 0; i < MAX_PAGE_BYTES; i += 8)
		buffer_append_string(&page, "<b>\x01&amp");
	assert_int_equal(run(buffer_text(&page), &out), ERROR_NONE);
	assert_true(text_equal(buffer_text(&out), buffer_text(&page)));
}

/* A page of a sheet and something many times. */
static enum error_code run_many(const char *start, const char *again, size_t times,
				const char *rest)
{
	CLEANUP(buffer_finish) struct buffer page = { 0 };
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	buffer_append_string(&page, start);
	for (size_t i = 0; i < times; i++)
		buffer_append_string(&page, again);
	buffer_append_string(&page, rest);
	return run(buffer_text(&page), &out);
}

static void what_is_too_much_is_refused_by_name(void **state)
{
	static const struct {
		const char *start, *again;
		size_t times;
		const char *rest, *sentence;
	} rows[] = {
		{ "<style>p{a:b}</style>", "12345678", MAX_PAGE_BYTES / 8, "",
		  "html: more than 4 MiB" },
		{ "<style>p{a:b}</style>", "<p>", MAX_PAGE_TAGS, "", "html: more than 25000 tags" },
		{ "<style>p{a:b}</style>", "<i>", MAX_PAGE_DEPTH, "",
		  "html: elements nest deeper than 512" },
		{ "<style>", "p{a:b}   ", MAX_INLINE_CSS_BYTES / 8, "</style>",
		  "html: more than 524288 bytes" },
		{ "<style>", "p,", MAX_INLINE_SELECTORS, "b{a:b}</style>",
		  "html: more than 10000 selectors" },
		{ "<style>p{a:b} ", "x p[z] {c:d}", 9000, "</style><p><p><p><p>", NULL },
		{ "<style>p{", "a:b;", 100000,
		  "}</style><p><p><p><p><p><p><p><p><p><p><p><p><p><p><p><p>"
		  "<p><p><p><p><p>",
		  "html: more than 2000000 declarations" },
		{ "<style>p { a:b } p { --x:", "12345678", 60000,
		  "}</style><p><p><p><p><p><p><p><p><p><p>"
		  "<p><p><p><p><p><p><p><p>",
		  "html: more than 8388608 bytes of styles" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum error_code code =
			run_many(rows[i].start, rows[i].again, rows[i].times, rows[i].rest);
		assert_int_equal(code, rows[i].sentence ? ERROR_TOO_LARGE : ERROR_NONE);
		if (rows[i].sentence)
			assert_memory_equal(error.text, rows[i].sentence, strlen(rows[i].sentence));
	}
}

static void rules_times_elements_are_bounded(void **state)
{
	(void)state;
	CLEANUP(buffer_finish) struct buffer page = { 0 };
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	buffer_append_string(&page, "<style>");
	for (int i = 0; i < 2000; i++)
		buffer_printf(&page, "p[a%d]{a:b}", i);
	buffer_append_string(&page, "</style>");
	for (int i = 0; i < 6000; i++)
		buffer_append_string(&page, "<p>");
	assert_int_equal(run(buffer_text(&page), &out), ERROR_TOO_LARGE);
	assert_string_equal(error.text,
			    "html: more than 10000000 comparisons of elements and selectors");
}

static void what_the_parser_takes_is_bounded(void **state)
{
	(void)state;
	CLEANUP(buffer_finish) struct buffer page = { 0 };
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	buffer_append_string(&page, "<style>p{a:b}</style><p");
	for (int i = 0; i < 300000; i++)
		buffer_printf(&page, " a%d", i);
	buffer_append_string(&page, ">");
	assert_int_equal(run(buffer_text(&page), &out), ERROR_TOO_LARGE);
	assert_string_equal(error.text, "html: it becomes too much, and styles cannot be inlined");
}

static void a_page_that_is_not_utf8_is_refused(void **state)
{
	(void)state;
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	assert_int_equal(run(text_of("<style>p{a:b}</style>\xff"), &out), ERROR_UNPROCESSABLE);
}

static void read_vector(const char *name, struct buffer *out)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/mail/%s", getenv("TEST_VECTORS_DIR"), name);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	char *room = buffer_room(out, 65536);
	assert_non_null(room);
	buffer_grew(out, fread(room, 1, 65536, f));
	fclose(f);
}

/* What the sample's maker has wrong or writes in another way is not looked at. */
static void the_sample_of_another_inliner_comes_out_alike(void **state)
{
	static const char *const parts[] = {
		"<title></title><style media=\"print\">p{color:gray}</style><style "
		"type=\"text/css\">",
		"a:hover {\ncolor:green !important;\n}\n",
		"* {\nbox-sizing:border-box;\n}\n",
		"@media (max-width: 600px) {\np {\ncolor:pink "
		"!important;\n}\n}\n</style></head>\n<body><div id=x>",
		/* There the attribute's color wins against an important one. */
		"<p class=\"b\" style=\"padding:1px;font-size:12px;margin:5px;color:blue "
		"!important\">Hi</p>",
		"<p style=\"margin:0;font-size:12px;color:blue !important\" "
		"width=3>two</p></div><a href=#>l</a>",
	};
	(void)state;
	if (!getenv("TEST_VECTORS_DIR")) {
		print_message("TEST_VECTORS_DIR is not set\n");
		skip();
	}
	CLEANUP(buffer_finish) struct buffer in = { 0 };
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	read_vector("golden_in.html", &in);
	assert_int_equal(run(buffer_text(&in), &out), ERROR_NONE);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!strstr(out.bytes, parts[i]))
			fail_msg("not in it: %s\n%s", parts[i], out.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_winner_of_each_property_is_written),
		cmocka_unit_test(selectors_mean_what_browsers_say),
		cmocka_unit_test(what_an_attribute_cannot_say_stays_in_one_sheet),
		cmocka_unit_test(what_stays_goes_to_the_end_of_the_head),
		cmocka_unit_test(only_sheets_for_everybody_are_taken),
		cmocka_unit_test(the_attribute_is_written_where_it_belongs),
		cmocka_unit_test(mistakes_in_a_sheet_are_stepped_over),
		cmocka_unit_test(a_page_without_a_sheet_passes_whatever_it_is),
		cmocka_unit_test(what_is_too_much_is_refused_by_name),
		cmocka_unit_test(rules_times_elements_are_bounded),
		cmocka_unit_test(what_the_parser_takes_is_bounded),
		cmocka_unit_test(a_page_that_is_not_utf8_is_refused),
		cmocka_unit_test(the_sample_of_another_inliner_comes_out_alike),
	};
	return RUN_SUITE(tests);
}
