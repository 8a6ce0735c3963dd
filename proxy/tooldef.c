#include "proxy/tooldef.h"

#include <string.h>

#include "lib/scan.h"
#include "lib/utf8.h"
#include "lib/value.h"
#include "proxy/catalog.h"

#define ANNOTATION "x-mcp-header"

enum {
	NAME,
	URI,
	URI_TEMPLATE,
	INPUT_SCHEMA,
	OUTPUT_SCHEMA,
	EXECUTION,
	ANNOTATIONS,
	READ_ONLY,
	IDEMPOTENT,
	META,
	WANTED,
};

static const struct scan_want want[WANTED] = {
	[NAME] = { { "name", 4 }, SCAN_ROOT },
	[URI] = { { "uri", 3 }, SCAN_ROOT },
	[URI_TEMPLATE] = { { "uriTemplate", 11 }, SCAN_ROOT },
	[INPUT_SCHEMA] = { { "inputSchema", 11 }, SCAN_ROOT },
	[OUTPUT_SCHEMA] = { { "outputSchema", 12 }, SCAN_ROOT },
	[EXECUTION] = { { "execution", 9 }, SCAN_ROOT },
	[ANNOTATIONS] = { { "annotations", 11 }, SCAN_ROOT },
	[READ_ONLY] = { { "readOnlyHint", 12 }, ANNOTATIONS },
	[IDEMPOTENT] = { { "idempotentHint", 14 }, ANNOTATIONS },
	[META] = { { "_meta", 5 }, SCAN_ROOT },
};

/* What an item is known by, and how long that may be. */
static const struct {
	int row;
	uint32_t max;
	const char *missing, *too_long, *unseen;
} keys[LIST_KINDS] = {
	[LIST_TOOLS] = { NAME, TOOL_NAME_MAX, "it has no name",
	                 "its name is too long",
	                 "its name has invisible or control characters" },
	[LIST_PROMPTS] = { NAME, TOOL_NAME_MAX, "it has no name",
	                   "its name is too long",
	                   "its name has invisible or control characters" },
	[LIST_RESOURCES] = { URI, TOOLDEF_URI_MAX, "it has no URI",
	                     "its URI is too long",
	                     "its URI has invisible or control characters" },
	[LIST_TEMPLATES] = { URI_TEMPLATE, TOOLDEF_URI_MAX,
	                     "it has no URI template",
	                     "its URI template is too long",
	                     "its URI template has invisible or control "
	                     "characters" },
};

/*
 * Characters that make a name look like another or like nothing: controls,
 * spaces other than U+0020, joiners, direction marks, fillers, variation
 * selectors, tags.
 */
static const struct {
	uint32_t first, last;
} unseen[] = {
	{ 0x0000, 0x001f },   { 0x007f, 0x00a0 },   { 0x00ad, 0x00ad },
	{ 0x034f, 0x034f },   { 0x061c, 0x061c },   { 0x115f, 0x1160 },
	{ 0x1680, 0x1680 },   { 0x17b4, 0x17b5 },   { 0x180b, 0x180f },
	{ 0x2000, 0x200f },   { 0x2028, 0x202f },   { 0x205f, 0x206f },
	{ 0x2800, 0x2800 },   { 0x3000, 0x3000 },   { 0x3164, 0x3164 },
	{ 0xfe00, 0xfe0f },   { 0xfeff, 0xfeff },   { 0xffa0, 0xffa0 },
	{ 0xfff0, 0xfffb },   { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a },
	{ 0xe0000, 0xe0fff },
};

static uint32_t code_point(const unsigned char *p, size_t n)
{
	static const unsigned char lead[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = p[0] & lead[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

static bool is_unseen(uint32_t c)
{
	if (c >= ' ' && c <= '~')
		return false;
	for (size_t i = 0; i < ARRAY_LEN(unseen); i++)
		if (c >= unseen[i].first && c <= unseen[i].last)
			return true;
	return false;
}

bool tooldef_visible(struct span text)
{
	for (size_t i = 0, n; i < text.len; i += n) {
		n = utf8_len(span_from(text, i));
		if (n == 0 || is_unseen(code_point(
				      (const unsigned char *)text.at + i, n)))
			return false;
	}
	return true;
}

bool tooldef_is_object_schema(struct span schema)
{
	return value_type(schema) == VALUE_OBJECT &&
	       value_string_eq(value_get(schema, SPAN("type")), SPAN("object"));
}

struct span tooldef_member(struct span item, struct span value)
{
	struct value_iter it;
	struct span key, at;
	const char *cut = NULL;    /* the member's first byte */
	const char *before = NULL; /* the end of the member before it */

	value_iter_init(&it, item);
	while (value_object_next(&it, &key, &at)) {
		if (cut) /* not the last: up to the next name */
			return span_of(cut, (size_t)(key.at - cut));
		if (at.at == value.at)
			cut = key.at;
		else
			before = at.at + at.len;
	}
	assert(cut);
	if (before) /* the last: from the comma before it */
		cut = before;
	return span_of(cut, (size_t)(value.at + value.len - cut));
}

/* --- x-mcp-header (MCP 2026-07-28) ---------------------------------------- */

/* Members of a schema that hold other schemas. */
enum holds { ONE, MANY, NAMED };

static const struct {
	struct span key;
	enum holds holds;
} applicators[] = {
	{ { "items", 5 }, MANY },
	{ { "additionalItems", 15 }, ONE },
	{ { "additionalProperties", 20 }, ONE },
	{ { "unevaluatedItems", 16 }, ONE },
	{ { "unevaluatedProperties", 21 }, ONE },
	{ { "propertyNames", 13 }, ONE },
	{ { "contains", 8 }, ONE },
	{ { "contentSchema", 13 }, ONE },
	{ { "not", 3 }, ONE },
	{ { "if", 2 }, ONE },
	{ { "then", 4 }, ONE },
	{ { "else", 4 }, ONE },
	{ { "allOf", 5 }, MANY },
	{ { "anyOf", 5 }, MANY },
	{ { "oneOf", 5 }, MANY },
	{ { "prefixItems", 11 }, MANY },
	{ { "$defs", 5 }, NAMED },
	{ { "definitions", 11 }, NAMED },
	{ { "patternProperties", 17 }, NAMED },
	{ { "dependentSchemas", 16 }, NAMED },
	{ { "dependencies", 12 }, NAMED },
};

/* A schema on the way down; path is of the properties that led here. */
struct place {
	struct tooldef *out;
	const struct place *above; /* NULL: the root of the schema */
	struct span key;           /* raw name of the property */
	bool reachable;            /* through "properties" only */
};

static bool is_token(struct span s)
{
	static const char marks[] = "!#$%&'*+-.^_`|~"; /* RFC 9110, 5.6.2 */

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];
		unsigned char low = ascii_lower(c);

		if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') &&
		    (c == '\0' || !strchr(marks, c)))
			return false;
	}
	return s.len > 0;
}

static struct span at(const struct tooldef *def, struct ref r)
{
	return span_of(def->strings.bytes + r.off, r.len);
}

/* Append what a JSON string means. False: no room, or a NUL in it. */
static bool add_string(struct tooldef *out, struct span raw, size_t max)
{
	char *to = buf_reserve(&out->strings, raw.len);
	int n = to ? value_string(raw, to, MIN(raw.len, max)) : -ENOMEM;

	if (n < 0 || (n > 0 && memchr(to, '\0', (size_t)n)))
		return false;
	buf_commit(&out->strings, (size_t)n);
	return true;
}

static struct ref since(const struct tooldef *out, size_t from)
{
	return (struct ref){ (uint32_t)from,
		             (uint32_t)(out->strings.len - from) };
}

static bool add_path(struct tooldef *out, const struct place *p)
{
	if (p->above && p->above->above) {
		if (!add_path(out, p->above))
			return false;
		buf_putc(&out->strings, '\0');
	}
	return add_string(out, p->key, TEXT_MAX);
}

static bool mirror_type(struct span schema, uint32_t *out)
{
	static const struct {
		struct span word;
		uint32_t type;
	} types[] = {
		{ { "string", 6 }, MIRROR_STRING },
		{ { "integer", 7 }, MIRROR_INTEGER },
		{ { "boolean", 7 }, MIRROR_BOOLEAN },
	};
	struct span type = value_get(schema, SPAN("type"));

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (value_string_eq(type, types[i].word)) {
			*out = types[i].type;
			return true;
		}
	}
	return false;
}

static bool field_taken(const struct tooldef *out, struct span field)
{
	for (size_t i = 0; i < out->n_mirrors; i++)
		if (span_eq_nocase(at(out, out->mirrors[i].field), field))
			return true;
	return false;
}

/* An annotation with this value stands in the schema at p. */
static const char *annotate(const struct place *p, struct span schema,
                            struct span value)
{
	struct tooldef *out = p->out;
	struct tooldef_mirror m;
	size_t from = out->strings.len;

	if (!p->reachable || !p->above)
		return "x-mcp-header stands where no argument is";
	if (!add_string(out, value, TOOLDEF_FIELD_MAX))
		return "x-mcp-header is no header field name";
	m.field = since(out, from);
	if (!is_token(at(out, m.field)))
		return "x-mcp-header is no header field name";
	if (field_taken(out, at(out, m.field)))
		return "x-mcp-header names the same field twice";
	if (!mirror_type(schema, &m.type))
		return "x-mcp-header is on a property that is no string, "
		       "integer or boolean";
	if (out->n_mirrors == TOOLDEF_MIRRORS_MAX)
		return "it has too many x-mcp-header";
	from = out->strings.len;
	if (!add_path(out, p))
		return "x-mcp-header is on a property of unusable name";
	m.path = since(out, from);
	out->mirrors[out->n_mirrors++] = m;
	return NULL;
}

static const char *walk(const struct place *p, struct span schema);

/* The schemas in the values of an object or the elements of an array. */
static const char *walk_all(const struct place *above, struct span holder,
                            bool reachable)
{
	struct place p = { above->out, above, { NULL, 0 }, reachable };
	bool named = value_type(holder) == VALUE_OBJECT;
	struct value_iter it;
	struct span schema;
	const char *why = NULL;

	if (!named && value_type(holder) != VALUE_ARRAY)
		return NULL;
	value_iter_init(&it, holder);
	while (!why && (named ? value_object_next(&it, &p.key, &schema)
	                      : value_array_next(&it, &schema)))
		why = walk(&p, schema);
	return why;
}

static const char *walk_member(const struct place *p, struct span key,
                               struct span value)
{
	struct place below = { p->out, p, key, false };

	if (value_string_eq(key, SPAN("properties")))
		return walk_all(p, value, p->reachable);
	for (size_t i = 0; i < ARRAY_LEN(applicators); i++) {
		if (!value_string_eq(key, applicators[i].key))
			continue;
		if (applicators[i].holds == NAMED ||
		    value_type(value) == VALUE_ARRAY)
			return walk_all(p, value, false);
		return walk(&below, value);
	}
	return NULL;
}

/* As deep as the JSON is, which SCAN_DEPTH_MAX bounds. */
static const char *walk(const struct place *p, struct span schema)
{
	struct value_iter it;
	struct span key, value;
	const char *why = NULL;

	if (value_type(schema) != VALUE_OBJECT)
		return NULL;
	value_iter_init(&it, schema);
	while (!why && value_object_next(&it, &key, &value)) {
		if (value_string_eq(key, SPAN(ANNOTATION)))
			why = annotate(p, schema, value);
		else
			why = walk_member(p, key, value);
	}
	return why;
}

static const char *find_mirrors(struct tooldef *out)
{
	struct place root = { out, NULL, { NULL, 0 }, true };
	struct span s = out->input_schema;

	/* Nearly no schema has one; the name may be written with escapes. */
	if (!memmem(s.at, s.len, ANNOTATION, sizeof(ANNOTATION) - 1) &&
	    !memmem(s.at, s.len, "\\u", 2))
		return NULL;
	return walk(&root, s);
}

/* --- items ------------------------------------------------------------------
 */

/* Pages of MCP Apps that the tool's results are shown in. */
static void find_apps(struct span meta, struct tooldef *out)
{
	out->apps[0] =
		value_get(value_get(meta, SPAN("ui")), SPAN("resourceUri"));
	out->apps[1] = value_get(meta, SPAN("ui/resourceUri"));
}

static const char *read_tool(enum view_era era, const struct span found[],
                             struct tooldef *out)
{
	if (value_type(out->input_schema) != VALUE_OBJECT)
		return "its inputSchema is no object";
	find_apps(found[META], out);
	if (value_type(found[READ_ONLY]) == VALUE_TRUE)
		out->flags |= ENTRY_READ_ONLY;
	if (value_type(found[IDEMPOTENT]) == VALUE_TRUE)
		out->flags |= ENTRY_IDEMPOTENT;
	if (value_type(out->output_schema) == VALUE_OBJECT)
		out->flags |= ENTRY_OUTPUT;
	/* It means something to backends of the older era only. */
	if (value_string_eq(value_get(out->execution, SPAN("taskSupport")),
	                    SPAN("required")))
		out->flags |= ENTRY_TASK;
	return era == VIEW_MODERN ? find_mirrors(out) : NULL;
}

const char *tooldef_read(enum list_kind kind, enum view_era era,
                         struct span item, struct tooldef *out)
{
	struct span found[WANTED];
	struct scan_error why;

	buf_reset(&out->strings);
	out->strings.max = LAYOUT_MAX;
	out->key_raw = span_of(NULL, 0);
	out->flags = 0;
	out->n_mirrors = 0;
	if (value_type(item) != VALUE_OBJECT)
		return "it is no JSON object";
	if (scan_document(item, want, WANTED, found, &why) != SCAN_OK)
		return why.text;

	out->key_raw = found[keys[kind].row];
	out->input_schema = found[INPUT_SCHEMA];
	out->output_schema = found[OUTPUT_SCHEMA];
	out->execution = found[EXECUTION];
	if (value_type(out->key_raw) != VALUE_STRING || out->key_raw.len <= 2)
		return keys[kind].missing;
	if (!add_string(out, out->key_raw, keys[kind].max))
		return out->key_raw.len - 2 > keys[kind].max
		               ? keys[kind].too_long
		               : keys[kind].unseen;
	out->key = since(out, 0);
	if (!tooldef_visible(at(out, out->key)))
		return keys[kind].unseen;
	return kind == LIST_TOOLS ? read_tool(era, found, out) : NULL;
}

void tooldef_fini(struct tooldef *def)
{
	buf_free(&def->strings);
}

/* --- the gateway's own tools ------------------------------------------------
 */

#define OWN_ANNOTATIONS                                      \
	"\"annotations\":{\"readOnlyHint\":true,"            \
	"\"destructiveHint\":false,\"idempotentHint\":true," \
	"\"openWorldHint\":false}"
#define NO_ARGUMENTS                                              \
	"\"inputSchema\":{\"type\":\"object\",\"properties\":{}," \
	"\"additionalProperties\":false},"

/* clang-format off */
static const char *const own[OWN_TOOLS] = {
	[OWN_HEALTH] =
		"{\"name\":\"gateway_health\",\"title\":\"Gateway health\","
		"\"description\":\"State of the gateway and of every backend "
		"behind it: status, transport, number of tools, latency, last "
		"check, failures in a row and the last error.\","
		NO_ARGUMENTS OWN_ANNOTATIONS "}",
	[OWN_LIST_BACKENDS] =
		"{\"name\":\"gateway_list_backends\",\"title\":\"Backends\","
		"\"description\":\"The backends behind this gateway, as a "
		"list for people: status, transport, authentication, latency, "
		"error and number of tools of each.\","
		NO_ARGUMENTS OWN_ANNOTATIONS "}",
	[OWN_AUDIT_LOG] =
		"{\"name\":\"gateway_audit_log\",\"title\":\"Audit log\","
		"\"description\":\"The latest tool calls that went through "
		"this gateway, newest first: time, tool, client, backend and "
		"outcome.\","
		"\"inputSchema\":{\"type\":\"object\",\"properties\":{"
		"\"limit\":{\"type\":\"integer\",\"minimum\":1,"
		"\"maximum\":100,\"default\":20,"
		"\"description\":\"How many calls to show.\"}},"
		"\"additionalProperties\":false}," OWN_ANNOTATIONS "}",
};
/* clang-format on */

struct span tooldef_own(uint32_t i)
{
	assert(i < OWN_TOOLS);
	return span_str(own[i]);
}
