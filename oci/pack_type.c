#include "oci/pack_type.h"

#include "oci/model.h"

static const struct pack_type anything;

/* The T of "list[T]"; empty for any other type. */
static struct span listed(struct span type)
{
	struct span head = SPAN("list[");

	if (!span_starts(type, head) || type.at[type.len - 1] != ']')
		return SPAN("");
	return span_of(type.at + head.len, type.len - head.len - 1);
}

/* The T of "dict(str, T)". */
static struct span mapped(struct span type)
{
	struct span head = SPAN("dict(str, ");

	if (!span_starts(type, head) || type.at[type.len - 1] != ')')
		return SPAN("");
	return span_of(type.at + head.len, type.len - head.len - 1);
}

static bool is_scalar(struct span type)
{
	static const char *const scalars[] = { "str",  "int",      "float",
		                               "bool", "datetime", "date" };

	for (size_t i = 0; i < ARRAY_LEN(scalars); i++)
		if (span_is(type, scalars[i]))
			return true;
	return false;
}

static struct pack_type of(struct pack_type from, struct span type)
{
	return (struct pack_type){ from.service, type };
}

/* A member of a model or of one of its kinds. */
static bool find_field(const struct model *model, struct span name,
                       struct span *type, struct nearest *near)
{
	struct model_field field;
	const struct model *kind;
	struct span value;

	if (model_field_find(model, name, &field)) {
		*type = field.type;
		return true;
	}
	for (size_t i = 0; i < model_fields(model); i++) {
		model_field(model, i, &field);
		nearest_look(near, field.name);
	}
	for (size_t i = 0; i < model_kinds(model); i++) {
		model_kind(model, i, &value, &kind);
		if (kind == model || !model_field_find(kind, name, &field))
			continue;
		*type = field.type;
		return true;
	}
	return false;
}

bool pack_type_member(struct pack_type from, struct span name,
                      struct pack_type *out, struct nearest *near)
{
	const struct model *model = model_find(from.service, from.type);
	struct span type = mapped(from.type);

	*near = (struct nearest){ .word = name };
	if (model && !find_field(model, name, &type, near))
		return false;
	if (!model && type.len == 0 &&
	    (is_scalar(from.type) || listed(from.type).len))
		return false;
	*out = of(from, type);
	return true;
}

/* "[0][1]" behind a name. */
static void step_positions(struct pack_type *at, size_t n)
{
	while (n--)
		*at = of(*at, listed(at->type));
}

struct pack_type pack_type_element(struct pack_type list)
{
	const struct model *model = model_find(list.service, list.type);
	struct model_field items;
	struct span type = listed(list.type);

	if (model && model_field_find(model, SPAN("items"), &items))
		type = listed(items.type);
	return of(list, type);
}

struct pack_type pack_type_answer(const struct operation *op, bool items)
{
	struct pack_type whole = { operation_service(op),
		                   operation_response(op) };
	struct nearest near = { .word = SPAN("") };
	struct pack_type list;

	if (items && operation_shape(op) == OPERATION_COLLECTION)
		return pack_type_find(whole, operation_items(op), &list, &near)
		               ? list
		               : anything;
	return whole;
}

struct pack_type pack_type_body(const struct operation *op)
{
	return (struct pack_type){ operation_service(op), operation_body(op) };
}

bool pack_type_find(struct pack_type from, struct span path,
                    struct pack_type *out, struct nearest *near)
{
	*out = from;
	while (path.len) {
		size_t end = span_find(path, '.');
		struct span part = span_first(path, end), name = part;
		size_t positions = 0;

		for (size_t i = 0; i < part.len; i++)
			positions += part.at[i] == '[';
		name.len = span_find(part, '[');
		if (name.len && !pack_type_member(*out, name, out, near))
			return false;
		step_positions(out, positions);
		path = span_from(path, end + 1);
	}
	return true;
}
