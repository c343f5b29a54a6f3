/* lookup: a list of numbers for each kind and name. */
#include "mail/lookup.h"

enum { MAX_KEY_BYTES = 128 };

static void free_list(gpointer list)
{
	g_array_free(list, TRUE);
}

GHashTable *lookup_new(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_list);
}

static char *key_of(char kind, struct text name, char key[MAX_KEY_BYTES])
{
	size_t n = name.n < MAX_KEY_BYTES - 2 ? name.n : MAX_KEY_BYTES - 2;
	key[0] = kind;
	memcpy(key + 1, name.s, n);
	key[n + 1] = '\0';
	return key;
}

void lookup_add(GHashTable *table, char kind, struct text name, size_t number)
{
	char key[MAX_KEY_BYTES];
	GArray *list = g_hash_table_lookup(table, key_of(kind, name, key));
	if (!list) {
		list = g_array_new(FALSE, FALSE, sizeof(size_t));
		g_hash_table_insert(table, g_strdup(key), list);
	}
	/* A class may be named twice. */
	if (list->len == 0 || g_array_index(list, size_t, list->len - 1) != number)
		g_array_append_val(list, number);
}

const size_t *lookup_find(GHashTable *table, char kind, const char *name, size_t *count)
{
	char key[MAX_KEY_BYTES];
	GArray *list = g_hash_table_lookup(table, key_of(kind, text_of(name), key));
	*count = list ? list->len : 0;
	return list ? (const size_t *)(const void *)list->data : NULL;
}
