/* gob_types: what a definition says. For the files of gob. */
#ifndef FLEXI_WIRE_GOB_TYPES_H
#define FLEXI_WIRE_GOB_TYPES_H

#include "wire/gob.h"

enum gob_form { GOB_FORM_STRUCT, GOB_FORM_LIST, GOB_FORM_MAP, GOB_FORM_BYTES };

struct gob_field {
	struct text name; /* within the type's own copy of its definition */
	int64_t type;
};

struct gob_type {
	int64_t id;
	enum gob_form form;
	int64_t key;		  /* of a map */
	int64_t element;	  /* of a map, a slice or an array */
	struct gob_field *fields; /* of a struct */
	size_t field_count;
	struct text name;
	char *definition;
};

/* NULL if the stream has not defined it. */
const struct gob_type *gob_types_find(const struct gob_types *types, int64_t id);

#endif
