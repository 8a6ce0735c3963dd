#include "proxy/catalog.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lib/scan.h"

/* A configuration of a few backends, as the master would write it. */
struct setup {
	const char *name;
	uint32_t flags;
	const char *lists[VIEWS][LIST_KINDS]; /* NULL: none of this era */
	uint32_t needs;                       /* 1 + scope, or 0 */
};

#define BACKENDS 4

static struct board *board;
static struct catalog_backend *known[BACKENDS_MAX];
static struct snapshot *snap;

static void fill(struct catalog_backend *to, const struct setup *from)
{
	for (int v = 0; v < VIEWS; v++) {
		for (int k = 0; k < LIST_KINDS; k++) {
			const char *text = from->lists[v][k];

			to->eras[v].items[k].max = LAYOUT_MAX;
			if (!text)
				continue;
			to->eras[v].known = true;
			buf_puts(&to->eras[v].items[k], text);
		}
	}
	to->origin.eras = ERA_MODERN;
}

static void config(struct builder *b, const struct setup *setup, size_t n,
                   const char *rule)
{
	struct backend backends[BACKENDS_MAX] = { 0 };
	struct settings settings = { 0 };

	builder_init(b);
	struct ref r = builder_array(b, &settings, 1, sizeof(settings));
	builder_header(b)->settings = r;
	for (size_t i = 0; i < n; i++) {
		backends[i].name = builder_text(b, span_str(setup[i].name));
		backends[i].identifier = backends[i].name;
		backends[i].flags = setup[i].flags;
		if (setup[i].needs)
			scope_set_add(&backends[i].needs, setup[i].needs - 1);
	}
	r = builder_array(b, backends, n, sizeof(*backends));
	builder_header(b)->backends = r;
	if (rule) {
		struct scope_rule rules[1] = {
			{ .pattern = builder_text(b, span_str(rule)) },
		};

		scope_set_add(&rules[0].needs, 7);
		r = builder_array(b, rules, 1, sizeof(rules[0]));
		builder_header(b)->scope_rules = r;
	}
	builder_end_config(b);
}

static void forget(void)
{
	for (size_t i = 0; i < BACKENDS_MAX; i++) {
		if (!known[i])
			continue;
		for (int v = 0; v < VIEWS; v++)
			for (int k = 0; k < LIST_KINDS; k++)
				buf_free(&known[i]->eras[v].items[k]);
		free(known[i]);
		known[i] = NULL;
	}
	snapshot_unref(snap);
	snap = NULL;
}

static void build(const struct setup *setup, size_t n, const char *rule)
{
	struct builder b;

	forget();
	config(&b, setup, n, rule);
	for (size_t i = 0; i < n; i++) {
		known[i] = calloc(1, sizeof(*known[i]));
		fill(known[i], &setup[i]);
	}
	cr_assert_eq(catalog_build(&b, board, known), 0);

	int fd = builder_freeze(&b);
	cr_assert_geq(fd, 0);
	cr_assert_eq(snapshot_open(fd, &snap), 0);
}

static void begin(void)
{
	int fd;

	cr_assert_eq(board_new(16, 16, &board, &fd), 0);
	close(fd);
}

static void end(void)
{
	forget();
}

TestSuite(catalog, .init = begin, .fini = end);

static const struct entry *find(enum view_era era, enum list_kind kind,
                                const char *name)
{
	return snapshot_find(snap, &snapshot_view(snap, era)->lists[kind],
	                     span_str(name));
}

static struct span json_of(const struct entry *e)
{
	return e ? span_of(snap->base + e->json.off, e->json.len)
	         : span_of("", 0);
}

static bool is_list(const struct list *list)
{
	struct buf text = { .max = LAYOUT_MAX };
	struct span items = snapshot_text(snap, list->items);
	struct scan_error why;
	bool good;

	buf_putc(&text, '[');
	buf_add_span(&text, span_first(items, items.len ? items.len - 1 : 0));
	buf_putc(&text, ']');
	good = scan_document(buf_span(&text), NULL, 0, NULL, &why) == SCAN_OK;
	buf_free(&text);
	return good && (items.len == 0 || items.at[items.len - 1] == ',');
}

#define SCHEMA "\"inputSchema\":{\"type\":\"object\"}"

Test(catalog, own_tools_are_always_there)
{
	static const char *const names[] = { "gateway_audit_log",
		                             "gateway_health",
		                             "gateway_list_backends" };

	build(NULL, 0, NULL);
	for (enum view_era v = 0; v < VIEWS; v++) {
		const struct view *view = snapshot_view(snap, v);
		const struct list *tools = &view->lists[LIST_TOOLS];
		const struct entry *e = snapshot_array(snap, tools->entries);

		cr_expect_eq(view->abilities, ABILITY_TOOLS);
		cr_assert_eq(tools->entries.len, OWN_TOOLS);
		cr_expect(is_list(tools));
		for (size_t i = 0; i < OWN_TOOLS; i++) {
			cr_expect(span_is(snapshot_text(snap, e[i].name),
			                  names[i]));
			cr_expect_eq(e[i].flags, ENTRY_OWN | ENTRY_READ_ONLY |
			                                 ENTRY_IDEMPOTENT);
			cr_expect_neq(e[i].metric, 0);
		}
	}
	cr_expect_eq(find(VIEW_LEGACY, LIST_TOOLS, "gateway_health")->backend,
	             OWN_HEALTH);
}

Test(catalog, names_and_uris_carry_the_identifier)
{
	static const struct setup setup[] = {
		{ .name = "a",
		  .flags = BACKEND_NAMESPACE,
		  .lists[VIEW_MODERN] = {
			  "{\"name\": \"t\" ," SCHEMA ",\"x\":[1, 2]},",
			  "{\"name\":\"p\"},",
			  "{\"uri\":\"test://x/y\",\"name\":\"n\"},"
			  "{\"uri\":\"urn:x\"},{\"uri\":\"nothing\"},",
			  "{\"uriTemplate\":\"f://{x}\"},",
		  } },
	};

	build(setup, 1, NULL);
	cr_expect(span_is(json_of(find(VIEW_MODERN, LIST_TOOLS, "a_t")),
	                  "{\"name\": \"a_t\" ," SCHEMA ",\"x\":[1, 2]}"));
	cr_expect(span_is(json_of(find(VIEW_LEGACY, LIST_PROMPTS, "a_p")),
	                  "{\"name\":\"a_p\"}"));
	cr_expect(span_is(
		json_of(find(VIEW_LEGACY, LIST_RESOURCES, "test://a/x/y")),
		"{\"uri\":\"test://a/x/y\",\"name\":\"n\"}"));
	cr_expect(find(VIEW_LEGACY, LIST_RESOURCES, "urn:a/x"));
	cr_expect(find(VIEW_LEGACY, LIST_TEMPLATES, "f://a/{x}"));
	cr_expect_eq(snapshot_view(snap, VIEW_MODERN)
	                     ->lists[LIST_RESOURCES]
	                     .entries.len,
	             2);
	const struct entry *e = find(VIEW_MODERN, LIST_TOOLS, "a_t");
	cr_expect(span_is(snapshot_text(snap, e->upstream), "t"));
}

Test(catalog, first_backend_keeps_a_name)
{
	static const struct setup setup[] = {
		{ .name = "b",
		  .lists[VIEW_MODERN] = { "{\"name\":\"t\"," SCHEMA "},"
		                          "{\"name\":\"gateway_health\"," SCHEMA
		                          "},{\"name\":\"t\"," SCHEMA "}," } },
		{ .name = "a",
		  .lists[VIEW_LEGACY] = { "{\"name\":\"t\"," SCHEMA "},"
		                          "{\"name\":\"u\"," SCHEMA "}," } },
	};

	build(setup, 2, NULL);
	for (enum view_era v = 0; v < VIEWS; v++) {
		cr_expect_eq(find(v, LIST_TOOLS, "t")->backend, 0);
		cr_expect_eq(find(v, LIST_TOOLS, "u")->backend, 1);
		cr_expect(find(v, LIST_TOOLS, "gateway_health")->flags &
		          ENTRY_OWN);
		cr_expect_eq(
			snapshot_view(snap, v)->lists[LIST_TOOLS].entries.len,
			OWN_TOOLS + 2);
	}
	/* Both eras see the same here: one copy. */
	cr_expect_eq(snapshot_view(snap, VIEW_LEGACY)->lists[0].items.off,
	             snapshot_view(snap, VIEW_MODERN)->lists[0].items.off);
}

Test(catalog, eras_are_kept_apart_and_adapted)
{
	static const struct setup setup[] = {
		{ .name = "both",
		  .lists[VIEW_LEGACY] = { "{\"name\":\"old\"," SCHEMA "}," },
		  .lists[VIEW_MODERN] = { "{\"name\":\"new\"," SCHEMA "}," } },
		{ .name = "modern",
		  .lists[VIEW_MODERN] = { "{\"outputSchema\":{\"type\":"
		                          "\"array\"},\"name\":"
		                          "\"m1\"," SCHEMA "},"
		                          "{\"name\":\"m2\"," SCHEMA
		                          ",\"outputSchema\":{\"type\":"
		                          "\"object\"}},"
		                          "{\"name\":\"m3\"," SCHEMA
		                          " , \"outputSchema\":true }," } },
		{ .name = "legacy",
		  .lists[VIEW_LEGACY] = { "{\"name\":\"l1\",\"execution\":{"
		                          "\"x\":1}," SCHEMA "}," } },
	};

	build(setup, 3, NULL);
	cr_expect(find(VIEW_LEGACY, LIST_TOOLS, "old"));
	cr_expect_null(find(VIEW_LEGACY, LIST_TOOLS, "new"));
	cr_expect(find(VIEW_MODERN, LIST_TOOLS, "new"));
	cr_expect_null(find(VIEW_MODERN, LIST_TOOLS, "old"));

	cr_expect(span_is(json_of(find(VIEW_LEGACY, LIST_TOOLS, "m1")),
	                  "{\"name\":\"m1\"," SCHEMA "}"));
	cr_expect(find(VIEW_MODERN, LIST_TOOLS, "m1")->flags & ENTRY_OUTPUT);
	cr_expect_not(find(VIEW_LEGACY, LIST_TOOLS, "m1")->flags &
	              ENTRY_OUTPUT);
	cr_expect(find(VIEW_LEGACY, LIST_TOOLS, "m2")->flags & ENTRY_OUTPUT);
	cr_expect(span_is(json_of(find(VIEW_LEGACY, LIST_TOOLS, "m3")),
	                  "{\"name\":\"m3\"," SCHEMA " }"));

	cr_expect(span_is(json_of(find(VIEW_MODERN, LIST_TOOLS, "l1")),
	                  "{\"name\":\"l1\"," SCHEMA "}"));
	cr_expect(span_is(json_of(find(VIEW_LEGACY, LIST_TOOLS, "l1")),
	                  "{\"name\":\"l1\",\"execution\":{\"x\":1}," SCHEMA
	                  "}"));
	for (enum view_era v = 0; v < VIEWS; v++)
		cr_expect(is_list(&snapshot_view(snap, v)->lists[LIST_TOOLS]));
}

static int owner(enum view_era era, const char *uri)
{
	const struct reference *r = snapshot_reference(
		snap, snapshot_view(snap, era), span_str(uri));

	return r ? (int)r->backend : -1;
}

#define APP(name, uri)                               \
	"{\"name\":\"" name "\",\"_meta\":{\"ui\":{" \
	"\"resourceUri\":\"" uri "\"}}," SCHEMA "},"

Test(catalog, pages_of_apps)
{
	static const struct setup setup[] = {
		{ .name = "a",
		  .flags = BACKEND_NAMESPACE,
		  .lists[VIEW_MODERN] = { APP("t", "ui://p") APP(
			  "u", "x://p") "{\"_meta\":{\"ui/"
		                        "resourceUri\":\"ui:\\/\\/q\","
		                        "\"ui\":7},\"name\":\"v\"," SCHEMA
		                        "}," } },
		{ .name = "b",
		  .lists[VIEW_MODERN] = { APP("b1", "ui://p") APP(
			  "b2", "ui://z") APP("b3", "ui://z") APP("b4", "x://z")
		                                  APP("b5", "ui://") } },
		{ .name = "c",
		  .lists[VIEW_LEGACY] = { APP("c1", "ui://p") APP(
			  "b2", "ui://y") APP("c2", "ui://a") } },
	};

	build(setup, 3, NULL);
	for (enum view_era v = 0; v < VIEWS; v++) {
		cr_expect(span_is(
			json_of(find(v, LIST_TOOLS, "a_t")),
			"{\"name\":\"a_t\",\"_meta\":{\"ui\":{\"resourceUri\":"
			"\"ui://a/p\"}}," SCHEMA "}"));
		cr_expect(span_is(
			json_of(find(v, LIST_TOOLS, "a_v")),
			"{\"_meta\":{\"ui/resourceUri\":\"ui://a/q\",\"ui\":7},"
			"\"name\":\"a_v\"," SCHEMA "}"));
		cr_expect(span_is(
			json_of(find(v, LIST_TOOLS, "a_u")),
			"{\"name\":\"a_u\",\"_meta\":{\"ui\":{\"resourceUri\":"
			"\"x://p\"}}," SCHEMA "}"));
		/* the first has it; a tool that was left out names nothing */
		cr_expect_eq(owner(v, "ui://p"), 1);
		cr_expect_eq(owner(v, "ui://z"), 1);
		cr_expect_eq(owner(v, "ui://a"), 2);
		cr_expect_eq(owner(v, "ui://y"), -1);
		cr_expect_eq(owner(v, "ui://q"), -1);
		cr_expect_eq(owner(v, "x://z"), -1);
		cr_expect_eq(owner(v, "ui://"), -1);
		cr_expect_eq(snapshot_view(snap, v)->references.len, 3);
		cr_expect(is_list(&snapshot_view(snap, v)->lists[LIST_TOOLS]));
	}
}

Test(catalog, what_may_not_be_shown_is_left_out)
{
	static const char *const items[] = {
		"{}",
		"{" SCHEMA "}",
		"{\"name\":\"\"," SCHEMA "}",
		"{\"name\":7," SCHEMA "}",
		"{\"name\":\"x\"}",
		"{\"name\":\"x\",\"inputSchema\":[]}",
		"{\"name\":\"a\\u0000b\"," SCHEMA "}",
		"{\"name\":\"a\\nb\"," SCHEMA "}",
		"{\"name\":\"a\\u200bb\"," SCHEMA "}",
		"{\"name\":\"\u202eb\"," SCHEMA "}",
		"{\"name\":\"a\U000e0041\"," SCHEMA "}",
		"{\"name\":\"x\",\"name\":\"y\"," SCHEMA "}",
		"{\"name\":\"x\",\"Name\":\"y\"," SCHEMA "}",
		"{\"n\\u0061me\":\"y\"," SCHEMA "}",
		"[]",
		"7",
		"{\"name\":\"0123456789012345678901234567890123456789"
		"01234567890123456789012345678901234567890123456789"
		"01234567890123456789012345678901234567890123456789\"," SCHEMA
		"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		char text[1024];
		struct setup setup = { .name = "x" };

		snprintf(text, sizeof(text), "%s,{\"name\":\"good\",%s},",
		         items[i], SCHEMA);
		setup.lists[VIEW_LEGACY][LIST_TOOLS] = text;
		build(&setup, 1, NULL);
		cr_expect_eq(snapshot_view(snap, VIEW_MODERN)
		                     ->lists[LIST_TOOLS]
		                     .entries.len,
		             OWN_TOOLS + 1, "%s", items[i]);
		cr_expect(find(VIEW_LEGACY, LIST_TOOLS, "good"));
	}
}

#define TOOL(properties)                                                       \
	"{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\",\"properties\":" \
	"{" properties "}}},"
#define HEADER(name)      "\"x-mcp-header\":\"" name "\""
#define TEXT_HEADER(name) "{\"type\":\"string\"," HEADER(name) "}"

Test(catalog, header_annotations)
{
	static const struct {
		const char *tool;
		int n; /* mirrors; -1: left out */
	} cases[] = {
		{ TOOL("\"a\":{\"type\":\"string\"}"), 0 },
		{ TOOL("\"a\":" TEXT_HEADER("Region")), 1 },
		{ TOOL("\"a\":" TEXT_HEADER("A") ",\"b\":" TEXT_HEADER("B")),
		  2 },
		{ TOOL("\"a\":" TEXT_HEADER("A") ",\"b\":" TEXT_HEADER("a")),
		  -1 },
		{ TOOL("\"a\":{\"type\":\"integer\"," HEADER("A") "}"), 1 },
		{ TOOL("\"a\":{\"type\":\"boolean\"," HEADER("A") "}"), 1 },
		{ TOOL("\"a\":{\"type\":\"number\"," HEADER("A") "}"), -1 },
		{ TOOL("\"a\":{\"type\":[\"string\"]," HEADER("A") "}"), -1 },
		{ TOOL("\"a\":{" HEADER("A") "}"), -1 },
		{ TOOL("\"a\":" TEXT_HEADER("")), -1 },
		{ TOOL("\"a\":" TEXT_HEADER("A B")), -1 },
		{ TOOL("\"a\":" TEXT_HEADER("A\\u003a")), -1 },
		{ TOOL("\"a\":" TEXT_HEADER("\u00e9")), -1 },
		{ TOOL("\"a\":{\"type\":\"string\",\"x-mcp-header\":7}"), -1 },
		{ TOOL("\"a\":{\"type\":\"string\",\"x-mcp-h\\u0065ader\":"
		       "\"\"}"),
		  -1 },
		{ TOOL("\"o\":{\"type\":\"object\",\"properties\":{"
		       "\"a\":" TEXT_HEADER("A") "}}"),
		  1 },
		{ TOOL("\"o\":{\"type\":\"array\",\"items\":" TEXT_HEADER(
			  "A") "}"),
		  -1 },
		{ TOOL("\"o\":{\"oneOf\":[{\"properties\":{\"a\":" TEXT_HEADER(
			  "A") "}}]}"),
		  -1 },
		{ TOOL("\"o\":{\"$defs\":{\"a\":" TEXT_HEADER("A") "}}"), -1 },
		{ TOOL("\"x-mcp-header\":{\"type\":\"string\"}"), 0 },
		{ TOOL("\"a\":{\"default\":{" HEADER("A") "}}"), 0 },
		{ "{\"name\":\"t\",\"inputSchema\":{\"type\":"
		  "\"string\"," HEADER("A") "}},",
		  -1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct setup setup = {
			.name = "x",
			.lists[VIEW_MODERN] = { cases[i].tool },
		};

		build(&setup, 1, NULL);
		const struct entry *e = find(VIEW_MODERN, LIST_TOOLS, "t");
		int n = e ? (int)e->mirrors.len : -1;
		cr_expect_eq(n, cases[i].n, "%zu: %s: %d", i, cases[i].tool, n);

		/* To older servers an annotation is nothing. */
		struct setup old = {
			.name = "x",
			.lists[VIEW_LEGACY] = { cases[i].tool },
		};
		build(&old, 1, NULL);
		e = find(VIEW_LEGACY, LIST_TOOLS, "t");
		cr_assert(e);
		cr_expect_eq(e->mirrors.len, 0);
	}
}

Test(catalog, path_of_a_mirror)
{
	static const struct setup setup[] = {
		{ .name = "x",
		  .lists[VIEW_MODERN] = { TOOL(
			  "\"o\":{\"properties\":{\"\\u0061b\":{\"properties\":"
			  "{\"c\":{\"type\":\"integer\"," HEADER(
				  "N") "}}}}}") } },
	};

	build(setup, 1, NULL);
	const struct entry *e = find(VIEW_LEGACY, LIST_TOOLS, "t");
	const struct mirror *m = snapshot_array(snap, e->mirrors);

	cr_expect(span_eq(snapshot_text(snap, m->path), SPAN("o\0ab\0c")));
	cr_expect(span_is(snapshot_text(snap, m->field), "N"));
	cr_expect_eq(m->type, MIRROR_INTEGER);
}

Test(catalog, scopes)
{
	static const struct setup setup[] = {
		{ .name = "a",
		  .needs = 3,
		  .flags = BACKEND_NAMESPACE,
		  .lists[VIEW_MODERN] = { "{\"name\":\"del_x\"," SCHEMA "},"
		                          "{\"name\":\"get\"," SCHEMA "},",
		                          "{\"name\":\"p\"}," } },
	};
	const struct entry *e;

	build(setup, 1, "a*l_x*");
	e = find(VIEW_MODERN, LIST_TOOLS, "a_del_x");
	cr_expect(scope_set_has(&e->needs, 2) && scope_set_has(&e->needs, 7));
	e = find(VIEW_MODERN, LIST_TOOLS, "a_get");
	cr_expect(scope_set_has(&e->needs, 2) && !scope_set_has(&e->needs, 7));
	e = find(VIEW_MODERN, LIST_PROMPTS, "a_p");
	cr_expect(scope_set_has(&e->needs, 2) && !scope_set_has(&e->needs, 7));
	e = find(VIEW_MODERN, LIST_TOOLS, "gateway_health");
	cr_expect(scope_set_empty(&e->needs));

	const struct view *view = snapshot_view(snap, VIEW_MODERN);
	cr_expect_not(view->lists[LIST_TOOLS].same_needs);
	cr_expect_not(view->lists[LIST_PROMPTS].same_needs);
	cr_expect(view->lists[LIST_RESOURCES].same_needs);

	build(setup, 1, "gateway_audit_lo*");
	e = find(VIEW_MODERN, LIST_TOOLS, "gateway_audit_log");
	cr_expect(scope_set_has(&e->needs, 7));
}

Test(catalog, ten_thousand_tools)
{
	static struct setup setup[50];
	static char names[50][8];
	struct buf lists[50];

	for (size_t i = 0; i < ARRAY_LEN(setup); i++) {
		snprintf(names[i], sizeof(names[i]), "b%zu", i);
		lists[i] = (struct buf){ .max = 1 << 24 };
		for (int k = 0; k < 200; k++)
			buf_addf(&lists[i],
			         "{\"name\":\"tool_%d\",\"description\":\"%0*d"
			         "\"," SCHEMA "},",
			         k * 7919 % 200, 600, k);
		buf_putc(&lists[i], '\0');
		setup[i] = (struct setup){
			.name = names[i],
			.flags = BACKEND_NAMESPACE,
			.lists[VIEW_LEGACY] = { lists[i].bytes },
		};
	}

	/* Of this process alone; others may have the machine. */
	clock_t began = clock();
	build(setup, ARRAY_LEN(setup), NULL);
	cr_expect_lt((clock() - began) / (CLOCKS_PER_SEC / 1000), 1000);

	const struct list *tools =
		&snapshot_view(snap, VIEW_MODERN)->lists[LIST_TOOLS];
	const struct entry *e = snapshot_array(snap, tools->entries);
	cr_assert_eq(tools->entries.len, 10000 + OWN_TOOLS);
	for (uint32_t i = 1; i < tools->entries.len; i++)
		cr_assert(e[i - 1].order < e[i].order ||
		          span_cmp(snapshot_text(snap, e[i - 1].name),
		                   snapshot_text(snap, e[i].name)) < 0);
	for (uint32_t i = 0; i < tools->entries.len; i++)
		cr_assert_eq(snapshot_find(snap, tools,
		                           snapshot_text(snap, e[i].name)),
		             &e[i]);
	cr_expect(is_list(tools));
	for (size_t i = 0; i < ARRAY_LEN(setup); i++)
		buf_free(&lists[i]);
}

Test(catalog, no_backend_takes_all_the_room)
{
	struct setup setup = { .name = "x" };
	struct buf items = { .max = 1 << 28 };

	/* One item that is too large, then more than a view may hold. */
	buf_addf(&items, "{\"name\":\"huge\",\"x\":\"%0*d\"," SCHEMA "},",
	         1 << 20, 0);
	for (int i = 0; i < 100; i++)
		buf_addf(&items,
		         "{\"name\":\"t%d\",\"x\":\"%0*d\"," SCHEMA "},", i,
		         (1 << 20) - 1024, 0);
	buf_putc(&items, '\0');
	setup.lists[VIEW_LEGACY][LIST_TOOLS] = items.bytes;
	build(&setup, 1, NULL);
	cr_expect_null(find(VIEW_MODERN, LIST_TOOLS, "huge"));
	cr_expect(find(VIEW_MODERN, LIST_TOOLS, "t0"));
	cr_expect_null(find(VIEW_MODERN, LIST_TOOLS, "t99"));
	buf_free(&items);
}
