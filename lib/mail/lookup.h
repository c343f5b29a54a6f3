/*
 * lookup: which of many things have a name, for names of several kinds.
 */
#ifndef FLEXI_MAIL_LOOKUP_H
#define FLEXI_MAIL_LOOKUP_H

#include <glib.h>

#include "core/text.h"

/* Freed with g_hash_table_unref. */
GHashTable *lookup_new(void);

/* Notes that the thing with this number has the name. Numbers come in rising order. */
void lookup_add(GHashTable *table, char kind, struct text name, size_t number);

/*
 * The numbers noted for a name, and how many they are; NULL and 0 if there are
 * none. Of a long name only the beginning counts: there may be too many.
 */
const size_t *lookup_find(GHashTable *table, char kind, const char *name, size_t *count);

#endif
