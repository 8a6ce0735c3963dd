#include "oci/pack.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/text.h"
#include "oci/arguments.h"
#include "oci/pack_entry.h"
#include "oci/pack_recipe.h"
#include "oci/pack_schema.h"

#define STRINGS  PACK_IS(JSON_STRING)
#define NUMBERS  PACK_IS(JSON_NUMBER)
#define ARRAYS   PACK_IS(JSON_ARRAY)
#define OBJECTS  PACK_IS(JSON_OBJECT)
#define BOOLEANS PACK_IS(JSON_BOOL)

#define ENTRY_MAX    (1 << 20) /* bytes of a recipe or a definition */
#define ALIAS_SUFFIX " (Alias)"

/* --- memory --------------------------------------------------------------- */

struct pack_block {
	struct pack_block *next;
	char bytes[];
};

/* A copy followed by a NUL; NULL, and r->no_memory, without memory. */
static const char *copy(struct pack_reader *r, struct span text)
{
	struct pack_block *block = malloc(sizeof(*block) + text.len + 1);

	if (!block) {
		r->no_memory = true;
		return NULL;
	}
	if (text.len)
		memcpy(block->bytes, text.at, text.len);
	block->bytes[text.len] = '\0';
	block->next = r->packs->blocks;
	r->packs->blocks = block;
	return block->bytes;
}

/* Keep what was written to a buffer, which is then free. */
static struct span keep(struct pack_reader *r, struct buf *b)
{
	struct span text = SPAN("");

	if (buf_err(b) == -ENOMEM)
		r->no_memory = true;
	text.len = b->len;
	text.at = copy(r, buf_span(b));
	buf_free(b);
	return text.at ? text : SPAN("");
}

/* --- the register of tools ------------------------------------------------ */

/* Where a name is, or would be. */
static size_t place_of(const struct packs *packs, struct span name)
{
	size_t low = 0, high = packs->n_tools;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (span_cmp(span_str(packs->tools[middle].name), name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct pack_tool *pack_find(const struct packs *packs, struct span name)
{
	size_t i = place_of(packs, name);

	if (i < packs->n_tools && span_is(name, packs->tools[i].name))
		return &packs->tools[i];
	return NULL;
}

/* One more element; NULL without memory. */
static void *grow(struct pack_reader *r, void *array, size_t *cap, size_t n,
                  size_t size)
{
	void *more;

	if (n < *cap)
		return array;
	more = realloc(array, MAX(*cap * 2, 16) * size);
	if (!more) {
		r->no_memory = true;
		return NULL;
	}
	*cap = MAX(*cap * 2, 16);
	return more;
}

static void add_tool(struct pack_reader *r, const struct pack_tool *tool)
{
	struct packs *p = r->packs;
	struct pack_tool *tools =
		grow(r, p->tools, &p->tools_cap, p->n_tools, sizeof(*tools));
	size_t i;

	if (!tools)
		return;
	p->tools = tools;
	i = place_of(p, span_str(tool->name));
	memmove(&tools[i + 1], &tools[i], (p->n_tools - i) * sizeof(*tools));
	tools[i] = *tool;
	p->n_tools++;
}

/* The domain of a pack, which is made when there is none. */
static struct pack_domain *find_domain(struct pack_reader *r,
                                       struct json_value root)
{
	struct span name = json_text(json_get(root, "pack"));
	struct packs *p = r->packs;
	struct pack_domain *domains;

	for (size_t i = 0; i < p->n_domains; i++)
		if (span_is(name, p->domains[i].name))
			return &p->domains[i];
	domains = grow(r, p->domains, &p->domains_cap, p->n_domains,
	               sizeof(*domains));
	if (!domains)
		return NULL;
	p->domains = domains;
	domains[p->n_domains] = (struct pack_domain){
		.name = copy(r, name),
		.title = copy(r, json_text(json_get(root, "title"))),
		.description =
			copy(r, json_text(json_get(root, "description"))),
	};
	return &domains[p->n_domains++];
}

/* --- what an entry must have ---------------------------------------------- */

static const struct pack_member tool_members[] = {
	{ "name", STRINGS, true },          { "aliases", ARRAYS, false },
	{ "title", STRINGS, true },         { "description", STRINGS, true },
	{ "tier", NUMBERS, true },          { "annotations", OBJECTS, true },
	{ "write", BOOLEANS, false },       { "uses", ARRAYS, false },
	{ "parameters", OBJECTS, false },   { "required", ARRAYS, false },
	{ "requests", ARRAYS, false },      { "answer", OBJECTS, false },
	{ "function", STRINGS, false },     { "markdown", OBJECTS, false },
	{ "outputSchema", OBJECTS, false },
};

static const struct pack_member annotation_members[] = {
	{ "readOnlyHint", BOOLEANS, true },
	{ "destructiveHint", BOOLEANS, true },
	{ "idempotentHint", BOOLEANS, true },
	{ "openWorldHint", BOOLEANS, true },
};

static bool flag(struct json_value object, const char *name)
{
	bool value = false;

	json_bool(json_get(object, name), &value);
	return value;
}

static uint32_t flags_of(struct json_value tool)
{
	struct json_value notes = json_get(tool, "annotations");
	uint32_t flags = 0;

	if (flag(notes, "readOnlyHint"))
		flags |= PACK_READ_ONLY;
	if (flag(notes, "destructiveHint"))
		flags |= PACK_DESTRUCTIVE;
	if (flag(tool, "write"))
		flags |= PACK_WRITE;
	return flags;
}

static void check_annotations(struct pack_reader *r, struct json_value tool)
{
	struct json_value notes = json_get(tool, "annotations");
	uint32_t flags = flags_of(tool);

	if (!pack_entry_members(r, notes, "\"annotations\"", annotation_members,
	                        ARRAY_LEN(annotation_members)))
		return;
	if (flags & PACK_WRITE && flags & PACK_READ_ONLY)
		pack_entry_complain(r, json_get(notes, "readOnlyHint"),
		                    "a tool that writes is not read-only");
	if (flags & PACK_READ_ONLY && flags & PACK_DESTRUCTIVE)
		pack_entry_complain(r, json_get(notes, "destructiveHint"),
		                    "a tool that only reads destroys nothing");
	if (!(flags & (PACK_WRITE | PACK_READ_ONLY)) &&
	    !json_exists(json_get(tool, "function")))
		pack_entry_complain(r, json_get(notes, "readOnlyHint"),
		                    "a tool without \"write\" is read-only");
	if (flags & PACK_WRITE && flags & PACK_DESTRUCTIVE &&
	    !pack_schema_has(tool, SPAN("confirm")))
		pack_entry_complain_key(r, notes,
		                        "a destructive tool must have "
		                        "\"confirm\" in \"uses\"");
}

static void check_texts(struct pack_reader *r, struct json_value tool)
{
	static const char *const texts[] = { "title", "description" };
	struct json_value tier = json_get(tool, "tier");
	int64_t n;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (json_text(json_get(tool, texts[i])).len == 0)
			pack_entry_complain(r, json_get(tool, texts[i]),
			                    "\"%s\" is empty", texts[i]);
	if (!json_int64(tier, &n) || n < 1 || n > PACK_TIER_MAX)
		pack_entry_complain(r, tier, "\"tier\" is 1 to %d",
		                    PACK_TIER_MAX);
}

/* Either requests, or a function that says what it gives. */
static void check_way(struct pack_reader *r, struct json_value tool)
{
	struct json_value function = json_get(tool, "function");
	struct json_value requests = json_get(tool, "requests");
	struct json_value answer = json_get(tool, "answer");
	struct json_value schema = json_get(tool, "outputSchema");

	if (json_exists(function) == json_exists(requests))
		pack_entry_complain(
			r, tool,
			"a tool has either \"requests\" or \"function\"");
	if (json_exists(answer) && !json_exists(requests))
		pack_entry_complain_key(r, answer,
		                        "\"answer\" belongs to \"requests\"");
	if (json_exists(function) &&
	    (!r->rules->has_function ||
	     !r->rules->has_function(json_text(function))))
		pack_entry_complain(r, function,
		                    "there is no function \"%.64s\"",
		                    json_string(function));
	if (json_exists(function) && !json_exists(schema))
		pack_entry_complain(
			r, function,
			"a tool with a function must have \"outputSchema\"");
	if (json_exists(schema) &&
	    !span_is(json_text(json_get(schema, "type")), "object"))
		pack_entry_complain(r, schema,
		                    "\"outputSchema\" must be of type object");
}

/* Nobody else has this name; complains with both places. */
static bool is_free(struct pack_reader *r, struct json_value at)
{
	const struct pack_tool *other = pack_find(r->packs, json_text(at));

	if (other)
		pack_entry_complain(r, at,
		                    "the name \"%.64s\" is taken: %s:%u:%u",
		                    json_string(at), other->file,
		                    other->place.line, other->place.column);
	return !other;
}

static void check_tool(struct pack_reader *r, struct json_value tool)
{
	struct json_value name = json_get(tool, "name");

	if (!pack_entry_members(r, tool, "a tool", tool_members,
	                        ARRAY_LEN(tool_members)))
		return;
	if (pack_entry_name(r, name, json_text(name), "the name of a tool"))
		is_free(r, name);
	check_texts(r, tool);
	check_annotations(r, tool);
	check_way(r, tool);
	pack_schema_check(r, tool);
	pack_recipe_check(r, tool);
}

/* --- what comes out ------------------------------------------------------- */

static void put_text(struct buf *out, const char *name, struct span text)
{
	pack_entry_member(out, name);
	buf_add_json(out, text);
}

/* Members that every call asks for; they are always there and stand first, so
 * that nothing has to be read to find them. */
static void put_head(struct pack_reader *r, struct json_value tool,
                     struct span parameters, struct buf *out)
{
	struct json_value required = json_get(tool, "required");

	put_text(out, "pack", span_str(r->pack));
	pack_entry_member(out, "parameters");
	pack_schema_bare(parameters, out);
	pack_entry_member(out, "required");
	pack_entry_compact(out, json_exists(required) ? json_raw(required)
	                                              : SPAN("[]"));
}

static void put_recipe(struct pack_reader *r, struct json_value tool,
                       struct span parameters, struct span input,
                       struct buf *out)
{
	struct json_value m;

	buf_putc(out, '{');
	put_head(r, tool, parameters, out);
	for (m = json_first(tool); json_exists(m); m = json_next(m)) {
		if (span_is(json_key(m), "parameters") ||
		    span_is(json_key(m), "required"))
			continue;
		pack_entry_member(out, json_key(m).at);
		pack_entry_compact(out, json_raw(m));
	}
	pack_entry_member(out, "inputSchema");
	buf_add_span(out, input);
	buf_putc(out, '}');
}

/* The schemas and annotations of a definition, to be shared with aliases. */
static void put_common(struct json_value tool, struct span input,
                       struct buf *out)
{
	struct json_value output = json_get(tool, "outputSchema");

	buf_puts(out, ",\"inputSchema\":");
	buf_add_span(out, input);
	buf_puts(out, ",\"outputSchema\":");
	if (json_exists(output))
		pack_entry_compact(out, json_raw(output));
	else
		pack_recipe_output(tool, out);
}

static void put_annotations(struct json_value tool, struct span title,
                            struct buf *out)
{
	struct json_value m = json_first(json_get(tool, "annotations"));

	buf_puts(out, ",\"annotations\":{");
	put_text(out, "title", title);
	for (; json_exists(m); m = json_next(m)) {
		pack_entry_member(out, json_key(m).at);
		buf_add_span(out, json_raw(m));
	}
	buf_puts(out, "}}");
}

static struct span put_definition(struct pack_reader *r, struct json_value tool,
                                  const struct pack_tool *t, struct span common)
{
	struct buf out = { .max = ENTRY_MAX };

	buf_putc(&out, '{');
	put_text(&out, "name", span_str(t->name));
	put_text(&out, "title", span_str(t->title));
	put_text(&out, "description", t->description);
	buf_add_span(&out, common);
	put_annotations(tool, span_str(t->title), &out);
	if (buf_err(&out) == -ENOBUFS)
		pack_entry_complain(r, tool, "the definition is too long");
	return keep(r, &out);
}

/* Everything but names, titles and definitions. */
static struct pack_tool base_of(struct pack_reader *r, struct json_value tool,
                                struct span recipe)
{
	struct json_value function = json_get(tool, "function");
	struct span description = json_text(json_get(tool, "description"));
	int64_t tier = 1;

	json_int64(json_get(tool, "tier"), &tier);
	return (struct pack_tool){
		.pack = r->pack,
		.function = json_exists(function) ? copy(r, json_text(function))
		                                  : NULL,
		.description = { copy(r, description), description.len },
		.recipe = recipe,
		.flags = flags_of(tool),
		.tier = (unsigned)tier,
		.file = r->file,
	};
}

/* Define one name of a tool and register it. */
static void define(struct pack_reader *r, struct json_value tool,
                   struct json_value name, struct span title,
                   struct pack_tool t, struct span common)
{
	if (r->packs->n_tools == PACK_TOOLS_MAX) {
		pack_entry_complain(r, name, "more than %d tools",
		                    PACK_TOOLS_MAX);
		return;
	}
	t.name = copy(r, json_text(name));
	t.title = copy(r, title);
	t.place = json_place(name);
	t.place.line += r->line;
	if (r->no_memory)
		return;
	t.definition = put_definition(r, tool, &t, common);
	if (!r->failed && !r->no_memory)
		add_tool(r, &t);
}

static void define_aliases(struct pack_reader *r, struct json_value tool,
                           const struct pack_tool *base, struct span common)
{
	struct json_value e = json_first(json_get(tool, "aliases"));
	struct span text = json_text(json_get(tool, "title"));
	struct buf title = { .max = ENTRY_MAX };
	struct pack_tool t = *base;

	buf_add_span(&title, text);
	buf_puts(&title, ALIAS_SUFFIX);
	t.flags |= PACK_ALIAS;
	t.original = copy(r, json_text(json_get(tool, "name")));
	for (; json_exists(e) && !r->no_memory; e = json_next(e)) {
		r->failed = false;
		if (pack_entry_name(r, e, json_text(e), "an alias") &&
		    is_free(r, e))
			define(r, tool, e, buf_span(&title), t, common);
	}
	buf_free(&title);
}

static void take_tool(struct pack_reader *r, struct json_value tool)
{
	struct buf parameters = { .max = ENTRY_MAX };
	struct buf input = { .max = ENTRY_MAX };
	struct buf recipe = { .max = ENTRY_MAX };
	struct buf common = { .max = ENTRY_MAX };
	struct pack_tool base;

	pack_schema_parameters(tool, &parameters);
	pack_schema_input(tool, buf_span(&parameters), &input);
	put_recipe(r, tool, buf_span(&parameters), buf_span(&input), &recipe);
	put_common(tool, buf_span(&input), &common);
	if (buf_err(&parameters) || buf_err(&input) || buf_err(&common) ||
	    buf_err(&recipe))
		pack_entry_complain(r, tool, "the tool is too long");
	base = base_of(r, tool, keep(r, &recipe));
	if (!r->failed && !r->no_memory) {
		define(r, tool, json_get(tool, "name"),
		       json_text(json_get(tool, "title")), base,
		       buf_span(&common));
		define_aliases(r, tool, &base, buf_span(&common));
	}
	buf_free(&parameters);
	buf_free(&input);
	buf_free(&common);
}

/* --- files ---------------------------------------------------------------- */

static const struct pack_member pack_members[] = {
	{ "pack", STRINGS, true },
	{ "title", STRINGS, true },
	{ "description", STRINGS, true },
	{ "tools", ARRAYS, true },
};

/* Check one tool and take it when it is good. True: taken. */
static bool load_tool(struct pack_reader *r, struct json_value tool)
{
	struct json_value name = json_get(tool, "name");
	size_t n = r->packs->n_tools;

	r->tool = json_type(name) == JSON_STRING ? json_string(name) : "";
	r->failed = false;
	check_tool(r, tool);
	if (!r->failed)
		take_tool(r, tool);
	r->tool = "";
	return r->packs->n_tools > n;
}

static void load_tools(struct pack_reader *r, struct json_value root)
{
	struct json_value pack = json_get(root, "pack"), tool;
	struct pack_domain *domain;
	size_t n = 0;

	if (!pack_entry_members(r, root, "a pack", pack_members,
	                        ARRAY_LEN(pack_members)) ||
	    !pack_entry_name(r, pack, json_text(pack), "the name of a pack"))
		return;
	if (r->packs->n_domains == PACK_DOMAINS_MAX) {
		pack_entry_complain(r, pack, "more than %d packs",
		                    PACK_DOMAINS_MAX);
		return;
	}
	domain = find_domain(r, root);
	if (r->no_memory)
		return;
	r->pack = domain->name;
	tool = json_first(json_get(root, "tools"));
	for (; json_exists(tool) && !r->no_memory; tool = json_next(tool))
		n += load_tool(r, tool);
	domain->n_tools += n;
}

/* A text that is not JSON. */
static void complain_text(struct pack_reader *r, const struct json_error *why)
{
	struct pack_defect defect = {
		.file = r->file,
		.place = why->place,
		.tool = "",
		.reason = why->text,
	};

	if (defect.place.line)
		defect.place.line += r->line;
	r->defects++;
	if (r->rules->report)
		r->rules->report(r->rules->owner, &defect);
}

/* Load one document. name is that of the file, NULL: after its "pack". */
static int load(struct packs *packs, struct span text, const char *name,
                const struct pack_rules *rules)
{
	char own[PACK_NAME_MAX + sizeof(".json")] = "stock.json";
	struct pack_reader r = { .packs = packs, .rules = rules, .tool = "" };
	struct json_error why = { 0 };
	struct json *doc;
	int err = json_parse(text, 0, &doc, &why);
	struct span pack;

	if (err == -ENOMEM)
		return err;
	if (!name && err == 0) {
		pack = span_first(json_text(json_get(json_root(doc), "pack")),
		                  PACK_NAME_MAX);
		snprintf(own, sizeof(own), "%.*s.json", SPAN_ARG(pack));
	}
	r.file = copy(&r, span_str(name ? name : own));
	if (err == 0 && !r.no_memory)
		load_tools(&r, json_root(doc));
	else if (!r.no_memory)
		complain_text(&r, &why);
	if (err == 0)
		json_free(doc);
	return r.no_memory ? -ENOMEM : r.defects;
}

int pack_load(struct packs *packs, struct span text, const char *file,
              const struct pack_rules *rules)
{
	return load(packs, text, file, rules);
}

/* The end of the first object of a text, or of the text. */
static size_t object_len(struct span text)
{
	const char *at = text.at, *end = text.at + text.len;
	unsigned depth = 0;

	for (; at < end; at++) {
		if (*at == '"') {
			for (at++; at < end && *at != '"'; at++)
				at += *at == '\\' && at + 1 < end;
			continue;
		}
		depth += *at == '{';
		if (*at == '}' && --depth == 0)
			return (size_t)(at + 1 - text.at);
	}
	return text.len;
}

int pack_load_all(struct packs *packs, struct span text,
                  const struct pack_rules *rules)
{
	int defects = 0;

	for (;;) {
		const char *end = text.at + text.len;
		const char *at = text_skip_space(text.at, end);
		size_t len;
		int n;

		text = span_of(at, (size_t)(end - at));
		if (text.len == 0)
			return defects;
		len = object_len(text);
		n = load(packs, span_first(text, len), NULL, rules);
		if (n < 0)
			return n;
		defects += n;
		text = span_from(text, len);
	}
}

void pack_definitions(const struct packs *packs, bool allow_mutations,
                      struct buf *out)
{
	for (size_t i = 0; i < packs->n_tools; i++) {
		const struct pack_tool *t = &packs->tools[i];

		if (t->flags & PACK_WRITE && !allow_mutations)
			continue;
		buf_add_span(out, t->definition);
		buf_putc(out, ',');
	}
}

void pack_fini(struct packs *packs)
{
	struct pack_block *next;

	for (struct pack_block *b = packs->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
	free(packs->tools);
	free(packs->domains);
	*packs = (struct packs){ 0 };
}
