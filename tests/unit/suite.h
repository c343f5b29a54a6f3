/*
 * suite: what every unit test includes. A test's name is the sentence it proves.
 */
#ifndef FLEXI_TESTS_SUITE_H
#define FLEXI_TESTS_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/text.h"

/* Text from a literal, NUL bytes within it included. */
#define TEXT_LITERAL(literal) ((struct text){ (literal), sizeof(literal) - 1 })

#define assert_text_equal(actual, string)                                                          \
	do {                                                                                       \
		struct text is_ = (actual);                                                        \
		assert_int_equal(is_.n, strlen(string));                                           \
		assert_memory_equal(is_.s, (string), strlen(string));                              \
	} while (0)

/* Runs the tests of one module; the file's main ends with it. */
#define RUN_SUITE(tests) cmocka_run_group_tests(tests, NULL, NULL)

#endif
