/*
 * entry_document: an entry as the document that MongoDB keeps, and back:
 * {_id: ObjectId, name, data, level: strings, created_at, updated_at: dates}.
 */
#ifndef FLEXI_STORE_ENTRY_DOCUMENT_H
#define FLEXI_STORE_ENTRY_DOCUMENT_H

#include <bson/bson.h>

#include "store/entries.h"

/* What one document may hold of name and data: MongoDB's 16 MiB, less room for the rest. */
enum { MAX_ENTRY_TEXT_BYTES = 16 * 1024 * 1024 - 4096 };

/* Whether the entry can be stored: ERROR_BAD_INPUT, ERROR_TOO_LARGE. */
enum error_code entry_document_check(const struct entry *entry, struct error *e);

/* Builds the document of a checked entry in *document, which the caller destroys; false if short
 * of memory. */
bool entry_document_write(const struct entry *entry, bson_t *document);

/* Reads a document; name and data are borrowed from it. What is missing is "", INFO or 0. */
void entry_document_read(const bson_t *document, struct entry *entry, int64_t *updated_ms);

#endif
