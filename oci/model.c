#include "oci/model.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/value.h"
#include "oci/catalogue/packed.h"
#include "oci/catalogue/tables.h"
#include "oci/nearest.h"

#define NAME_MAX_BYTES 128 /* of a member; no model has a longer one */
#define FIELDS_MAX     1024
#define KINDS_DEPTH    4 /* kinds of kinds */

/* --- models --------------------------------------------------------------- */

static const struct model *first_model(void)
{
	return (const struct model *)tables_first(PACKED_MODELS);
}

size_t model_count(void)
{
	return tables_count(PACKED_MODELS);
}

const struct model *model_at(size_t i)
{
	assert(i < model_count());
	return first_model() + i;
}

struct span model_service(const struct model *model)
{
	return tables_text(model->service);
}

struct span model_name(const struct model *model)
{
	return tables_text(model->name);
}

const struct model *model_find(struct span service, struct span name)
{
	size_t low = 0, high = model_count();

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct model *model = model_at(middle);
		int order = span_cmp(model_service(model), service);

		if (order == 0)
			order = span_cmp(model_name(model), name);
		if (order == 0)
			return model;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct model *model_base(const struct model *model)
{
	return model->base == PACKED_NONE ? NULL : model_at(model->base);
}

size_t model_fields(const struct model *model)
{
	return model->field_count;
}

/* The record of the i-th field. */
static const struct packed_member *nth_field(const struct model *model,
                                             size_t i)
{
	const uint16_t *list =
		(const uint16_t *)tables_first(PACKED_FIELD_LISTS) +
		model->fields;

	assert(i < model->field_count);
	return (const struct packed_member *)tables_first(PACKED_FIELDS) +
	       list[i];
}

void model_field(const struct model *model, size_t i, struct model_field *out)
{
	const struct packed_member *member = nth_field(model, i);
	const uint32_t *choice = tables_choice(member->choice);

	*out = (struct model_field){
		.name = tables_text(member->name),
		.type = tables_text(member->type),
		.required = member->flags & PACKED_REQUIRED,
		.values = choice[0],
		.choice = choice + 1,
	};
}

/* The number of a field, or model_fields() when there is none. */
static size_t find_field(const struct model *model, struct span name)
{
	size_t i = 0;

	while (i < model_fields(model) &&
	       !span_eq(tables_text(nth_field(model, i)->name), name))
		i++;
	return i;
}

bool model_field_find(const struct model *model, struct span name,
                      struct model_field *out)
{
	size_t i = find_field(model, name);

	if (i == model_fields(model))
		return false;
	model_field(model, i, out);
	return true;
}

struct span model_value(const struct model_field *field, size_t i)
{
	assert(i < field->values);
	return tables_text(field->choice[i]);
}

struct span model_discriminator(const struct model *model)
{
	return tables_text(model->discriminator);
}

size_t model_kinds(const struct model *model)
{
	return model->kind_count;
}

void model_kind(const struct model *model, size_t i, struct span *value,
                const struct model **kind)
{
	const struct packed_kind *kinds =
		(const struct packed_kind *)tables_first(PACKED_KINDS) +
		model->first_kind;

	assert(i < model->kind_count);
	*value = tables_text(kinds[i].value);
	*kind = model_at(kinds[i].model);
}

/* The member of a model whose value is fixed, because it is one of the kinds of
 * its base; empty when there is none. */
static struct span fixed_member(const struct model *model, struct span *value)
{
	const struct model *base = model_base(model), *kind;

	for (size_t i = 0; base && i < model_kinds(base); i++) {
		model_kind(base, i, value, &kind);
		if (kind == model)
			return model_discriminator(base);
	}
	return (struct span){ 0 };
}

/* --- types ---------------------------------------------------------------- */

enum shape {
	NO_TYPE,
	ANYTHING,
	STRING,
	INTEGER,
	NUMBER,
	BOOLEAN,
	TIME,
	DATE,
	BYTES,
	LIST,
	MAP,
	MODEL,
};

struct type {
	enum shape shape;
	struct span inner; /* of LIST and MAP */
	const struct model *model;
};

static const struct {
	const char *word;
	enum shape shape;
	const char *article; /* what a value must be */
	const char *schema;
} simple_types[] = {
	{ "str", STRING, "a string", "\"type\":\"string\"" },
	{ "int", INTEGER, "an integer", "\"type\":\"integer\"" },
	{ "float", NUMBER, "a number", "\"type\":\"number\"" },
	{ "bool", BOOLEAN, "true or false", "\"type\":\"boolean\"" },
	{ "datetime", TIME, "a time such as \"2026-01-31T23:59:59Z\"",
	  "\"type\":\"string\",\"format\":\"date-time\"" },
	{ "date", DATE, "a date such as \"2026-01-31\"",
	  "\"type\":\"string\",\"format\":\"date\"" },
	{ "object", ANYTHING, "a value", "" },
	{ "stream", BYTES, "bytes, not JSON",
	  "\"type\":\"string\",\"format\":\"binary\"" },
	{ "bytes", BYTES, "bytes, not JSON",
	  "\"type\":\"string\",\"format\":\"binary\"" },
};

/* Take what stands around a type off it. */
static bool take_around(struct span *text, struct span head, char tail)
{
	if (!span_starts(*text, head) || text->len <= head.len ||
	    text->at[text->len - 1] != tail)
		return false;
	*text = span_of(text->at + head.len, text->len - head.len - 1);
	return true;
}

static struct type read_type(struct span service, struct span text)
{
	struct type type = { .inner = text };

	if (take_around(&type.inner, SPAN("list["), ']')) {
		type.shape = LIST;
		return type;
	}
	if (take_around(&type.inner, SPAN("dict(str, "), ')')) {
		type.shape = MAP;
		return type;
	}
	for (size_t i = 0; i < ARRAY_LEN(simple_types); i++)
		if (span_is(text, simple_types[i].word)) {
			type.shape = simple_types[i].shape;
			return type;
		}
	type.model = model_find(service, text);
	type.shape = type.model ? MODEL : NO_TYPE;
	return type;
}

/* Does the type exist, with everything it is made of? */
static bool is_type(struct span service, struct span text)
{
	struct type type = read_type(service, text);

	while (type.shape == LIST || type.shape == MAP)
		type = read_type(service, type.inner);
	return type.shape != NO_TYPE;
}

/* --- description ---------------------------------------------------------- */

/* From here on models are only named: the largest model without those in it
 * still fits. */
#define ENOUGH_BYTES (MODEL_DESCRIBE_MAX / 8 * 5)

struct writer {
	struct buf *out;
	size_t start; /* bytes that were in out before */
	struct span service;
	bool cut;
};

static void write_type(struct writer *w, struct span text, unsigned depth,
                       const struct model_field *field);

static void write_ref(struct writer *w, const struct model *model)
{
	buf_puts(w->out, "{\"$ref\":");
	buf_add_json(w->out, model_name(model));
	buf_putc(w->out, '}');
}

static void write_values(struct writer *w, const struct model_field *field)
{
	if (!field || field->values == 0)
		return;
	buf_puts(w->out, ",\"enum\":[");
	for (size_t i = 0; i < field->values; i++) {
		if (i)
			buf_putc(w->out, ',');
		buf_add_json(w->out, model_value(field, i));
	}
	buf_putc(w->out, ']');
}

static void write_required(struct writer *w, const struct model *model,
                           struct span fixed)
{
	const char *before = ",\"required\":[";

	for (size_t i = 0; i < model_fields(model); i++) {
		struct model_field field;

		model_field(model, i, &field);
		if (!field.required && !span_eq(field.name, fixed))
			continue;
		buf_puts(w->out, before);
		buf_add_json(w->out, field.name);
		before = ",";
	}
	if (*before == ',' && before[1] == '\0')
		buf_putc(w->out, ']');
}

/* The members of a model that is of one kind. */
static void write_members(struct writer *w, const struct model *model,
                          unsigned depth)
{
	struct span value, fixed = fixed_member(model, &value);

	buf_puts(w->out, "{\"type\":\"object\",\"title\":");
	buf_add_json(w->out, model_name(model));
	buf_puts(w->out, ",\"properties\":{");
	for (size_t i = 0; i < model_fields(model); i++) {
		struct model_field field;

		model_field(model, i, &field);
		if (i)
			buf_putc(w->out, ',');
		buf_add_json(w->out, field.name);
		buf_putc(w->out, ':');
		if (fixed.len && span_eq(field.name, fixed)) {
			buf_puts(w->out, "{\"const\":");
			buf_add_json(w->out, value);
			buf_putc(w->out, '}');
		} else
			write_type(w, field.type, depth, &field);
	}
	buf_putc(w->out, '}');
	write_required(w, model, fixed);
	buf_puts(w->out, ",\"additionalProperties\":false}");
}

/* depth counts the models that may still be written out, this one too. */
static void write_model(struct writer *w, const struct model *model,
                        unsigned depth)
{
	bool enough = w->out->len - w->start > ENOUGH_BYTES;

	if (depth > 0 && enough)
		w->cut = true;
	if (depth == 0 || enough) {
		write_ref(w, model);
		return;
	}
	if (model_kinds(model) == 0) {
		write_members(w, model, depth - 1);
		return;
	}
	buf_puts(w->out, "{\"title\":");
	buf_add_json(w->out, model_name(model));
	buf_puts(w->out, ",\"oneOf\":[");
	for (size_t i = 0; i < model_kinds(model); i++) {
		const struct model *kind;
		struct span value;

		model_kind(model, i, &value, &kind);
		if (i)
			buf_putc(w->out, ',');
		write_model(w, kind, depth);
	}
	buf_puts(w->out, "]}");
}

static const char *schema_of(enum shape shape)
{
	for (size_t i = 0; i < ARRAY_LEN(simple_types); i++)
		if (simple_types[i].shape == shape)
			return simple_types[i].schema;
	return "";
}

static void write_type(struct writer *w, struct span text, unsigned depth,
                       const struct model_field *field)
{
	struct type type = read_type(w->service, text);

	switch (type.shape) {
	case MODEL:
		write_model(w, type.model, depth);
		return;
	case LIST:
		buf_puts(w->out, "{\"type\":\"array\",\"items\":");
		write_type(w, type.inner, depth, field);
		break;
	case MAP:
		buf_puts(w->out,
		         "{\"type\":\"object\",\"additionalProperties\":");
		write_type(w, type.inner, depth, field);
		break;
	default:
		buf_putc(w->out, '{');
		buf_puts(w->out, schema_of(type.shape));
		write_values(w, field);
	}
	buf_putc(w->out, '}');
}

bool model_describe(struct span service, struct span type, unsigned depth,
                    struct buf *out)
{
	struct writer w = { .out = out, .start = out->len, .service = service };

	if (!is_type(service, type))
		return false;
	write_type(&w, type, depth + 1, NULL);
	if (w.cut && buf_err(out) == 0) {
		out->len--; /* the bracket */
		buf_puts(out, ",\"cut\":true}");
	}
	return true;
}

/* --- check ---------------------------------------------------------------- */

struct check {
	struct span service;
	struct model_fault *why;
	size_t path_len;
	unsigned depth;
};

static bool check_type(struct check *c, struct span text,
                       const struct model_field *field, struct span raw);

/* Say what is wrong at the path; always false, for who returns at once. */
PRINTF(2, 3) static bool say(struct check *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->why->text, sizeof(c->why->text), format, args);
	va_end(args);
	return false;
}

/* Add to the path as much as has room. */
static void enter(struct check *c, struct span text)
{
	size_t n = MIN(text.len, sizeof(c->why->path) - 1 - c->path_len);

	memcpy(c->why->path + c->path_len, text.at, n);
	c->path_len += n;
	c->why->path[c->path_len] = '\0';
}

static void leave(struct check *c, size_t path_len)
{
	c->path_len = path_len;
	c->why->path[path_len] = '\0';
}

static void enter_member(struct check *c, struct span name)
{
	if (c->path_len)
		enter(c, SPAN("."));
	enter(c, name);
}

static void enter_element(struct check *c, size_t i)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "[%zu]", i);

	enter(c, span_of(text, (size_t)len));
}

static const char *article(enum shape shape)
{
	for (size_t i = 0; i < ARRAY_LEN(simple_types); i++)
		if (simple_types[i].shape == shape)
			return simple_types[i].article;
	return shape == LIST ? "an array" : "an object";
}

static bool say_type(struct check *c, enum shape shape, struct span raw)
{
	static const char *const found[] = {
		[VALUE_NOTHING] = "nothing",  [VALUE_STRING] = "a string",
		[VALUE_NUMBER] = "a number",  [VALUE_TRUE] = "true",
		[VALUE_FALSE] = "false",      [VALUE_NULL] = "null",
		[VALUE_OBJECT] = "an object", [VALUE_ARRAY] = "an array",
	};
	enum value_type type = value_type(raw);

	if ((shape == TIME || shape == DATE) && type == VALUE_STRING)
		return say(c, "must be %s", article(shape));
	if (shape == INTEGER && type == VALUE_NUMBER)
		return say(c, "must be an integer, without fraction");
	return say(c, "must be %s, not %s", article(shape), found[type]);
}

static struct span nth_value(const void *of, size_t i)
{
	return model_value((const struct model_field *)of, i);
}

static bool check_choice(struct check *c, const struct model_field *field,
                         struct span raw)
{
	char list[MODEL_TEXT_MAX - 32];

	if (!field || field->values == 0)
		return true;
	for (size_t i = 0; i < field->values; i++)
		if (value_string_eq(raw, model_value(field, i)))
			return true;
	tables_list(list, sizeof(list), nth_value, field, field->values);
	return say(c, "must be one of %s", list);
}

/* Does it begin with a year? The service reads the rest. */
static bool is_dated(struct span raw)
{
	struct span s;

	if (!value_string_plain(raw, &s) || s.len < 10 || s.at[4] != '-')
		return false;
	for (size_t i = 0; i < 4; i++)
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
	return true;
}

static bool is_whole(struct span raw)
{
	for (size_t i = 0; i < raw.len; i++)
		if (raw.at[i] == '.' || (raw.at[i] | 0x20) == 'e')
			return false;
	return true;
}

/* Is a value of a simple type what the type says? */
static bool fits(enum shape shape, struct span raw)
{
	enum value_type type = value_type(raw);

	switch (shape) {
	case ANYTHING:
		return type != VALUE_NOTHING;
	case STRING:
		return type == VALUE_STRING;
	case INTEGER:
		return type == VALUE_NUMBER && is_whole(raw);
	case NUMBER:
		return type == VALUE_NUMBER;
	case BOOLEAN:
		return type == VALUE_TRUE || type == VALUE_FALSE;
	case TIME:
	case DATE:
		return type == VALUE_STRING && is_dated(raw);
	case LIST:
		return type == VALUE_ARRAY;
	case MAP:
	case MODEL:
		return type == VALUE_OBJECT;
	default:
		return false;
	}
}

static bool check_elements(struct check *c, struct span inner,
                           const struct model_field *field, struct span raw)
{
	size_t path_len = c->path_len;
	struct value_iter it;
	struct span value;

	value_iter_init(&it, raw);
	for (size_t i = 0; value_array_next(&it, &value); i++) {
		enter_element(c, i);
		if (!check_type(c, inner, field, value))
			return false;
		leave(c, path_len);
	}
	return true;
}

/* What the name of a member means; cut when it is longer than any. */
static struct span read_name(struct span raw, char out[NAME_MAX_BYTES])
{
	int len = value_string(raw, out, NAME_MAX_BYTES);

	if (len < 0)
		return span_first(span_from(raw, 1), NAME_MAX_BYTES);
	return span_of(out, (size_t)len);
}

static bool check_map(struct check *c, struct span inner,
                      const struct model_field *field, struct span raw)
{
	size_t path_len = c->path_len;
	char bytes[NAME_MAX_BYTES];
	struct value_iter it;
	struct span key, value;

	value_iter_init(&it, raw);
	while (value_object_next(&it, &key, &value)) {
		enter_member(c, read_name(key, bytes));
		if (!check_type(c, inner, field, value))
			return false;
		leave(c, path_len);
	}
	return true;
}

static bool say_unknown(struct check *c, const struct model *model,
                        struct span name)
{
	struct nearest nearest = { .word = name };
	struct span owner = model_name(model);

	for (size_t i = 0; i < model_fields(model); i++)
		nearest_look(&nearest, tables_text(nth_field(model, i)->name));
	if (nearest.best.len)
		return say(c, "%.*s has no such member; did you mean %.*s?",
		           SPAN_ARG(owner), SPAN_ARG(nearest.best));
	return say(c, "%.*s has no such member", SPAN_ARG(owner));
}

static struct span nth_kind(const void *of, size_t i)
{
	const struct model *kind;
	struct span value;

	model_kind((const struct model *)of, i, &value, &kind);
	return value;
}

/* Which kind of model an object is; NULL with the fault when it is none. */
static const struct model *find_kind(struct check *c, const struct model *model,
                                     struct span raw)
{
	struct span name = model_discriminator(model);
	struct span given = value_get(raw, name);
	char list[MODEL_TEXT_MAX - 64];
	const char *said = given.len && value_type(given) != VALUE_NULL
	                           ? "must be"
	                           : "is required:";

	for (size_t i = 0; i < model_kinds(model); i++) {
		const struct model *kind;
		struct span value;

		model_kind(model, i, &value, &kind);
		if (value_string_eq(given, value))
			return kind;
	}
	tables_list(list, sizeof(list), nth_kind, model, model_kinds(model));
	enter_member(c, name);
	say(c, "%s one of %s", said, list);
	return NULL;
}

/* A model that was asked for as one kind must say that it is that kind. */
static bool check_fixed(struct check *c, const struct model *model,
                        struct span raw)
{
	struct span value, name = fixed_member(model, &value);
	struct span given;

	if (name.len == 0)
		return true;
	given = value_get(raw, name);
	if (given.len == 0 || value_string_eq(given, value))
		return true;
	enter_member(c, name);
	return say(c, "must be %.*s", SPAN_ARG(value));
}

static bool check_required(struct check *c, const struct model *model,
                           const uint64_t *given)
{
	for (size_t i = 0; i < model_fields(model); i++) {
		const struct packed_member *member = nth_field(model, i);

		if (!(member->flags & PACKED_REQUIRED) ||
		    given[i / 64] >> i % 64 & 1)
			continue;
		enter_member(c, tables_text(member->name));
		return say(c, "is required by %.*s",
		           SPAN_ARG(model_name(model)));
	}
	return true;
}

/* One member; given has a bit for each field that has a value. */
static bool check_member(struct check *c, const struct model *model,
                         struct span key, struct span value, uint64_t *given)
{
	size_t path_len = c->path_len;
	char bytes[NAME_MAX_BYTES];
	struct span name = read_name(key, bytes);
	size_t i = find_field(model, name);
	struct model_field field;

	enter_member(c, name);
	if (i == model_fields(model))
		return say_unknown(c, model, name);
	if (value_type(value) != VALUE_NULL) {
		model_field(model, i, &field);
		given[i / 64] |= UINT64_C(1) << i % 64;
		if (!check_type(c, field.type, &field, value))
			return false;
	}
	leave(c, path_len);
	return true;
}

static bool check_model(struct check *c, const struct model *model,
                        struct span raw)
{
	uint64_t given[FIELDS_MAX / 64] = { 0 };
	struct value_iter it;
	struct span key, value;

	for (unsigned i = 0; i < KINDS_DEPTH && model_kinds(model); i++) {
		model = find_kind(c, model, raw);
		if (!model)
			return false;
	}
	assert(model_fields(model) <= FIELDS_MAX);
	if (!check_fixed(c, model, raw))
		return false;
	value_iter_init(&it, raw);
	while (value_object_next(&it, &key, &value))
		if (!check_member(c, model, key, value, given))
			return false;
	return check_required(c, model, given);
}

static bool check_inside(struct check *c, const struct type *type,
                         const struct model_field *field, struct span raw)
{
	switch (type->shape) {
	case LIST:
		return check_elements(c, type->inner, field, raw);
	case MAP:
		return check_map(c, type->inner, field, raw);
	case MODEL:
		assert(type->model);
		return check_model(c, type->model, raw);
	case STRING:
		return check_choice(c, field, raw);
	default:
		return true;
	}
}

static bool check_type(struct check *c, struct span text,
                       const struct model_field *field, struct span raw)
{
	struct type type = read_type(c->service, text);
	bool good;

	if (type.shape == NO_TYPE)
		return say(c, "there is no type %.*s", SPAN_ARG(text));
	if (!fits(type.shape, raw))
		return say_type(c, type.shape, raw);
	if (++c->depth > MODEL_DEPTH_MAX)
		return say(c, "has more than %d values within each other",
		           MODEL_DEPTH_MAX);
	good = check_inside(c, &type, field, raw);
	c->depth--;
	return good;
}

bool model_check(struct span service, struct span type, struct span raw,
                 struct model_fault *why)
{
	struct check c = { .service = service, .why = why };

	why->path[0] = why->text[0] = '\0';
	return check_type(&c, type, NULL, raw);
}
