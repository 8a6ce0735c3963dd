#include "oci/pack_schema.h"

#include "lib/value.h"
#include "oci/arguments.h"
#include "oci/nearest.h"
#include "oci/ocid.h"
#include "oci/pattern.h"

/* --- the shared parameters ------------------------------------------------ */

#define TEXT(description, rest) \
	"{\"type\":\"string\",\"description\":\"" description "\"" rest "}"
#define NUMBER(description, rest) \
	"{\"type\":\"integer\",\"description\":\"" description "\"" rest "}"
#define FLAG(description)                                      \
	"{\"type\":\"boolean\",\"description\":\"" description \
	"\",\"default\":false}"

/* clang-format off */
const struct pack_shared pack_schema_shared[] = {
	{ "compartment_id",
	  TEXT("OCID of the compartment to look in, or of the tenancy for its "
	       "root compartment. Default: the configured compartment, else "
	       "the tenancy.",
	       ",\"ocid\":\"compartment\""), false },
	{ "tenancy_ocid",
	  TEXT("OCID of the tenancy. Default: that of the credentials.",
	       ",\"ocid\":\"tenancy\""), false },
	{ "region",
	  TEXT("Region to ask, by identifier or key: eu-frankfurt-1 or FRA. "
	       "Default: the configured region, else that of the credentials.",
	       ",\"maxLength\":64"), false },
	{ "limit",
	  NUMBER("How many to return at most.",
	         ",\"minimum\":1,\"maximum\":100,\"default\":20"), false },
	{ "offset",
	  NUMBER("How many to skip: next_offset of the page before.",
	         ",\"minimum\":0,\"default\":0"), false },
	{ "wait_for_state",
	  FLAG("Wait until the resource has reached its new state, and report "
	       "progress meanwhile."), false },
	{ "confirm",
	  FLAG("Must be true for this to be done: it stops, ends or changes "
	       "something that exists."), false },
	{ "dry_run",
	  FLAG("Only say what would be done; nothing is changed."), false },
	{ "response_format",
	  TEXT("What the text of the result is written in.",
	       ",\"enum\":[\"markdown\",\"json\"],\"default\":\"markdown\""),
	  true },
};
/* clang-format on */

const size_t pack_schema_n_shared = ARRAY_LEN(pack_schema_shared);

static const struct pack_shared *find_shared(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(pack_schema_shared); i++)
		if (span_is(name, pack_schema_shared[i].name))
			return &pack_schema_shared[i];
	return NULL;
}

static bool uses(struct json_value tool, const struct pack_shared *shared)
{
	struct json_value e = json_first(json_get(tool, "uses"));

	if (shared->always)
		return !json_exists(
			json_get(json_get(tool, "parameters"), shared->name));
	for (; json_exists(e); e = json_next(e))
		if (span_is(json_text(e), shared->name))
			return true;
	return false;
}

bool pack_schema_has(struct json_value tool, struct span name)
{
	const struct pack_shared *shared = find_shared(name);

	return (shared && uses(tool, shared)) ||
	       json_exists(json_find(json_get(tool, "parameters"), name));
}

/* --- the words of a schema ------------------------------------------------ */

#define STRINGS  PACK_IS(JSON_STRING)
#define NUMBERS  PACK_IS(JSON_NUMBER)
#define ARRAYS   PACK_IS(JSON_ARRAY)
#define OBJECTS  PACK_IS(JSON_OBJECT)
#define BOOLEANS PACK_IS(JSON_BOOL)

static const struct pack_member words[] = {
	{ "type", STRINGS, false },
	{ "title", STRINGS, false },
	{ "description", STRINGS, false },
	{ "default", 0, false },
	{ "examples", ARRAYS, false },
	{ "enum", ARRAYS, false },
	{ "pattern", STRINGS, false },
	{ "format", STRINGS, false },
	{ "ocid", STRINGS | ARRAYS, false },
	{ "minLength", NUMBERS, false },
	{ "maxLength", NUMBERS, false },
	{ "minimum", NUMBERS, false },
	{ "maximum", NUMBERS, false },
	{ "items", OBJECTS, false },
	{ "minItems", NUMBERS, false },
	{ "maxItems", NUMBERS, false },
	{ "additionalProperties", OBJECTS | BOOLEANS, false },
};

static const char *const types[] = { "string",  "integer", "number",
	                             "boolean", "array",   "object" };

/* Words that only some types have. */
static const struct {
	const char *word;
	const char *types[2];
} belongs[] = {
	{ "enum", { "string" } },
	{ "pattern", { "string" } },
	{ "format", { "string" } },
	{ "ocid", { "string" } },
	{ "minLength", { "string" } },
	{ "maxLength", { "string" } },
	{ "minimum", { "integer", "number" } },
	{ "maximum", { "integer", "number" } },
	{ "items", { "array" } },
	{ "minItems", { "array" } },
	{ "maxItems", { "array" } },
	{ "additionalProperties", { "object" } },
};

static void check_schema(struct pack_reader *r, struct json_value schema,
                         unsigned depth);

static void check_type(struct pack_reader *r, struct json_value schema)
{
	struct json_value type = json_get(schema, "type");
	struct nearest nearest = { .word = json_text(type) };

	if (!json_exists(type))
		return;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (span_is(json_text(type), types[i]))
			return;
		nearest_look(&nearest, span_str(types[i]));
	}
	pack_entry_complain(r, type,
	                    "\"%.64s\" is no type; known are string, integer, "
	                    "number, boolean, array and object",
	                    json_string(type));
}

static void check_belongs(struct pack_reader *r, struct json_value schema)
{
	struct span type = json_text(json_get(schema, "type"));

	for (size_t i = 0; i < ARRAY_LEN(belongs); i++) {
		struct json_value word = json_get(schema, belongs[i].word);

		if (!json_exists(word) || span_is(type, belongs[i].types[0]) ||
		    (belongs[i].types[1] && span_is(type, belongs[i].types[1])))
			continue;
		pack_entry_complain_key(r, word, "\"%s\" belongs to type %s%s",
		                        belongs[i].word, belongs[i].types[0],
		                        belongs[i].types[1] ? " or number"
		                                            : "");
	}
}

/* A pair of bounds: numbers, counts when they count, in order. */
static void check_bounds(struct pack_reader *r, struct json_value schema,
                         const char *low_word, const char *high_word,
                         bool counts)
{
	struct json_value low = json_get(schema, low_word);
	struct json_value high = json_get(schema, high_word);
	double from = 0, to = 0;
	int64_t n;

	json_double(low, &from);
	json_double(high, &to);
	if (counts && ((json_exists(low) && !json_int64(low, &n)) ||
	               (json_exists(high) && !json_int64(high, &n)) ||
	               from < 0 || to < 0))
		pack_entry_complain(r, json_exists(low) ? low : high,
		                    "\"%s\" and \"%s\" are integers from 0 on",
		                    low_word, high_word);
	else if (json_exists(low) && json_exists(high) && from > to)
		pack_entry_complain(r, low, "\"%s\" is more than \"%s\"",
		                    low_word, high_word);
}

static void check_enum(struct pack_reader *r, struct json_value list)
{
	struct json_value e, before;
	struct span inner;

	if (json_exists(list) && json_count(list) == 0)
		pack_entry_complain(r, list, "\"enum\" lists nothing");
	for (e = json_first(list); json_exists(e); e = json_next(e)) {
		if (!value_string_plain(json_raw(e), &inner) || !inner.len) {
			pack_entry_complain(r, e,
			                    "values of \"enum\" are strings "
			                    "without escapes");
			continue;
		}
		before = json_first(list);
		while (json_raw(before).at != json_raw(e).at &&
		       !span_eq_nocase(json_text(before), json_text(e)))
			before = json_next(before);
		if (json_raw(before).at != json_raw(e).at)
			pack_entry_complain(r, e, "\"%.64s\" is listed twice",
			                    json_string(e));
	}
}

static void check_ocid_type(struct pack_reader *r, struct json_value type)
{
	struct span text = json_text(type);
	bool good = json_type(type) == JSON_STRING && text.len <= OCID_TYPE_MAX;

	for (size_t i = 0; i < text.len && good; i++) {
		char c = text.at[i];

		good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		       c == '-' || c == '_';
	}
	if (!good)
		pack_entry_complain(r, type,
		                    "\"ocid\" is a type such as \"instance\", "
		                    "or a list of them");
}

static void check_ocid(struct pack_reader *r, struct json_value ocid)
{
	struct json_value e;

	if (json_type(ocid) != JSON_ARRAY) {
		if (json_exists(ocid))
			check_ocid_type(r, ocid);
		return;
	}
	if (json_count(ocid) == 0)
		pack_entry_complain(r, ocid, "\"ocid\" lists nothing");
	for (e = json_first(ocid); json_exists(e); e = json_next(e))
		check_ocid_type(r, e);
}

static void check_string(struct pack_reader *r, struct json_value schema)
{
	static const char *const deciding[] = { "enum", "format", "ocid",
		                                "pattern" };
	struct json_value pattern = json_get(schema, "pattern");
	struct json_value format = json_get(schema, "format");
	unsigned n = 0;

	check_enum(r, json_get(schema, "enum"));
	check_ocid(r, json_get(schema, "ocid"));
	if (json_exists(pattern) && !pattern_valid(json_text(pattern)))
		pack_entry_complain(
			r, pattern,
			"this pattern is not understood: it is ^, then "
			"characters and classes such as [a-z0-9_] with *, + "
			"or ? behind them, then $; no groups, no counts");
	if (json_exists(format) && !span_is(json_text(format), "date-time") &&
	    !span_is(json_text(format), "date"))
		pack_entry_complain(r, format,
		                    "\"format\" is date-time or date");
	for (size_t i = 0; i < ARRAY_LEN(deciding); i++)
		n += json_exists(json_get(schema, deciding[i]));
	if (n > 1)
		pack_entry_complain(r, schema,
		                    "only one of \"enum\", \"format\", "
		                    "\"ocid\" and \"pattern\" may decide what "
		                    "a string is");
}

static void check_inside(struct pack_reader *r, struct json_value schema,
                         unsigned depth)
{
	struct json_value items = json_get(schema, "items");
	struct json_value members = json_get(schema, "additionalProperties");

	if (depth >= ARGUMENTS_DEPTH_MAX &&
	    (json_exists(items) || json_type(members) == JSON_OBJECT)) {
		pack_entry_complain(r, schema,
		                    "schemas may be at most %d levels deep",
		                    ARGUMENTS_DEPTH_MAX);
		return;
	}
	if (json_exists(items))
		check_schema(r, items, depth + 1);
	if (json_type(members) == JSON_OBJECT)
		check_schema(r, members, depth + 1);
	if (depth && json_exists(json_get(schema, "default")))
		pack_entry_complain(r, json_get(schema, "default"),
		                    "only a parameter has a default");
}

static void check_schema(struct pack_reader *r, struct json_value schema,
                         unsigned depth)
{
	if (!pack_entry_members(r, schema, "a schema", words, ARRAY_LEN(words)))
		return;
	check_type(r, schema);
	check_belongs(r, schema);
	check_bounds(r, schema, "minimum", "maximum", false);
	check_bounds(r, schema, "minLength", "maxLength", true);
	check_bounds(r, schema, "minItems", "maxItems", true);
	check_string(r, schema);
	check_inside(r, schema, depth);
}

/* --- parameters ----------------------------------------------------------- */

/* A default stands for an argument, so it must be one. */
static void check_default(struct pack_reader *r, struct json_value parameter)
{
	struct json_value value = json_get(parameter, "default");
	struct buf normal = { .max = ARGUMENTS_NESTED_MAX };
	struct buf plain = { .max = ARGUMENTS_NESTED_MAX };
	struct arguments_fault why;

	if (!json_exists(value))
		return;
	if (json_type(value) == JSON_NULL) {
		pack_entry_complain(r, value,
		                    "null is no default: leave it out");
		return;
	}
	pack_entry_compact(&plain, json_raw(value));
	if (arguments_value(json_key(parameter), json_raw(parameter),
	                    buf_span(&plain), &normal, &why) < 0)
		pack_entry_complain(r, value, "the default does not fit: %s",
		                    why.text);
	buf_free(&normal);
	buf_free(&plain);
}

static void check_parameter(struct pack_reader *r, struct json_value tool,
                            struct json_value parameter)
{
	static const char *const reserved[] = { "answer", "tenancy", "now" };
	const struct pack_shared *shared = find_shared(json_key(parameter));
	int defects = r->defects;

	pack_entry_name(r, parameter, json_key(parameter),
	                "the name of a parameter");
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (span_is(json_key(parameter), reserved[i]))
			pack_entry_complain_key(
				r, parameter,
				"\"%s\" is no name for a parameter: $%s means "
				"something else",
				reserved[i], reserved[i]);
	if (shared && !shared->always && uses(tool, shared))
		pack_entry_complain_key(
			r, parameter,
			"\"%s\" is in \"uses\" already: have it in one place",
			shared->name);
	check_schema(r, parameter, 0);
	if (json_type(parameter) == JSON_OBJECT &&
	    json_text(json_get(parameter, "description")).len == 0)
		pack_entry_complain_key(r, parameter,
		                        "the parameter \"%.64s\" must have a "
		                        "description",
		                        json_key(parameter).at);
	if (r->defects == defects)
		check_default(r, parameter);
}

static void check_uses(struct pack_reader *r, struct json_value list)
{
	struct json_value e, before;

	for (e = json_first(list); json_exists(e); e = json_next(e)) {
		struct nearest nearest = { .word = json_text(e) };

		for (size_t i = 0; i < ARRAY_LEN(pack_schema_shared); i++)
			nearest_look(&nearest,
			             span_str(pack_schema_shared[i].name));
		if (!find_shared(json_text(e)))
			pack_entry_complain(
				r, e,
				"there is no shared parameter of this name%s"
				"%.*s%s",
				nearest.best.len ? "; is \"" : "",
				SPAN_ARG(nearest.best),
				nearest.best.len ? "\" meant?" : "");
		for (before = json_first(list);
		     json_raw(before).at != json_raw(e).at;
		     before = json_next(before))
			if (span_eq(json_text(before), json_text(e)))
				pack_entry_complain(r, e, "named twice");
	}
}

static void check_required(struct pack_reader *r, struct json_value tool)
{
	struct json_value list = json_get(tool, "required"), e, parameter;

	for (e = json_first(list); json_exists(e); e = json_next(e)) {
		parameter =
			json_find(json_get(tool, "parameters"), json_text(e));
		if (json_type(e) != JSON_STRING ||
		    !pack_schema_has(tool, json_text(e)))
			pack_entry_complain(r, e,
			                    "\"required\" lists names of "
			                    "parameters");
		else if (json_exists(json_get(parameter, "default")))
			pack_entry_complain(r, e,
			                    "\"%.64s\" has a default, so it "
			                    "is not required",
			                    json_string(e));
	}
}

void pack_schema_check(struct pack_reader *r, struct json_value tool)
{
	struct json_value p = json_first(json_get(tool, "parameters"));

	check_uses(r, json_get(tool, "uses"));
	for (; json_exists(p); p = json_next(p))
		check_parameter(r, tool, p);
	check_required(r, tool);
}

/* --- writing -------------------------------------------------------------- */

void pack_schema_parameters(struct json_value tool, struct buf *out)
{
	struct json_value p = json_first(json_get(tool, "parameters"));

	buf_putc(out, '{');
	for (; json_exists(p); p = json_next(p)) {
		pack_entry_member(out, json_key(p).at);
		pack_entry_compact(out, json_raw(p));
	}
	for (size_t i = 0; i < ARRAY_LEN(pack_schema_shared); i++) {
		const struct pack_shared *shared = &pack_schema_shared[i];

		if (!uses(tool, shared))
			continue;
		pack_entry_member(out, shared->name);
		buf_puts(out, shared->schema);
	}
	buf_putc(out, '}');
}

static bool is_for_people(struct span word)
{
	return span_is(word, "description") || span_is(word, "title") ||
	       span_is(word, "examples");
}

/* One member of a schema or of all parameters, as it is. */
static void put_raw(struct buf *out, struct span key)
{
	if (out->len && out->bytes[out->len - 1] != '{')
		buf_putc(out, ',');
	buf_add_span(out, key);
	buf_putc(out, ':');
}

void pack_schema_bare(struct span parameters, struct buf *out)
{
	struct value_iter it, words_of;
	struct span key, schema, word, value;

	buf_putc(out, '{');
	value_iter_init(&it, parameters);
	while (value_object_next(&it, &key, &schema)) {
		put_raw(out, key);
		buf_putc(out, '{');
		value_iter_init(&words_of, schema);
		while (value_object_next(&words_of, &word, &value)) {
			if (is_for_people(span_of(word.at + 1, word.len - 2)))
				continue;
			put_raw(out, word);
			buf_add_span(out, value);
		}
		buf_putc(out, '}');
	}
	buf_putc(out, '}');
}

/* The pattern that says to others what "ocid" says to us. */
static void put_pattern(struct buf *out, struct span ocid)
{
	const char *bar = "";
	struct value_iter it;
	struct span type;

	pack_entry_member(out, "pattern");
	buf_puts(out, "\"^ocid1\\\\.");
	if (value_type(ocid) == VALUE_ARRAY) {
		buf_putc(out, '(');
		value_iter_init(&it, ocid);
		while (value_array_next(&it, &type)) {
			buf_puts(out, bar);
			buf_add(out, type.at + 1, type.len - 2);
			bar = "|";
		}
		buf_puts(out, ")\\\\.");
	} else if (value_string_eq(ocid, SPAN("compartment"))) {
		buf_puts(out, "(compartment|tenancy)\\\\.");
	} else if (ocid.len > 2) {
		buf_add(out, ocid.at + 1, ocid.len - 2);
		buf_puts(out, "\\\\.");
	}
	buf_putc(out, '"');
}

/* A schema without our own word; it is compact. */
static void put_schema(struct buf *out, struct span schema)
{
	struct value_iter it;
	struct span key, value, word;

	buf_putc(out, '{');
	value_iter_init(&it, schema);
	while (value_object_next(&it, &key, &value)) {
		word = span_of(key.at + 1, key.len - 2);
		if (span_is(word, "ocid")) {
			put_pattern(out, value);
			continue;
		}
		put_raw(out, key);
		if (value_type(value) == VALUE_OBJECT &&
		    (span_is(word, "items") ||
		     span_is(word, "additionalProperties")))
			put_schema(out, value);
		else
			buf_add_span(out, value);
	}
	buf_putc(out, '}');
}

void pack_schema_input(struct json_value tool, struct span parameters,
                       struct buf *out)
{
	struct json_value required = json_get(tool, "required");
	struct value_iter it;
	struct span key, schema;

	buf_puts(out, "{\"type\":\"object\",\"properties\":{");
	value_iter_init(&it, parameters);
	while (value_object_next(&it, &key, &schema)) {
		put_raw(out, key);
		put_schema(out, schema);
	}
	buf_putc(out, '}');
	if (json_count(required)) {
		pack_entry_member(out, "required");
		pack_entry_compact(out, json_raw(required));
	}
	buf_puts(out, ",\"additionalProperties\":false}");
}
