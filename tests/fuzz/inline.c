/*
 * inline, under a fuzzer: whatever the page is, inlining ends, and what is
 * outside of styles comes through.
 *
 *	clang -fsanitize=fuzzer,address,undefined … tests/fuzz/inline.c (see `make fuzz`)
 */
#include <stdint.h>
#include <stdlib.h>
#include <strings.h>

#include "core/buffer.h"
#include "mail/inline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes that no style is made of here: they must all be there still, in their order. */
static void check_marks(struct text before, struct text after)
{
	size_t at = 0;
	for (size_t i = 0; i < before.n; i++) {
		if (before.s[i] != '\x02')
			continue;
		while (at < after.n && after.s[at] != '\x02')
			at++;
		if (at++ >= after.n)
			abort();
	}
}

/* Whether the page may have a sheet or a style of its own, in whatever mixture of cases. */
static bool may_have_style(struct text html)
{
	for (size_t i = 0; i + 5 <= html.n; i++) {
		if (!strncasecmp(html.s + i, "style", 5))
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text html = { (const char *)data, size };
	CLEANUP(buffer_finish) struct buffer page = { 0 };
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	struct error e;
	/* A page that begins with a sheet, so that few are without one. */
	buffer_append_string(&page, "<style>p,.a>b:first-child,[c]{d:e}a:hover{f:g}</style>");
	buffer_append_text(&page, html);
	if (inline_styles(buffer_text(&page), "html", &out, &e))
		return 0;
	/* With no other sheet and no other style, marks can only be outside of them. */
	if (!may_have_style(html))
		check_marks(html, buffer_text(&out));
	return 0;
}
