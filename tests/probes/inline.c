/* inline: the page of standard input, its styles inlined, on standard output. */
#include <stdio.h>

#include "core/buffer.h"
#include "mail/inline.h"

enum { READ_BYTES = 64 * 1024, EXIT_REFUSED = 2 };

int main(void)
{
	CLEANUP(buffer_finish) struct buffer in = { 0 };
	CLEANUP(buffer_finish) struct buffer out = { 0 };
	struct error e;
	size_t n = 1;
	while (n > 0) {
		char *room = buffer_room(&in, READ_BYTES);
		n = room ? fread(room, 1, READ_BYTES, stdin) : 0;
		if (n > 0)
			buffer_grew(&in, n);
	}
	if (inline_styles(buffer_text(&in), "html", &out, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return EXIT_REFUSED;
	}
	return fwrite(out.bytes ? out.bytes : "", 1, out.size, stdout) == out.size ? 0 : 1;
}
