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

/* The document of a checked entry. The caller destroys it; NULL when memory is short. */
bson_t *entry_document_new(const struct entry *entry);

/* Reads a document; name and data are borrowed from it. What is missing is "", INFO or 0. */
void entry_document_read(const bson_t *document, struct entry *entry, int64_t *updated_ms);

#endif
