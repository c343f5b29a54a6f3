/*
 * utf8: the well-formed byte sequences of Unicode 15, table 3-7 (RFC 3629).
 */
#ifndef FLEXI_CORE_UTF8_H
#define FLEXI_CORE_UTF8_H

#include <stdbool.h>

#include "core/text.h"

/* The length of the well-formed character at s, which has n bytes; 0 if there is none. */
size_t utf8_length(const char *s, size_t n);

/* Whether all of it is well formed. */
bool utf8_is_valid(struct text text);

/* Puts a question mark in the place of every byte that belongs to no well-formed character. */
void utf8_mend(char *string);

#endif
