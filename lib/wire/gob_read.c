/* gob_read: values, into members of a struct or just past them. */
#include "wire/gob_cursor.h"
#include "wire/gob_types.h"

static void skip(const struct gob_types *types, struct gob_cursor *c, int64_t type);

static void skip_struct(const struct gob_types *types, struct gob_cursor *c,
			const struct gob_type *type)
{
	int64_t last = -1;
	for (int64_t f; (f = gob_get_field(c, &last)) >= 0;) {
		if ((uint64_t)f >= type->field_count)
			gob_break(c);
		else
			skip(types, c, type->fields[f].type);
	}
}

static void skip_elements(const struct gob_types *types, struct gob_cursor *c,
			  const struct gob_type *type)
{
	uint64_t n = gob_get_uint(c);
	for (uint64_t i = 0; i < n && !c->broken; i++) {
		if (type->form == GOB_FORM_MAP)
			skip(types, c, type->key);
		skip(types, c, type->element);
	}
}

/*
 * A name, and for a value that is not nil its type and its length. Definitions
 * in there, which come when interfaces hold interfaces, are not taken.
 */
static void skip_interface(struct gob_cursor *c)
{
	if (gob_get_text(c).n == 0)
		return;
	if (gob_get_int(c) <= 0)
		gob_break(c);
	gob_get_text(c);
}

static void skip_built_in(struct gob_cursor *c, int64_t type)
{
	switch (type) {
	case GOB_BOOL:
	case GOB_INT:
	case GOB_UINT:
	case GOB_FLOAT:
		gob_get_uint(c);
		break;
	case GOB_BYTES:
	case GOB_STRING:
		gob_get_text(c);
		break;
	case GOB_COMPLEX:
		gob_get_uint(c);
		gob_get_uint(c);
		break;
	case GOB_INTERFACE:
		skip_interface(c);
		break;
	default:
		gob_break(c);
		break;
	}
}

static void skip(const struct gob_types *types, struct gob_cursor *c, int64_t type)
{
	const struct gob_type *defined = gob_types_find(types, type);
	if (++c->depth > GOB_MAX_DEPTH)
		gob_break(c);
	else if (!defined)
		skip_built_in(c, type);
	else if (defined->form == GOB_FORM_STRUCT)
		skip_struct(types, c, defined);
	else if (defined->form == GOB_FORM_BYTES)
		gob_get_text(c);
	else
		skip_elements(types, c, defined);
	c->depth--;
}

static enum error_code finish(const struct gob_cursor *c, struct error *e)
{
	if (gob_cursor_is_done(c))
		return ERROR_NONE;
	return error_set(e, ERROR_BAD_INPUT, "a value is malformed");
}

/* A value that is no struct is led by a 0. */
static void skip_lead(struct gob_cursor *c)
{
	if (gob_get_uint(c) != 0)
		gob_break(c);
}

enum error_code gob_skip(const struct gob_types *types, const struct gob_value *value,
			 struct error *e)
{
	struct gob_cursor c = gob_cursor_of(value->bytes);
	const struct gob_type *type = gob_types_find(types, value->type);
	if (!type || type->form != GOB_FORM_STRUCT)
		skip_lead(&c);
	skip(types, &c, value->type);
	return finish(&c, e);
}

static const struct gob_member *find_member(const struct gob_struct *shape, struct text name)
{
	for (size_t i = 0; i < shape->count; i++) {
		if (text_equal(name, text_of(shape->members[i].name)))
			return &shape->members[i];
	}
	return NULL;
}

static const char *go_kind(enum gob_kind kind)
{
	return kind == GOB_STRING ? "string" : kind == GOB_UINT ? "uint64" : "int64";
}

/* Go refuses a type as a whole, whichever of its fields are sent. */
static enum error_code check_type(const struct gob_type *type, const struct gob_struct *shape,
				  struct error *e)
{
	bool any = type->field_count == 0 || shape->count == 0;
	if (type->form != GOB_FORM_STRUCT)
		return error_set(
			e, ERROR_UNPROCESSABLE,
			"gob: type mismatch in decoder: want struct type %s; got non-struct",
			shape->go_type);
	for (size_t i = 0; i < type->field_count; i++) {
		const struct gob_field *field = &type->fields[i];
		const struct gob_member *member = find_member(shape, field->name);
		if (member && field->type != (int64_t)member->kind)
			return error_set(e, ERROR_UNPROCESSABLE,
					 "gob: wrong type (%s) for received field %.*s.%s",
					 go_kind(member->kind), (int)type->name.n, type->name.s,
					 member->name);
		any = any || member;
	}
	if (!any)
		return error_set(e, ERROR_UNPROCESSABLE,
				 "gob: type mismatch: no fields matched compiling decoder for %s",
				 shape->name);
	return ERROR_NONE;
}

/* Values of the wrong type must still be well formed, or nothing that follows can be trusted. */
static enum error_code refuse(const struct gob_types *types, const struct gob_value *value,
			      const struct error *why, struct error *e)
{
	enum error_code code = gob_skip(types, value, e);
	return code ? code : error_set(e, why->code, "%s", why->text);
}

static void read_member(struct gob_cursor *c, const struct gob_member *m, void *out)
{
	void *at = (char *)out + m->offset;
	if (m->kind == GOB_STRING)
		*(struct text *)at = gob_get_text(c);
	else if (m->kind == GOB_UINT)
		*(uint64_t *)at = gob_get_uint(c);
	else
		*(int64_t *)at = gob_get_int(c);
}

enum error_code gob_read_struct(const struct gob_types *types, const struct gob_value *value,
				const struct gob_struct *shape, void *out, struct error *e)
{
	static const struct gob_type no_struct = { .form = GOB_FORM_BYTES };
	const struct gob_type *type = gob_types_find(types, value->type);
	struct gob_cursor c = gob_cursor_of(value->bytes);
	struct error why;
	int64_t last = -1;
	c.depth = 1; /* the struct itself */
	type = type ? type : &no_struct;
	if (check_type(type, shape, &why))
		return refuse(types, value, &why, e);
	for (int64_t f; (f = gob_get_field(&c, &last)) >= 0;) {
		if ((uint64_t)f >= type->field_count) {
			gob_break(&c);
			break;
		}
		const struct gob_member *member = find_member(shape, type->fields[f].name);
		if (member)
			read_member(&c, member, out);
		else
			skip(types, &c, type->fields[f].type);
	}
	return finish(&c, e);
}

enum error_code gob_read_string(const struct gob_types *types, const struct gob_value *value,
				struct text *out, struct error *e)
{
	static const struct error why = { ERROR_UNPROCESSABLE, "gob: the value is no string" };
	struct gob_cursor c = gob_cursor_of(value->bytes);
	if (value->type != GOB_STRING)
		return refuse(types, value, &why, e);
	skip_lead(&c);
	*out = gob_get_text(&c);
	return finish(&c, e);
}
