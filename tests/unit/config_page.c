/* docs/configuration.md is what `flexi config --markdown` prints. Runs at the top of the tree. */
#include "suite.h"

#include "../../cli/config_page.c" /* NOLINT(bugprone-suspicious-include) */

static void the_page_in_docs_is_current(void **state)
{
	(void)state;
	char *page = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&page, &size);
	assert_non_null(out);
	config_page(out);
	fclose(out);
	FILE *in = fopen("docs/configuration.md", "r");
	assert_non_null(in);
	char *committed = calloc(1, size + 2);
	assert_non_null(committed);
	size_t n = fread(committed, 1, size + 1, in);
	fclose(in);
	if (n != size || memcmp(page, committed, size) != 0)
		fail_msg("flexi config --markdown >docs/configuration.md");
	free(committed);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_page_in_docs_is_current) };
	return RUN_SUITE(tests);
}
