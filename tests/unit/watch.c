/* When a dropped file is a program, and what becomes of its copies. */
#include "suite.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../spawn/watch_program.h"
#include "core/config.h"

static char directory[] = "/tmp/watch-test-XXXXXX";

static const char *in_directory(const char *name)
{
	static char path[256];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void write_program(const char *name, const char *content, mode_t mode)
{
	int fd = open(in_directory(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(close(fd), 0);
}

static enum program_state look(const char *name, struct identity *id)
{
	return program_look(in_directory(name), id);
}

static void what_is_not_there_is_absent(void **state)
{
	(void)state;
	struct identity id;
	assert_int_equal(look("nothing", &id), PROGRAM_ABSENT);
	assert_int_equal(symlink("nothing", in_directory("dangling")), 0);
	assert_int_equal(look("dangling", &id), PROGRAM_ABSENT);
}

static void a_directory_is_no_program(void **state)
{
	(void)state;
	struct identity id;
	assert_int_equal(mkdir(in_directory("directory"), 0700), 0);
	assert_int_equal(look("directory", &id), PROGRAM_FOREIGN);
}

static void a_file_is_ready_when_it_is_executable_and_not_empty(void **state)
{
	(void)state;
	struct identity id;
	write_program("plain", "#!/bin/sh\n", 0644);
	assert_int_equal(look("plain", &id), PROGRAM_UNREADY);
	write_program("empty", "", 0755);
	assert_int_equal(look("empty", &id), PROGRAM_UNREADY);
	write_program("ready", "#!/bin/sh\n", 0755);
	assert_int_equal(look("ready", &id), PROGRAM_READY);
	assert_int_equal(symlink("ready", in_directory("link")), 0);
	assert_int_equal(look("link", &id), PROGRAM_READY);
}

static void a_file_that_is_open_for_writing_is_being_written(void **state)
{
	(void)state;
	struct identity id;
	write_program("written", "#!/bin/sh\n", 0755);
	int fd = open(in_directory("written"), O_WRONLY | O_APPEND);
	assert_true(fd >= 0);
	assert_int_equal(look("written", &id), PROGRAM_WRITTEN);
	close(fd);
	assert_int_equal(look("written", &id), PROGRAM_READY);
}

static void a_change_of_content_is_a_change_of_identity(void **state)
{
	(void)state;
	struct identity before;
	struct identity after;
	write_program("changing", "#!/bin/sh\n1\n", 0755);
	look("changing", &before);
	look("changing", &after);
	assert_true(identity_equal(&before, &after));
	write_program("changing", "#!/bin/sh\n22\n", 0755);
	look("changing", &after);
	assert_false(identity_equal(&before, &after));
}

static void a_copy_is_named_after_its_content_and_cannot_be_written(void **state)
{
	(void)state;
	struct identity id;
	struct error e = { 0 };
	struct stat st;
	char hash[LAYOUT_HASH_BYTES];
	char path[LAYOUT_PATH_BYTES];
	write_program("copied", "abc", 06755);
	assert_int_equal(look("copied", &id), PROGRAM_READY);
	if (program_copy(in_directory("copied"), &id, "copied", hash, &e))
		fail_msg("%s", e.text);
	/* FIPS 180-2, appendix B.1 */
	assert_string_equal(hash,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	layout_version("copied", hash, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0555);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(program_copy(in_directory("copied"), &id, "copied", hash, &e), ERROR_NONE);
}

static void a_file_that_changed_since_the_look_is_not_copied(void **state)
{
	(void)state;
	struct identity id;
	struct error e = { 0 };
	char hash[LAYOUT_HASH_BYTES];
	write_program("late", "#!/bin/sh\n", 0755);
	look("late", &id);
	write_program("late", "#!/bin/sh\nexit\n", 0755);
	assert_int_equal(program_copy(in_directory("late"), &id, "late", hash, &e), ERROR_CONFLICT);
}

static void a_copy_goes_when_it_is_neither_fresh_nor_linked(void **state)
{
	(void)state;
	struct identity id;
	char hash[LAYOUT_HASH_BYTES];
	char path[LAYOUT_PATH_BYTES];
	write_program("kept", "kept", 0755);
	look("kept", &id);
	assert_int_equal(program_copy(in_directory("kept"), &id, "kept", hash, NULL), ERROR_NONE);
	layout_version("kept", hash, path);
	program_prune("kept", PROGRAM_PRUNE_AGE_MS);
	assert_int_equal(access(path, X_OK), 0);
	char linked[LAYOUT_HASH_BYTES];
	assert_int_equal(layout_link_version(LAYOUT_WANTED, "public", "kept", hash, NULL),
			 ERROR_NONE);
	assert_true(layout_linked_version(LAYOUT_WANTED, "public", "kept", linked));
	assert_string_equal(linked, hash);
	assert_false(layout_linked_version(LAYOUT_RUNNING, "public", "kept", linked));
	program_prune("kept", 0);
	assert_int_equal(access(path, X_OK), 0);
	layout_path(LAYOUT_WANTED, "public", "kept", path);
	assert_int_equal(unlink(path), 0);
	programs_prune(0);
	layout_path(LAYOUT_VERSIONS, "", "kept", path);
	assert_int_equal(access(path, F_OK), -1);
}

static void names_of_unfinished_files_are_passed_over(void **state)
{
	(void)state;
	static const char *const over[] = { ".hello",	 "hello~",    "hello.tmp",  "#hello#",
					    "hello.swp", "hello.new", "hello.conf", "hello.bak" };
	for (size_t i = 0; i < sizeof(over) / sizeof(over[0]); i++)
		assert_true(program_is_passed_over(over[i]));
	assert_false(program_is_passed_over("hello"));
	assert_false(program_is_passed_over("Hello.sh")); /* wrong, and worth a line */
}

int main(void)
{
	char versions[64];
	if (!mkdtemp(directory))
		return 1;
	snprintf(versions, sizeof(versions), "%s/versions", directory);
	setenv("RUN_DIR", directory, 1);
	setenv("HANDLERS_DIR", directory, 1);
	if (mkdir(versions, 0700) || config_load(NULL))
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_there_is_absent),
		cmocka_unit_test(a_directory_is_no_program),
		cmocka_unit_test(a_file_is_ready_when_it_is_executable_and_not_empty),
		cmocka_unit_test(a_file_that_is_open_for_writing_is_being_written),
		cmocka_unit_test(a_change_of_content_is_a_change_of_identity),
		cmocka_unit_test(a_copy_is_named_after_its_content_and_cannot_be_written),
		cmocka_unit_test(a_file_that_changed_since_the_look_is_not_copied),
		cmocka_unit_test(a_copy_goes_when_it_is_neither_fresh_nor_linked),
		cmocka_unit_test(names_of_unfinished_files_are_passed_over),
	};
	int failed = RUN_SUITE(tests);
	char remove[80];
	snprintf(remove, sizeof(remove), "rm -r '%s'", directory);
	return system(remove) || failed;
}
