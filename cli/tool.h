/* tool: runs a small program and takes what it prints, for a limited time. */
#ifndef FLEXI_CLI_TOOL_H
#define FLEXI_CLI_TOOL_H

#include "core/buffer.h"
#include "core/error.h"

enum { TOOL_TIMEOUT_MS = 5000 };

/*
 * Runs argv[0], looked for in PATH, and appends its standard output to *out;
 * its standard error is dropped. ERROR_NOT_FOUND if there is no such program,
 * ERROR_PEER_TIMEOUT if it was killed after TOOL_TIMEOUT_MS, ERROR_PEER_ANSWER
 * if it ended with another status than 0.
 */
enum error_code tool_output(const char *const *argv, struct buffer *out, struct error *e);

#endif
