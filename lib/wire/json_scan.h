/*
 * json_scan: checks JSON text (RFC 8259) before json-c builds it, because json-c
 * merges members of one name, mends broken surrogates and takes more than the
 * RFC does. The rules are those of wire/json.h.
 */
#ifndef FLEXI_WIRE_JSON_SCAN_H
#define FLEXI_WIRE_JSON_SCAN_H

#include "core/error.h"
#include "core/text.h"

/*
 * Checks that in is one value and nothing else, and counts the members of all
 * objects in it: fewer in the finished tree means that one was named twice.
 */
enum error_code json_scan(struct text in, const char *what, size_t *members, struct error *e);

#endif
