/* gob_types: definitions of types, which are themselves values of types that all streams know. */
#include "wire/gob_types.h"

#include <stdlib.h>

#include "wire/gob_cursor.h"

/* Ids below this are Go's own. */
enum { FIRST_DEFINED_TYPE = 64 };

/* What the fields after the common one mean, by which of the wire type's fields was sent. */
enum meaning { NONE, FIELDS, ELEMENT, KEY, LENGTH };

static const struct {
	enum gob_form form;
	enum meaning second, third;
} wire_types[] = {
	{ GOB_FORM_LIST, ELEMENT, LENGTH }, /* ArrayT */
	{ GOB_FORM_LIST, ELEMENT, NONE },   /* SliceT */
	{ GOB_FORM_STRUCT, FIELDS, NONE },  /* StructT */
	{ GOB_FORM_MAP, KEY, ELEMENT },	    /* MapT */
	{ GOB_FORM_BYTES, NONE, NONE },	    /* GobEncoderT */
	{ GOB_FORM_BYTES, NONE, NONE },	    /* BinaryMarshalerT */
	{ GOB_FORM_BYTES, NONE, NONE },	    /* TextMarshalerT */
};

enum { WIRE_TYPES = sizeof(wire_types) / sizeof(wire_types[0]) };

const struct gob_type *gob_types_find(const struct gob_types *types, int64_t id)
{
	for (int i = 0; i < types->count; i++) {
		if (types->list[i].id == id)
			return &types->list[i];
	}
	return NULL;
}

/* A struct of a name and a number, as CommonType and fieldType are. */
static int64_t read_named(struct gob_cursor *c, struct text *name)
{
	int64_t number = 0;
	int64_t last = -1;
	*name = text_of("");
	for (int64_t f; (f = gob_get_field(c, &last)) >= 0;) {
		if (f == 0)
			*name = gob_get_text(c);
		else if (f == 1)
			number = gob_get_int(c);
		else
			gob_break(c);
	}
	return number;
}

static void read_fields(struct gob_cursor *c, struct gob_type *type)
{
	uint64_t n = gob_get_uint(c);
	if (n > GOB_MAX_FIELDS || type->fields) {
		gob_break(c);
		return;
	}
	type->fields = calloc((size_t)n + 1, sizeof(*type->fields));
	if (!type->fields) {
		gob_break(c);
		return;
	}
	for (size_t i = 0; i < n && !c->broken; i++) {
		type->fields[i].type = read_named(c, &type->fields[i].name);
		type->field_count++;
	}
}

static void read_meaning(struct gob_cursor *c, struct gob_type *type, enum meaning meaning)
{
	switch (meaning) {
	case FIELDS:
		read_fields(c, type);
		break;
	case ELEMENT:
		type->element = gob_get_int(c);
		break;
	case KEY:
		type->key = gob_get_int(c);
		break;
	case LENGTH:
		gob_get_int(c);
		break;
	case NONE:
		gob_break(c);
		break;
	}
}

static void read_wire_type(struct gob_cursor *c, struct gob_type *type)
{
	int64_t of_wire = -1;
	int64_t last = -1;
	int64_t which = gob_get_field(c, &of_wire);
	if (which < 0 || which >= WIRE_TYPES) {
		gob_break(c);
		return;
	}
	type->form = wire_types[which].form;
	for (int64_t f; (f = gob_get_field(c, &last)) >= 0;) {
		if (f == 0)
			read_named(c, &type->name); /* the message's own id is what counts */
		else if (f == 1)
			read_meaning(c, type, wire_types[which].second);
		else
			read_meaning(c, type, f == 2 ? wire_types[which].third : NONE);
	}
	if (gob_get_field(c, &of_wire) >= 0)
		gob_break(c);
}

static void type_finish(struct gob_type *type)
{
	free(type->fields);
	free(type->definition);
}

void gob_types_finish(struct gob_types *types)
{
	for (int i = 0; i < types->count; i++)
		type_finish(&types->list[i]);
	free(types->list);
	*types = (struct gob_types){ 0 };
}

static enum error_code read_definition(struct gob_type *type, struct text definition,
				       struct error *e)
{
	type->definition = malloc(definition.n + 1);
	if (!type->definition)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	memcpy(type->definition, definition.s, definition.n);
	struct gob_cursor c = gob_cursor_of((struct text){ type->definition, definition.n });
	read_wire_type(&c, type);
	if (!gob_cursor_is_done(&c))
		return error_set(e, ERROR_BAD_INPUT, "the definition of a type is malformed");
	return ERROR_NONE;
}

static enum error_code define(struct gob_types *types, int64_t id, struct text definition,
			      struct error *e)
{
	if (types->count == GOB_MAX_TYPES ||
	    definition.n > GOB_MAX_DEFINITIONS_BYTES - types->bytes)
		return error_set(e, ERROR_BAD_INPUT, "over %d types or %d bytes are defined",
				 GOB_MAX_TYPES, GOB_MAX_DEFINITIONS_BYTES);
	if (id < FIRST_DEFINED_TYPE || gob_types_find(types, id))
		return error_set(e, ERROR_BAD_INPUT, "a type is defined twice, or is built in");
	struct gob_type *list = realloc(types->list, (size_t)(types->count + 1) * sizeof(*list));
	if (!list)
		return error_set(e, ERROR_INTERNAL, "out of memory");
	types->list = list;
	struct gob_type type = { .id = id, .name = text_of("") };
	enum error_code code = read_definition(&type, definition, e);
	if (code) {
		type_finish(&type);
		return code;
	}
	types->list[types->count++] = type;
	types->bytes += definition.n;
	return ERROR_NONE;
}

enum error_code gob_read(struct gob_types *types, struct text message, struct gob_value *value,
			 struct error *e)
{
	struct gob_cursor c = gob_cursor_of(message);
	int64_t id = gob_get_int(&c);
	*value = (struct gob_value){ .bytes = { (const char *)c.at, (size_t)(c.end - c.at) } };
	if (c.broken || id == INT64_MIN || id == 0)
		return error_set(e, ERROR_BAD_INPUT, "a message has no type");
	if (id < 0)
		return define(types, -id, value->bytes, e);
	value->type = id;
	return ERROR_NONE;
}
