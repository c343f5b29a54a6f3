/* hex: bytes written as hexadecimal digits. */
#ifndef FLEXI_TESTS_HEX_H
#define FLEXI_TESTS_HEX_H

#include "core/buffer.h"

/* The caller finishes it. */
static inline struct buffer bytes_of(const char *hex)
{
	struct buffer b = { 0 };
	for (; hex[0] && hex[1]; hex += 2) {
		char digits[3] = { hex[0], hex[1], '\0' };
		buffer_append(&b, &(char){ (char)strtol(digits, NULL, 16) }, 1);
	}
	return b;
}

#endif
