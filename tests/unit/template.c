/* template: the language, its errors and limits, and the directory of templates. */
#include "suite.h"

#include <fcntl.h>
#include <json-c/json_tokener.h>
#include <json-c/json_util.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config.h"
#include "mail/template.h"
#include "wire/json.h"

static struct error error;

/* Renders source with the values of a JSON text into *out. */
static enum error_code render(struct text source, struct json_object *values, bool html,
			      bool lenient, struct buffer *out)
{
	struct template_options options = { "t", .html = html, .lenient = lenient };
	error = (struct error){ 0 };
	return template_render(source, values, &options, out, &error);
}

static const struct {
	const char *source, *values, *expected;
} renderings[] = {
	{ "", "{}", "" },
	{ "no tag } } { {", "{}", "no tag } } { {" },
	{ "{{a}}", "{\"a\":\"<&\\\"'>\"}", "&lt;&amp;&quot;&#39;&gt;" },
	{ "{{{a}}} {{&a}} {{& a }}", "{\"a\":\"<&>\"}", "<&> <&> <&>" },
	{ "{{a}} {{b}} {{c}} {{d}}", "{\"a\":1,\"b\":1.50,\"c\":true,\"d\":null}", "1 1.50 true " },
	{ "{{a.b.c}}", "{\"a\":{\"b\":{\"c\":\"x\"}}}", "x" },
	{ "{{ a }}{{\n\ta\n}}", "{\"a\":\"x\"}", "xx" },
	{ "{{#a}}[{{.}}]{{/a}}", "{\"a\":[1,\"<\",null]}", "[1][&lt;][]" },
	{ "{{#a}}{{b}},{{c}};{{/a}}", "{\"c\":\"o\",\"a\":[{\"b\":1},{\"b\":2,\"c\":\"i\"}]}",
	  "1,o;2,i;" },
	{ "{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":true}", "yes" },
	{ "{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":\"x\"}", "yes" },
	{ "{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":0}", "yes" },
	{ "{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":\"\"}", "no" },
	{ "{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":[]}", "no" },
	{ "{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":null}", "no" },
	{ "{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{}", "no" },
	{ "{{#name}}Dear {{name}}{{/name}}", "{}", "" },
	{ "a{{! anything {{ here\n }}b", "{}", "ab" },
	{ "{{=<% %>=}}<% a %>{{a}}<%={{ }}=%>{{a}}", "{\"a\":1}", "1{{a}}1" },
	{ "1\n  {{#a}}  \n2\n{{/a}}\r\n3", "{\"a\":true}", "1\n2\n3" },
	{ "1\n{{!x}} 2\n{{#a}}\n{{/a}}", "{\"a\":true}", "1\n 2\n" },
	{ "{{a}}", "{\"a\":\"{{b}}\",\"b\":\"no\"}", "{{b}}" },
	{ "{{a}}\xe2\x82\xac", "{\"a\":\"\xc3\xa9\xf0\x9f\x98\x80\"}",
	  "\xc3\xa9\xf0\x9f\x98\x80\xe2\x82\xac" },
};

static void a_template_makes_of_values_what_mustache_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(renderings) / sizeof(renderings[0]); i++) {
		CLEANUP(json_put)
		struct json_object *values = json_tokener_parse(renderings[i].values);
		CLEANUP(buffer_finish) struct buffer out = { 0 };
		if (render(text_of(renderings[i].source), values, true, false, &out))
			fail_msg("%s: %s", renderings[i].source, error.text);
		assert_text_equal(buffer_text(&out), renderings[i].expected);
	}
}

static void plain_text_is_not_escaped(void **state)
{
	(void)state;
	CLEANUP(json_put) struct json_object *values = json_tokener_parse("{\"a\":\"<&>\"}");
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	assert_int_equal(render(text_of("{{a}}{{{a}}}"), values, false, false, &out), ERROR_NONE);
	assert_text_equal(buffer_text(&out), "<&><&>");
}

static const struct {
	const char *source;
	enum error_code code;
	const char *sentence;
} mistakes[] = {
	{ "{{>part}}", ERROR_CONFIG, "template t, line 1: partials" },
	{ "{{<part}}", ERROR_CONFIG, "template t, line 1: partials" },
	{ "{{$part}}", ERROR_CONFIG, "template t, line 1: partials" },
	{ "\n\n{{a", ERROR_CONFIG, "template t, line 3: a tag is not closed" },
	{ "{{", ERROR_CONFIG, "template t, line 1: a tag is not closed" },
	{ "{{{a}}", ERROR_CONFIG, "template t, line 1: a tag is not closed" },
	{ "{{}}", ERROR_CONFIG, "template t, line 1: a tag without a name" },
	{ "{{#  }}", ERROR_CONFIG, "template t, line 1: a tag without a name" },
	{ "{{a b}}", ERROR_CONFIG, "template t, line 1: a space in a name" },
	{ "a\n{{#s}}\nb\n", ERROR_CONFIG, "template t, line 2: a section is not closed" },
	{ "a\n{{/s}}", ERROR_CONFIG, "template t, line 2: a section is closed that is not" },
	{ "{{#s}}\n{{#r}}\n{{/s}}", ERROR_CONFIG, "template t, line 3: another section is open" },
	{ "{{=}}", ERROR_CONFIG, "template t, line 1: a tag is not closed" },
	{ "{{==}}", ERROR_CONFIG, "template t, line 1: delimiters must be two words" },
	{ "{{=<%=}}", ERROR_CONFIG, "template t, line 1: delimiters must be two words" },
	{ "{{=a b c=}}", ERROR_CONFIG, "template t, line 1: delimiters must be two words" },
	{ "{{=1234567890123456 x=}}", ERROR_CONFIG, "template t, line 1: delimiters must be" },
	{ "\xff", ERROR_CONFIG, "template t: not UTF-8" },
	{ "x\n\n{{missing}}", ERROR_BAD_INPUT, "missing: a value is missing (template t, line 3)" },
	{ "{{object.x.y}}", ERROR_BAD_INPUT,
	  "object.x.y: a value is missing (template t, line 1)" },
	{ "{{object}}", ERROR_BAD_INPUT, "object: must not be an object or a list" },
	{ "{{#list}}{{.}}{{/list}}{{list}}", ERROR_BAD_INPUT, "list: must not be an object" },
};

static void a_mistake_is_an_error_that_says_where(void **state)
{
	(void)state;
	CLEANUP(json_put)
	struct json_object *values = json_tokener_parse("{\"object\":{\"x\":1},\"list\":[1]}");
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		CLEANUP(buffer_finish) struct buffer out = { 0 };
		enum error_code code =
			render(text_of(mistakes[i].source), values, true, false, &out);
		if (code != mistakes[i].code ||
		    strncmp(error.text, mistakes[i].sentence, strlen(mistakes[i].sentence)) != 0)
			fail_msg("%s: %d %s", mistakes[i].source, code, error.text);
	}
}

static void a_mistake_counts_also_in_a_section_that_is_left_out(void **state)
{
	(void)state;
	CLEANUP(json_put) struct json_object *values = json_object_new_object();
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	assert_int_equal(render(text_of("{{#no}}{{>p}}{{/no}}"), values, true, false, &out),
			 ERROR_CONFIG);
}

static void nesting_has_a_bound(void **state)
{
	(void)state;
	CLEANUP(json_put) struct json_object *values = json_tokener_parse("{\"a\":{\"b\":1}}");
	for (int depth = 31; depth <= 33; depth++) {
		CLEANUP(buffer_finish) struct buffer source = { 0 };
		CLEANUP(buffer_finish) struct buffer out = { 0 };
		for (int i = 0; i < depth; i++)
			buffer_append_string(&source, "{{#a}}");
		buffer_append_string(&source, "x");
		for (int i = 0; i < depth; i++)
			buffer_append_string(&source, "{{/a}}");
		assert_int_equal(render(buffer_text(&source), values, true, false, &out),
				 depth <= 32 ? ERROR_NONE : ERROR_CONFIG);
	}
}

static void lists_in_lists_end_at_a_bound(void **state)
{
	static const char *const sources[] = {
		"{{#a}}{{#a}}{{#a}}{{#a}}{{/a}}{{/a}}{{/a}}{{/a}}",
		"{{#a}}{{#a}}{{#a}}0123456789012345678901234567890123456789{{/a}}{{/a}}{{/a}}",
	};
	(void)state;
	CLEANUP(json_put) struct json_object *list = json_object_new_array();
	CLEANUP(json_put) struct json_object *values = json_object_new_object();
	for (int i = 0; i < 1000; i++)
		json_object_array_add(list, json_object_new_int(i));
	json_object_object_add(values, "a", json_object_get(list));
	for (size_t i = 0; i < 2; i++) {
		CLEANUP(buffer_finish) struct buffer out = { 0 };
		assert_int_equal(render(text_of(sources[i]), values, true, false, &out),
				 ERROR_TOO_LARGE);
		assert_true(out.size < MAX_RENDERED_BYTES + 1024);
	}
}

/* A directory of templates for the tests below; the settings name it. */
static char directory[] = "/tmp/flexi-template.XXXXXX";

static void write_file(const char *name, const char *contents, size_t n)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, contents, n), n);
	close(fd);
}

static void remove_file(const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	unlink(path);
}

static enum error_code render_file(const char *name, struct buffer *out)
{
	CLEANUP(json_put) struct json_object *values = json_tokener_parse("{\"a\":\"<&>\"}");
	error = (struct error){ 0 };
	buffer_clear(out);
	return template_render_file(name, values, out, &error);
}

static void a_file_is_escaped_if_it_is_html(void **state)
{
	(void)state;
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	write_file("x.html", "{{a}}", 5);
	write_file("x.plain", "{{a}}", 5);
	assert_int_equal(render_file("x.html", &out), ERROR_NONE);
	assert_text_equal(buffer_text(&out), "&lt;&amp;&gt;");
	assert_int_equal(render_file("x.plain", &out), ERROR_NONE);
	assert_text_equal(buffer_text(&out), "<&>");
	remove_file("x.html");
	remove_file("x.plain");
}

static void a_changed_file_counts_from_the_next_mail_on(void **state)
{
	(void)state;
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	write_file("y.plain", "one", 3);
	assert_int_equal(render_file("y.plain", &out), ERROR_NONE);
	write_file("y.plain", "two", 3);
	assert_int_equal(render_file("y.plain", &out), ERROR_NONE);
	assert_text_equal(buffer_text(&out), "two");
	write_file("y.plain", "", 0);
	assert_int_equal(render_file("y.plain", &out), ERROR_NONE);
	assert_text_equal(buffer_text(&out), "");
	remove_file("y.plain");
}

static void a_missing_template_is_named(void **state)
{
	(void)state;
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	assert_int_equal(render_file("none.html", &out), ERROR_BAD_INPUT);
	assert_string_equal(error.text, "template none.html: there is none of this name");
}

static void a_name_does_not_leave_the_directory(void **state)
{
	static const char *const names[] = {
		"",
		".",
		"..",
		"../x",
		"/etc/passwd",
		"a/b",
		".hidden",
		"a\\b",
		"a b",
		"a\n",
		"a%2fb",
		"\xc3\xa9",
		"long-long-long-long-long-long-long-long-long-long-long-long-long.html",
	};
	(void)state;
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(render_file(names[i], &out), ERROR_BAD_INPUT);
		assert_string_equal(error.text, "template: not the name of one");
	}
}

static void what_is_no_file_or_too_large_is_a_wrong_setting(void **state)
{
	(void)state;
	static char large[MAX_TEMPLATE_BYTES + 1];
	char path[256];
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	snprintf(path, sizeof(path), "%s/fifo", directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(render_file("fifo", &out), ERROR_CONFIG);
	remove_file("fifo");
	memset(large, 'x', sizeof(large));
	write_file("large", large, sizeof(large));
	assert_int_equal(render_file("large", &out), ERROR_CONFIG);
	write_file("large", large, sizeof(large) - 1);
	assert_int_equal(render_file("large", &out), ERROR_NONE);
	write_file("large", "a\0b", 3);
	assert_int_equal(render_file("large", &out), ERROR_CONFIG);
	remove_file("large");
}

/* Runs the cases of one file of mustache's specification. */
static int run_specification(const char *path)
{
	int run = 0;
	CLEANUP(json_put) struct json_object *file = json_object_from_file(path);
	struct json_object *cases = json_object_object_get(file, "tests");
	for (size_t i = 0; i < json_object_array_length(cases); i++, run++) {
		struct json_object *one = json_object_array_get_idx(cases, i);
		struct json_object *data = json_object_object_get(one, "data");
		const char *source =
			json_object_get_string(json_object_object_get(one, "template"));
		const char *expected =
			json_object_get_string(json_object_object_get(one, "expected"));
		CLEANUP(buffer_finish) struct buffer out = { 0 };
		enum error_code code = render(text_of(source), data, true, true, &out);
		if (strstr(source, "{{>")) {
			assert_int_equal(code, ERROR_CONFIG);
			continue;
		}
		if (code || !text_equal(buffer_text(&out), text_of(expected)))
			fail_msg("%s, %s: %s%s", path, source, error.text, buffer_text(&out).s);
	}
	return run;
}

static void the_cases_of_the_specification_hold(void **state)
{
	static const char *const files[] = { "comments", "delimiters", "interpolation", "inverted",
					     "sections" };
	const char *vectors = getenv("TEST_VECTORS_DIR");
	char path[512];
	int run = 0;
	(void)state;
	if (!vectors || !*vectors || access(vectors, R_OK)) {
		print_message("TEST_VECTORS_DIR has no mustache/*.json\n");
		skip();
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/mustache/%s.json", vectors, files[i]);
		run += run_specification(path);
	}
	assert_true(run > 100);
}

static int make_directory(void **state)
{
	(void)state;
	return !mkdtemp(directory) || setenv("TEMPLATES_DIR", directory, 1) || config_load(NULL);
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_template_makes_of_values_what_mustache_says),
		cmocka_unit_test(plain_text_is_not_escaped),
		cmocka_unit_test(a_mistake_is_an_error_that_says_where),
		cmocka_unit_test(a_mistake_counts_also_in_a_section_that_is_left_out),
		cmocka_unit_test(nesting_has_a_bound),
		cmocka_unit_test(lists_in_lists_end_at_a_bound),
		cmocka_unit_test(a_file_is_escaped_if_it_is_html),
		cmocka_unit_test(a_changed_file_counts_from_the_next_mail_on),
		cmocka_unit_test(a_missing_template_is_named),
		cmocka_unit_test(a_name_does_not_leave_the_directory),
		cmocka_unit_test(what_is_no_file_or_too_large_is_a_wrong_setting),
		cmocka_unit_test(the_cases_of_the_specification_hold),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
