/*
 * What flexi status makes of a stack. The stack is a directory made here, s6-svstat a script that
 * prints the file `svstat` of the service that it is asked about.
 */
#include "suite.h"

#include <sys/stat.h>

#include "../../cli/judge.c"	/* NOLINT(bugprone-suspicious-include) */
#include "../../cli/services.c" /* NOLINT(bugprone-suspicious-include) */
#include "../../cli/tool.c"	/* NOLINT(bugprone-suspicious-include) */

static char run_dir[64];
static int scanner = -1; /* the reading end that a scanner would hold */

static void make_directory(const char *inside)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", run_dir, inside);
	assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
}

static void write_file(const char *inside, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", run_dir, inside);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, 0755), 0);
}

/* A service of that name, of which s6-svstat says that. */
static void make_service(const char *name, const char *svstat)
{
	char inside[128];
	snprintf(inside, sizeof(inside), "services/%s", name);
	make_directory(inside);
	snprintf(inside, sizeof(inside), "services/%s/svstat", name);
	write_file(inside, svstat);
}

static int make_stack(void **state)
{
	(void)state;
	char path[512];
	strcpy(run_dir, "/tmp/flexi-status.XXXXXX");
	if (!mkdtemp(run_dir))
		return -1;
	make_directory("bin");
	make_directory("public");
	write_file("bin/s6-svstat", "#!/bin/sh\nexec cat \"$3/svstat\"\n");
	write_file("bin/s6-svdt", "#!/bin/sh\nexec cat \"$1/svdt\"\n");
	snprintf(path, sizeof(path), "%s/bin:%s", run_dir, getenv("PATH"));
	setenv("PATH", path, 1);
	setenv("RUN_DIR", run_dir, 1);
	return config_load(NULL) ? -1 : 0;
}

static int remove_stack(void **state)
{
	(void)state;
	char command[96];
	snprintf(command, sizeof(command), "rm -r %s", run_dir);
	close(scanner);
	return system(command); /* NOLINT(cert-env33-c): a name that mkdtemp made */
}

/* The one service of that name, as it is judged. */
static struct judgement judgement_of(const char *name)
{
	struct judgement j = { .state = "none" };
	struct service_list list;
	struct error e = { 0 };
	if (services_read(&list, &e))
		fail_msg("%s", e.text);
	for (size_t i = 0; i < list.count; i++) {
		if (strcmp(list.services[i].name, name) == 0)
			j = judge_service(&list.services[i]);
	}
	service_list_finish(&list);
	return j;
}

static void expect(const char *name, bool is_unwell, const char *word)
{
	struct judgement j = judgement_of(name);
	assert_string_equal(j.state, word);
	assert_int_equal(j.unwell, is_unwell);
}

static void no_stack_and_a_stopped_one_are_told_apart(void **state)
{
	(void)state;
	struct service_list list;
	struct error e = { 0 };
	assert_int_equal(services_read(&list, &e), ERROR_NOT_FOUND);
	assert_non_null(strstr(e.text, "nothing runs: there is no /tmp/"));
	make_directory("services");
	make_directory("services/.s6-svscan");
	char path[256];
	snprintf(path, sizeof(path), "%s/services/.s6-svscan/control", run_dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(services_read(&list, &e), ERROR_NOT_FOUND);
	assert_non_null(strstr(e.text, "is stopped"));
	scanner = open(path, O_RDONLY | O_NONBLOCK);
	assert_true(scanner >= 0);
	assert_int_equal(services_read(&list, &e), ERROR_NONE);
	assert_int_equal(list.count, 0);
	service_list_finish(&list);
}

static void a_service_is_well_when_it_is_up_as_wanted_and_ready(void **state)
{
	(void)state;
	make_service("caddy", "true true false 7 60\n");
	expect("caddy", false, "up");
	write_file("services/caddy/notification-fd", "3\n");
	expect("caddy", true, "starting");
	make_service("caddy", "true true true 7 60\n");
	expect("caddy", false, "up");
	make_service("caddy", "false true false -1 1\n");
	expect("caddy", true, "down");
	make_service("caddy", "false false false -1 100\n");
	expect("caddy", false, "down");
	make_service("caddy", "true false true 7 1\n");
	expect("caddy", true, "stopping");
}

static void a_service_that_nothing_supervises_is_dead(void **state)
{
	(void)state;
	make_directory("services/orphan"); /* of which s6-svstat knows nothing */
	expect("orphan", true, "dead");
}

static void a_service_that_ended_again_and_again_is_restless(void **state)
{
	(void)state;
	static const char *const three = "@400000006b056d2805d45dac exitcode 3\n"
					 "@400000006b056d2a060ac443 signal SIGSEGV\n"
					 "@400000006b056d2c066d98bb exitcode 3\n";
	static const char *const long_ago = "@400000006b056c2805d45dac exitcode 3\n"
					    "@400000006b056d2a060ac443 exitcode 3\n"
					    "@400000006b056d2c066d98bb exitcode 3\n";
	make_service("watch", "true true false 7 1\n");
	write_file("services/watch/svdt", three);
	expect("watch", true, "restless");
	write_file("services/watch/svdt", long_ago);
	expect("watch", false, "up");
	write_file("services/watch/svdt", strchr(three, '\n') + 1);
	expect("watch", false, "up");
	write_file("services/watch/svdt", three);
	make_service("watch", "true true false 7 60\n");
	expect("watch", false, "up");
}

static void write_pool(int pid, const char *pool_state, int running, const char *refused)
{
	char text[512];
	snprintf(text, sizeof(text),
		 "{\"pid\":%d,\"place\":\"public\",\"name\":\"hello\",\"state\":\"%s\","
		 "\"workers\":{\"wanted\":2,\"running\":%d,\"leaving\":1},\"restarts\":3,"
		 "\"refused\":\"%s\"}\n",
		 pid, pool_state, running, refused);
	write_file("public/hello.status", text);
}

static void a_pool_is_well_when_it_says_so_itself(void **state)
{
	(void)state;
	make_service("public.hello", "true true true 7 60\n");
	expect("public.hello", true, "starting");
	write_pool(7, "serving", 2, "");
	expect("public.hello", false, "up");
	assert_string_equal(judgement_of("public.hello").note, "3 workers restarted");
	write_pool(6, "serving", 2, ""); /* of the pool before this one */
	expect("public.hello", true, "starting");
	write_pool(7, "serving", 1, "");
	expect("public.hello", true, "short");
	write_pool(7, "rolling", 2, "");
	expect("public.hello", false, "rolling");
	write_pool(7, "failing", 0, "");
	expect("public.hello", true, "failing");
	write_pool(7, "serving", 2, "0123");
	expect("public.hello", true, "up");
}

static void a_status_that_is_no_json_is_no_status(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"", "{", "7", "[]", "{\"pid\":7}", "{\"pid\":7,\"workers\":7,\"state\":\"serving\"}"
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		write_file("public/hello.status", wrong[i]);
		expect("public.hello", true, "starting");
	}
}

static void a_tool_that_is_not_there_is_named(void **state)
{
	(void)state;
	struct error e = { 0 };
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	const char *const argv[] = { "no-such-tool-anywhere", NULL };
	assert_int_equal(tool_output(argv, &out, &e), ERROR_NOT_FOUND);
	assert_string_equal(e.text, "no-such-tool-anywhere: No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_stack_and_a_stopped_one_are_told_apart),
		cmocka_unit_test(a_service_is_well_when_it_is_up_as_wanted_and_ready),
		cmocka_unit_test(a_service_that_nothing_supervises_is_dead),
		cmocka_unit_test(a_service_that_ended_again_and_again_is_restless),
		cmocka_unit_test(a_pool_is_well_when_it_says_so_itself),
		cmocka_unit_test(a_status_that_is_no_json_is_no_status),
		cmocka_unit_test(a_tool_that_is_not_there_is_named),
	};
	return cmocka_run_group_tests(tests, make_stack, remove_stack);
}
