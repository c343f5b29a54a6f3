/*
 * inline, under a fuzzer: whatever the page is, inlining ends, and what is
 * outside of styles comes through.
 *
 *	clang -fsanitize=fuzzer,address,undefined … tests/fuzz/inline.c (see `make fuzz`)
 */
#include <stdint.h>
#include <stdlib.h>

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
	if (!memmem(data, size, "<s", 2) && !memmem(data, size, "<S", 2) &&
	    !memmem(data, size, "tyle", 4) && !memmem(data, size, "TYLE", 4))
		check_marks(html, buffer_text(&out));
	return 0;
}
