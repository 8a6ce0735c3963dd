#include "oci/pack_recipe.h"

#include "oci/nearest.h"
#include "oci/operation.h"
#include "oci/pack_schema.h"
#include "oci/pack_type.h"
#include "oci/path.h"

#define STRINGS  PACK_IS(JSON_STRING)
#define ARRAYS   PACK_IS(JSON_ARRAY)
#define OBJECTS  PACK_IS(JSON_OBJECT)
#define BOOLEANS PACK_IS(JSON_BOOL)

/* Where in a tool we are: what may be referred to. */
struct scope {
	struct pack_reader *r;
	struct json_value tool;
	size_t answers; /* the first so many requests have been answered */
};

static bool flag(struct json_value object, const char *name)
{
	bool value = false;

	json_bool(json_get(object, name), &value);
	return value;
}

/* --- references ----------------------------------------------------------- */

static size_t head_of(struct span path)
{
	return MIN(span_find(path, '.'), span_find(path, '['));
}

/* The request of this name; its place in the list becomes *n. */
static struct json_value find_request(struct json_value tool, struct span name,
                                      size_t *n)
{
	struct json_value e = json_first(json_get(tool, "requests"));

	for (*n = 0; json_exists(e); e = json_next(e), ++*n)
		if (name.len && span_eq(json_text(json_get(e, "as")), name))
			return e;
	return e;
}

static void complain_path(const struct scope *s, struct json_value at,
                          const struct nearest *near)
{
	pack_entry_complain(
		s->r, at, "the service knows no \"%.*s\" here%s%.*s%s",
		(int)MIN(near->word.len, 64u), near->word.at,
		near->best.len ? "; is \"" : "", SPAN_ARG(near->best),
		near->best.len ? "\" meant?" : "");
}

/* What the request is answered; anything when the operation is not known. */
static struct pack_type answer_of(struct json_value request)
{
	struct span id = json_text(json_get(request, "operation"));
	const struct operation *op = id.len ? operation_find(id) : NULL;

	return op ? pack_type_answer(op, flag(request, "list"))
	          : (struct pack_type){ 0 };
}

/* A path that begins with the name of a request; the type there. */
static struct pack_type
check_answer_path(const struct scope *s, struct json_value at, struct span path)
{
	struct pack_type type = { 0 };
	struct nearest near;
	struct span rest;
	struct span name = span_first(path, head_of(path));
	struct json_value request;
	size_t n;

	request = find_request(s->tool, name, &n);
	if (!path_valid(path))
		pack_entry_complain(s->r, at, "this is not a path");
	else if (!json_exists(request))
		pack_entry_complain(s->r, at,
		                    "no request is called \"%.*s\" (\"as\")",
		                    (int)MIN(name.len, 64u), name.at);
	else if (n >= s->answers)
		pack_entry_complain(s->r, at,
		                    "the answer of \"%.*s\" is not there yet: "
		                    "a request can only use those before it",
		                    (int)MIN(name.len, 64u), name.at);
	else {
		rest = span_from(path, name.len);
		if (span_starts(rest, SPAN(".")))
			rest = span_from(rest, 1);
		if (!pack_type_find(answer_of(request), rest, &type, &near))
			complain_path(s, at, &near);
	}
	return type;
}

static void complain_argument(const struct scope *s, struct json_value at,
                              struct span name)
{
	struct json_value p = json_first(json_get(s->tool, "parameters"));
	struct nearest nearest = { .word = name };

	for (; json_exists(p); p = json_next(p))
		nearest_look(&nearest, json_key(p));
	for (size_t i = 0; i < pack_schema_n_shared; i++)
		nearest_look(&nearest, span_str(pack_schema_shared[i].name));
	pack_entry_complain(
		s->r, at, "the tool has no parameter \"%.*s\"%s%.*s%s",
		(int)MIN(name.len, 64u), name.at,
		nearest.best.len ? "; is \"" : "", SPAN_ARG(nearest.best),
		nearest.best.len ? "\" meant?" : "");
}

/* A string that begins with a dollar: "$name", "$answer.x.y", "$$literal". */
static void check_reference(const struct scope *s, struct json_value at)
{
	static const char *const own[] = { "compartment_id", "tenancy",
		                           "tenancy_ocid", "region", "now" };
	struct span name = span_from(json_text(at), 1),
		    answer = SPAN("answer.");

	if (span_starts(name, SPAN("$")))
		return;
	if (span_starts(name, answer)) {
		check_answer_path(s, at, span_from(name, answer.len));
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (span_is(name, own[i]))
			return;
	if (name.len == 0 || !path_valid(name))
		pack_entry_complain(s->r, at,
		                    "a dollar is followed by the name of a "
		                    "parameter; \"$$\" stands for one");
	else if (!pack_schema_has(s->tool, span_first(name, head_of(name))))
		complain_argument(s, at, span_first(name, head_of(name)));
}

static bool is_reference(struct json_value value)
{
	return span_starts(json_text(value), SPAN("$"));
}

static bool is_escaped(struct json_value value)
{
	return span_starts(json_text(value), SPAN("$$"));
}

/* --- requests ------------------------------------------------------------- */

static const struct pack_member request_members[] = {
	{ "as", STRINGS, true },         { "operation", STRINGS, true },
	{ "path", OBJECTS, false },      { "query", OBJECTS, false },
	{ "headers", OBJECTS, false },   { "body", 0, false },
	{ "list", BOOLEANS, false },     { "when", STRINGS, false },
	{ "optional", BOOLEANS, false }, { "region", STRINGS, false },
	{ "cache", STRINGS, false },
};

/* Where parameters of an operation go. */
static const struct {
	const char *member;
	const char *what;
} places[] = {
	[OPERATION_IN_PATH] = { "path", "path" },
	[OPERATION_IN_QUERY] = { "query", "query" },
	[OPERATION_IN_HEADER] = { "headers", "header" },
};

static const struct operation *check_operation(const struct scope *s,
                                               struct json_value at)
{
	const struct operation *near[OPERATION_NEAREST_MAX];
	const struct operation *op = operation_find(json_text(at));
	size_t n;

	if (op && span_eq(operation_id(op), json_text(at)))
		return op;
	if (op) {
		pack_entry_complain(s->r, at,
		                    "the full name of this operation is "
		                    "\"%.*s\"",
		                    SPAN_ARG(operation_id(op)));
		return NULL;
	}
	n = operation_nearest(json_text(at), near);
	if (n)
		pack_entry_complain(s->r, at,
		                    "there is no operation \"%.128s\"; is "
		                    "\"%.*s\" meant?",
		                    json_string(at),
		                    SPAN_ARG(operation_id(near[0])));
	else
		pack_entry_complain(s->r, at,
		                    "there is no operation \"%.128s\"",
		                    json_string(at));
	return NULL;
}

static void complain_parameter(const struct scope *s, struct json_value at,
                               const struct operation *op, size_t place)
{
	struct nearest nearest = { .word = json_key(at) };
	struct operation_parameter p;

	for (size_t i = 0; i < operation_parameters(op); i++) {
		operation_parameter(op, i, &p);
		if (p.place == place)
			nearest_look(&nearest, p.name);
	}
	pack_entry_complain_key(
		s->r, at, "%.*s has no %s parameter \"%.64s\"%s%.*s%s",
		SPAN_ARG(operation_name(op)), places[place].what,
		json_key(at).at, nearest.best.len ? "; is \"" : "",
		SPAN_ARG(nearest.best), nearest.best.len ? "\" meant?" : "");
}

/* A value that stands in the pack itself can be judged now. */
static void check_literal(const struct scope *s, struct json_value value,
                          const struct operation *op, struct span name)
{
	char why[OPERATION_WHY_MAX];
	struct span text = json_type(value) == JSON_STRING ? json_text(value)
	                                                   : json_raw(value);

	if (is_escaped(value))
		text = span_from(text, 1);
	if (!operation_check_parameter(op, name, text, why))
		pack_entry_complain(s->r, value, "%s", why);
}

static void check_value(const struct scope *s, struct json_value value,
                        const struct operation *op, struct span name)
{
	struct json_value e;

	switch (json_type(value)) {
	case JSON_STRING:
		if (is_reference(value) && !is_escaped(value)) {
			check_reference(s, value);
			break;
		}
		check_literal(s, value, op, name);
		break;
	case JSON_NUMBER:
	case JSON_BOOL:
		check_literal(s, value, op, name);
		break;
	case JSON_ARRAY:
		for (e = json_first(value); json_exists(e); e = json_next(e))
			if (json_type(e) == JSON_ARRAY || is_reference(e))
				pack_entry_complain(s->r, e,
				                    "a list here has plain "
				                    "values only");
			else
				check_value(s, e, op, name);
		break;
	default:
		pack_entry_complain(s->r, value,
		                    "a parameter is a string, a number, a "
		                    "boolean or a list of them");
		break;
	}
}

/* The parameters that a request gives in one place. */
static void check_given(const struct scope *s, struct json_value request,
                        const struct operation *op, size_t place)
{
	struct operation_parameter p;
	struct json_value m;

	m = json_first(json_get(request, places[place].member));
	for (; json_exists(m); m = json_next(m))
		if (operation_parameter_find(op, json_key(m), &p) &&
		    p.place == place)
			check_value(s, m, op, json_key(m));
		else
			complain_parameter(s, m, op, place);
}

static bool gives(struct json_value request,
                  const struct operation_parameter *p)
{
	struct json_value m;

	m = json_first(json_get(request, places[p->place].member));
	for (; json_exists(m); m = json_next(m))
		if (span_eq(json_key(m), p->name) ||
		    (p->place == OPERATION_IN_HEADER &&
		     span_eq_nocase(json_key(m), p->name)))
			return true;
	return false;
}

static void check_needed(const struct scope *s, struct json_value request,
                         const struct operation *op)
{
	struct operation_parameter p;

	for (size_t i = 0; i < operation_parameters(op); i++) {
		operation_parameter(op, i, &p);
		if ((p.required || p.place == OPERATION_IN_PATH) &&
		    !gives(request, &p))
			pack_entry_complain(
				s->r, json_get(request, "operation"),
				"%.*s needs the %s parameter \"%.*s\"",
				SPAN_ARG(operation_name(op)),
				places[p.place].what, SPAN_ARG(p.name));
	}
}

static void check_body_value(const struct scope *s, struct json_value value,
                             struct pack_type type, unsigned depth)
{
	struct json_value m = json_first(value);
	struct pack_type inner = pack_type_element(type);
	struct nearest near;

	if (depth > PACK_DEPTH_MAX) {
		pack_entry_complain(s->r, value, "deeper than %d levels",
		                    PACK_DEPTH_MAX);
		return;
	}
	if (is_reference(value))
		check_reference(s, value);
	for (; json_exists(m); m = json_next(m)) {
		if (json_type(value) == JSON_OBJECT &&
		    !pack_type_member(type, json_key(m), &inner, &near)) {
			complain_path(s, m, &near);
			continue;
		}
		check_body_value(s, m, inner, depth + 1);
	}
}

static void check_body(const struct scope *s, struct json_value request,
                       const struct operation *op)
{
	struct json_value body = json_get(request, "body");

	if (json_exists(body) && operation_body(op).len == 0)
		pack_entry_complain_key(s->r, body, "%.*s takes no body",
		                        SPAN_ARG(operation_name(op)));
	if (!json_exists(body) && operation_body_required(op))
		pack_entry_complain(s->r, json_get(request, "operation"),
		                    "%.*s needs a body of type %.*s",
		                    SPAN_ARG(operation_name(op)),
		                    SPAN_ARG(operation_body(op)));
	check_body_value(s, body, pack_type_body(op), 0);
}

/* Does the tool admit what the operation may do? */
static void check_honesty(const struct scope *s, struct json_value at,
                          const struct operation *op)
{
	struct json_value notes = json_get(s->tool, "annotations");

	if (!operation_is_read_only(op) && !flag(s->tool, "write"))
		pack_entry_complain(s->r, at,
		                    "%.*s changes something: the tool must "
		                    "have \"write\": true",
		                    SPAN_ARG(operation_name(op)));
	if (operation_is_destructive(op) && !flag(notes, "destructiveHint"))
		pack_entry_complain(s->r, at,
		                    "%.*s may end, stop or empty something: "
		                    "\"destructiveHint\" must be true",
		                    SPAN_ARG(operation_name(op)));
	if (operation_is_secret(op))
		pack_entry_complain(s->r, at,
		                    "the answer of %.*s is a secret: no tool "
		                    "of a pack may show it",
		                    SPAN_ARG(operation_name(op)));
}

static void check_switches(const struct scope *s, struct json_value request)
{
	static const char *const tiers[] = { "static",      "config",
		                             "operational", "metrics",
		                             "realtime",    "" };
	struct json_value when = json_get(request, "when");
	struct json_value region = json_get(request, "region");
	struct json_value cache = json_get(request, "cache");
	bool known = !json_exists(cache);

	if (json_exists(when) && !is_reference(when))
		pack_entry_complain(s->r, when,
		                    "\"when\" is a reference such as "
		                    "\"$include_subnets\"");
	else if (json_exists(when))
		check_reference(s, when);
	if (is_reference(region))
		check_reference(s, region);
	for (size_t i = 0; i < ARRAY_LEN(tiers); i++)
		known |= span_is(json_text(cache), tiers[i]);
	if (!known)
		pack_entry_complain(s->r, cache,
		                    "\"cache\" is static, config, operational, "
		                    "metrics, realtime or empty");
}

static void check_list(const struct scope *s, struct json_value request,
                       const struct operation *op)
{
	enum operation_shape shape = operation_shape(op);

	if (flag(request, "list") && shape != OPERATION_LIST &&
	    shape != OPERATION_COLLECTION)
		pack_entry_complain(s->r, json_get(request, "list"),
		                    "%.*s does not answer a list",
		                    SPAN_ARG(operation_name(op)));
}

static void check_request(const struct scope *s, struct json_value request)
{
	struct json_value name = json_get(request, "as");
	const struct operation *op;
	size_t n;

	if (!pack_entry_members(s->r, request, "a request", request_members,
	                        ARRAY_LEN(request_members)))
		return;
	pack_entry_name(s->r, name, json_text(name), "\"as\"");
	find_request(s->tool, json_text(name), &n);
	if (n < s->answers)
		pack_entry_complain(s->r, name,
		                    "two requests are called \"%.64s\"",
		                    json_string(name));
	check_switches(s, request);
	op = check_operation(s, json_get(request, "operation"));
	if (!op)
		return;
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		check_given(s, request, op, i);
	check_needed(s, request, op);
	check_body(s, request, op);
	check_list(s, request, op);
	check_honesty(s, json_get(request, "operation"), op);
}

static void check_requests(struct scope *s)
{
	struct json_value list = json_get(s->tool, "requests"), e;

	if (json_count(list) == 0 || json_count(list) > PACK_REQUESTS_MAX)
		pack_entry_complain(s->r, list, "a tool has 1 to %d requests",
		                    PACK_REQUESTS_MAX);
	for (e = json_first(list); json_exists(e); e = json_next(e)) {
		check_request(s, e);
		s->answers++;
	}
}

/* --- answers -------------------------------------------------------------- */

enum form {
	FORM_NONE,
	FORM_FIELDS, /* from, fields */
	FORM_EACH,   /* from, each */
	FORM_NOT,
	FORM_COUNT,
	FORM_CONST,
};

/* What kind of shape an object is; FORM_NONE: it is none, but may be members.
 */
static enum form form_of(struct json_value object)
{
	static const struct {
		const char *words[2];
		enum form form;
	} forms[] = {
		{ { "from", "fields" }, FORM_FIELDS },
		{ { "from", "each" }, FORM_EACH },
		{ { "not", NULL }, FORM_NOT },
		{ { "count", NULL }, FORM_COUNT },
		{ { "const", NULL }, FORM_CONST },
	};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const char *const *words = forms[i].words;

		if (json_count(object) == (words[1] ? 2u : 1u) &&
		    json_exists(json_get(object, words[0])) &&
		    (!words[1] || json_exists(json_get(object, words[1]))))
			return forms[i].form;
	}
	return FORM_NONE;
}

/* The value that the paths of a shape begin in: all answers together, by the
 * names of their requests, when it is NULL. */
static void check_members(const struct scope *s, struct json_value fields,
                          const struct pack_type *in, unsigned depth);

/* A path, and the type of what is there. */
static struct pack_type check_path(const struct scope *s, struct json_value at,
                                   const struct pack_type *in)
{
	struct pack_type type = { 0 };
	struct nearest near;

	if (json_type(at) != JSON_STRING)
		pack_entry_complain(s->r, at, "a path is a string, not %s",
		                    json_type_name(json_type(at)));
	else if (!in)
		return check_answer_path(s, at, json_text(at));
	else if (!path_valid(json_text(at)))
		pack_entry_complain(s->r, at, "this is not a path");
	else if (!pack_type_find(*in, json_text(at), &type, &near))
		complain_path(s, at, &near);
	return type;
}

static void check_shape(const struct scope *s, struct json_value shape,
                        const struct pack_type *in, unsigned depth);

/* A path into something that no service has described. */
static void check_plain_path(const struct scope *s, struct json_value at)
{
	const struct pack_type anything = { 0 };

	check_path(s, at, &anything);
}

static void check_form(const struct scope *s, struct json_value shape,
                       enum form form, const struct pack_type *in,
                       unsigned depth)
{
	static const char *const sources[] = { "from", "not", "count" };
	struct json_value each = json_get(shape, "each");
	struct pack_type type = { 0 };

	if (form == FORM_CONST)
		return;
	for (size_t i = 0; i < ARRAY_LEN(sources); i++)
		if (json_exists(json_get(shape, sources[i])))
			type = check_path(s, json_get(shape, sources[i]), in);
	if (form == FORM_FIELDS)
		check_members(s, json_get(shape, "fields"), &type, depth);
	if (form != FORM_EACH)
		return;
	type = pack_type_element(type);
	if (json_type(each) == JSON_OBJECT && form_of(each) == FORM_NONE)
		check_members(s, each, &type, depth);
	else
		check_shape(s, each, &type, depth);
}

static void check_shape(const struct scope *s, struct json_value shape,
                        const struct pack_type *in, unsigned depth)
{
	enum form form = form_of(shape);

	if (depth > PACK_DEPTH_MAX)
		pack_entry_complain(s->r, shape, "deeper than %d levels",
		                    PACK_DEPTH_MAX);
	else if (is_reference(shape))
		check_reference(s, shape);
	else if (json_type(shape) == JSON_STRING)
		check_path(s, shape, in);
	else if (form != FORM_NONE)
		check_form(s, shape, form, in, depth + 1);
	else
		pack_entry_complain(
			s->r, shape,
			"this is not a shape: a path, \"$argument\", "
			"{from, fields}, {from, each}, {not}, {count} or "
			"{const}");
}

static void check_members(const struct scope *s, struct json_value fields,
                          const struct pack_type *in, unsigned depth)
{
	struct json_value m;

	if (json_type(fields) != JSON_OBJECT) {
		pack_entry_complain(s->r, fields,
		                    "fields are an object of shapes, not %s",
		                    json_type_name(json_type(fields)));
		return;
	}
	for (m = json_first(fields); json_exists(m); m = json_next(m))
		check_shape(s, m, in, depth);
}

/* Members that every list has. */
static const char *const frame[] = { "total",    "count",       "offset",
	                             "has_more", "next_offset", "truncated",
	                             "warnings" };

static void check_free(const struct scope *s, struct json_value at,
                       struct span name, struct span items)
{
	bool taken = span_eq(name, items);

	for (size_t i = 0; i < ARRAY_LEN(frame); i++)
		taken |= span_is(name, frame[i]);
	if (taken)
		pack_entry_complain_key(
			s->r, at, "the answer has a member \"%.*s\" already",
			(int)MIN(name.len, 64u), name.at);
}

static void check_filter(const struct scope *s, struct json_value filter,
                         const struct pack_type *item)
{
	static const struct pack_member members[] = {
		{ "argument", STRINGS, true },
		{ "field", STRINGS, true },
		{ "match", STRINGS, true },
	};
	static const char *const matches[] = { "contains", "equals", "prefix" };
	struct json_value argument = json_get(filter, "argument");
	struct json_value match = json_get(filter, "match");
	bool known = false;

	if (!pack_entry_members(s->r, filter, "a filter", members,
	                        ARRAY_LEN(members)))
		return;
	if (!pack_schema_has(s->tool, json_text(argument)))
		complain_argument(s, argument, json_text(argument));
	check_path(s, json_get(filter, "field"), item);
	for (size_t i = 0; i < ARRAY_LEN(matches); i++)
		known |= span_is(json_text(match), matches[i]);
	if (!known)
		pack_entry_complain(s->r, match,
		                    "\"match\" is contains, equals or prefix");
}

/* An answer that shows one list, page by page. */
static void check_list_answer(const struct scope *s, struct json_value answer)
{
	static const struct pack_member members[] = {
		{ "list", STRINGS, true },    { "items", STRINGS, true },
		{ "fields", OBJECTS, false }, { "filter", ARRAYS, false },
		{ "extra", OBJECTS, false },
	};
	struct json_value list = json_get(answer, "list"), request, e;
	struct json_value items = json_get(answer, "items");
	struct span name = json_text(list);
	struct pack_type type;
	size_t n;

	if (!pack_entry_members(s->r, answer, "the answer", members,
	                        ARRAY_LEN(members)))
		return;
	type = pack_type_element(check_answer_path(s, list, name));
	request = find_request(s->tool, span_first(name, head_of(name)), &n);
	if (json_exists(request) && head_of(name) == name.len &&
	    !flag(request, "list"))
		pack_entry_complain(s->r, list,
		                    "the request \"%.64s\" must have "
		                    "\"list\": true",
		                    name.at);
	check_free(s, items, json_text(items), SPAN(""));
	if (json_exists(json_get(answer, "fields")))
		check_members(s, json_get(answer, "fields"), &type, 1);
	for (e = json_first(json_get(answer, "filter")); json_exists(e);
	     e = json_next(e))
		check_filter(s, e, &type);
	for (e = json_first(json_get(answer, "extra")); json_exists(e);
	     e = json_next(e)) {
		check_free(s, e, json_key(e), json_text(items));
		check_shape(s, e, NULL, 1);
	}
}

static void check_answer(const struct scope *s)
{
	static const struct pack_member members[] = {
		{ "fields", OBJECTS, true },
	};
	struct json_value answer = json_get(s->tool, "answer");

	if (!json_exists(answer))
		return;
	if (json_exists(json_get(answer, "list"))) {
		check_list_answer(s, answer);
		return;
	}
	if (pack_entry_members(s->r, answer, "the answer", members,
	                       ARRAY_LEN(members)))
		check_members(s, json_get(answer, "fields"), NULL, 1);
}

/* --- Markdown ------------------------------------------------------------- */

/* Pairs of a word and a path, [["Name", "display_name"], ...]. */
static void check_pairs(const struct scope *s, struct json_value list)
{
	struct json_value e, word, path;

	for (e = json_first(list); json_exists(e); e = json_next(e)) {
		word = json_first(e);
		path = json_next(word);
		if (json_type(e) != JSON_ARRAY || json_count(e) != 2 ||
		    json_type(word) != JSON_STRING ||
		    json_type(path) != JSON_STRING)
			pack_entry_complain(s->r, e,
			                    "this is a list of a word and a "
			                    "path: [\"Name\", "
			                    "\"display_name\"]");
		else
			check_plain_path(s, path);
	}
}

static void check_table(const struct scope *s, struct json_value table)
{
	static const struct pack_member members[] = {
		{ "title", STRINGS, false },
		{ "items", STRINGS, true },
		{ "columns", ARRAYS, true },
		{ "empty", STRINGS, false },
	};

	if (!pack_entry_members(s->r, table, "a table", members,
	                        ARRAY_LEN(members)))
		return;
	check_plain_path(s, json_get(table, "items"));
	if (json_count(json_get(table, "columns")) == 0)
		pack_entry_complain(s->r, json_get(table, "columns"),
		                    "a table has at least one column");
	check_pairs(s, json_get(table, "columns"));
}

static void check_markdown(const struct scope *s)
{
	static const struct pack_member members[] = {
		{ "title", STRINGS, false },
		{ "lines", ARRAYS, false },
		{ "table", OBJECTS, false },
		{ "tables", ARRAYS, false },
	};
	struct json_value markdown = json_get(s->tool, "markdown"), e;

	if (!json_exists(markdown) ||
	    !pack_entry_members(s->r, markdown, "\"markdown\"", members,
	                        ARRAY_LEN(members)))
		return;
	check_pairs(s, json_get(markdown, "lines"));
	if (json_exists(json_get(markdown, "table")))
		check_table(s, json_get(markdown, "table"));
	for (e = json_first(json_get(markdown, "tables")); json_exists(e);
	     e = json_next(e))
		check_table(s, e);
}

void pack_recipe_check(struct pack_reader *r, struct json_value tool)
{
	struct scope s = { .r = r, .tool = tool };

	if (json_exists(json_get(tool, "requests"))) {
		check_requests(&s);
		check_answer(&s);
	}
	check_markdown(&s);
}

/* --- output schemas ------------------------------------------------------- */

static void put_object_schema(struct buf *out, struct json_value fields,
                              bool nullable);

/* Types of what services answer are not known here: {} takes every value. */
static void put_shape_schema(struct buf *out, struct json_value shape)
{
	struct json_value each = json_get(shape, "each");

	switch (form_of(shape)) {
	case FORM_NONE:
		buf_puts(out, "{}");
		break;
	case FORM_FIELDS:
		put_object_schema(out, json_get(shape, "fields"), true);
		break;
	case FORM_EACH:
		buf_puts(out, "{\"type\":[\"array\",\"null\"],\"items\":");
		if (json_type(each) == JSON_OBJECT &&
		    form_of(each) == FORM_NONE)
			put_object_schema(out, each, true);
		else
			put_shape_schema(out, each);
		buf_putc(out, '}');
		break;
	case FORM_NOT:
		buf_puts(out, "{\"type\":[\"boolean\",\"null\"]}");
		break;
	case FORM_COUNT:
		buf_puts(out, "{\"type\":[\"integer\",\"null\"]}");
		break;
	case FORM_CONST:
		buf_puts(out, "{\"const\":");
		pack_entry_compact(out, json_raw(json_get(shape, "const")));
		buf_putc(out, '}');
		break;
	}
}

/* Members with their schemas, a comma before each but the first of an object.
 */
static void put_members(struct buf *out, struct json_value fields)
{
	struct json_value m = json_first(fields);

	for (; json_exists(m); m = json_next(m)) {
		if (out->len && out->bytes[out->len - 1] != '{')
			buf_putc(out, ',');
		buf_add_json(out, json_key(m));
		buf_putc(out, ':');
		put_shape_schema(out, m);
	}
}

static void put_object_schema(struct buf *out, struct json_value fields,
                              bool nullable)
{
	buf_puts(out, nullable ? "{\"type\":[\"object\",\"null\"],"
	                       : "{\"type\":\"object\",");
	buf_puts(out, "\"properties\":{");
	put_members(out, fields);
	buf_puts(out, "}}");
}

/* What oci/mapping adds to an answer when there is something to say. */
static void put_warnings(struct buf *out)
{
	pack_entry_member(out, "warnings");
	buf_puts(out, "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}");
}

static void put_list_schema(struct buf *out, struct json_value answer)
{
	struct json_value items = json_get(answer, "items");
	struct json_value fields = json_get(answer, "fields");

	buf_puts(out, "{\"total\":{\"type\":[\"integer\",\"null\"]},"
	              "\"count\":{\"type\":\"integer\"},"
	              "\"offset\":{\"type\":\"integer\"},");
	buf_add_json(out, json_text(items));
	buf_puts(out, ":{\"type\":\"array\",\"items\":");
	if (json_exists(fields))
		put_object_schema(out, fields, false);
	else
		buf_puts(out, "{}");
	buf_puts(out, "},\"has_more\":{\"type\":\"boolean\"},"
	              "\"next_offset\":{\"type\":[\"integer\",\"null\"]},"
	              "\"truncated\":{\"type\":\"boolean\"}");
	put_members(out, json_get(answer, "extra"));
	put_warnings(out);
	buf_putc(out, '}');
}

/* Without an answer: what every request was answered. */
static void put_all_schema(struct buf *out, struct json_value tool)
{
	struct json_value e = json_first(json_get(tool, "requests"));

	buf_putc(out, '{');
	for (; json_exists(e); e = json_next(e)) {
		pack_entry_member(out, json_string(json_get(e, "as")));
		buf_puts(out, "{}");
	}
	put_warnings(out);
	buf_putc(out, '}');
}

void pack_recipe_output(struct json_value tool, struct buf *out)
{
	struct json_value answer = json_get(tool, "answer");
	bool is_list = json_exists(json_get(answer, "list"));

	buf_puts(out, "{\"type\":\"object\",\"properties\":");
	if (is_list) {
		put_list_schema(out, answer);
	} else if (json_exists(answer)) {
		buf_putc(out, '{');
		put_members(out, json_get(answer, "fields"));
		put_warnings(out);
		buf_putc(out, '}');
	} else {
		put_all_schema(out, tool);
	}
	/* A dry run says something else. */
	if (is_list && !flag(tool, "write")) {
		buf_puts(out, ",\"required\":[\"total\",\"count\",\"offset\",");
		buf_add_json(out, json_text(json_get(answer, "items")));
		buf_puts(out, ",\"has_more\",\"next_offset\"]");
	}
	buf_putc(out, '}');
}
