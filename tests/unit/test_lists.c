#include "proxy/lists.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/crypto.h"
#include "lib/value.h"
#include "tests/unit/fixture_proxy.h"

#define TOOLS 1250 /* of each of two backends */
#define NAMES 4096 /* that a walk may see */
#define RULES 6
#define OWN   3

static struct settings settings;
static struct snapshot *snap;
static struct fixture_client client;
static struct buf scratch;
static char *names[NAMES];
static size_t n_names;

/* A rule that matches names with this beginning and this end. */
static struct rule {
	char prefix[16], suffix[16];
	uint32_t scope;
} rules[RULES];
static size_t n_rules;

static unsigned seed = 1;

static unsigned dice(unsigned sides)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % sides;
}

static void forget_names(void)
{
	while (n_names)
		free(names[--n_names]);
}

static void begin(void)
{
	fixture_settings(&settings);
	scratch.max = 64 << 20;
	n_rules = 0;
}

static void end(void)
{
	forget_names();
	buf_free(&scratch);
	fixture_client_free(&client);
	snapshot_unref(snap);
	snap = NULL;
}

TestSuite(lists, .init = begin, .fini = end);

static void add_rules(struct builder *b)
{
	struct scope_rule rows[RULES] = { 0 };

	for (size_t i = 0; i < n_rules; i++) {
		char pattern[512];

		snprintf(pattern, sizeof(pattern), "%s*%s", rules[i].prefix,
		         rules[i].suffix);
		rows[i].pattern = builder_text(b, span_str(pattern));
		scope_set_add(&rows[i].needs, rules[i].scope);
	}
	struct ref r = builder_array(b, rows, n_rules, sizeof(rows[0]));
	builder_header(b)->scope_rules = r;
}

/* Tools t0000 to t1249, those of which keep says so. */
static char *tools(bool (*keep)(unsigned i))
{
	struct buf out = { .max = 1 << 24 };

	for (unsigned i = 0; i < TOOLS; i++)
		if (!keep || keep(i))
			buf_addf(&out,
			         "{\"name\":\"t%04u\",\"inputSchema\":"
			         "{\"type\":\"object\"}},",
			         i);
	buf_putc(&out, '\0');
	return out.bytes;
}

static void build(bool (*keep)(unsigned i), uint32_t needs_of_a)
{
	char *items = tools(keep);
	struct fixture_setup setups[] = {
		{ .name = "a",
		  .flags = BACKEND_NAMESPACE,
		  .eras = ERA_MODERN,
		  .items = { [VIEW_MODERN] = { items, "{\"name\":\"p\"}," } },
		  .needs = needs_of_a },
		{ .name = "c",
		  .flags = BACKEND_NAMESPACE,
		  .eras = ERA_LEGACY,
		  .items = { [VIEW_LEGACY] = { items } } },
	};

	snapshot_unref(snap);
	snap = fixture_snapshot(setups, ARRAY_LEN(setups), &settings,
	                        add_rules);
	free(items);
}

/* One page; false when the cursor (raw, NULL: none) was refused. */
static bool page(enum view_era era, const char *method, const char *cursor,
                 const struct scope_set *scopes, struct problem *why)
{
	struct h1_request request;
	struct message msg;
	char params[16384] = "";

	if (cursor)
		snprintf(params, sizeof(params), "\"cursor\":%s", cursor);
	fixture_ask(era, "7", method, "", params, "", &request, &msg);
	fixture_client_free(&client);
	fixture_client_init(&client, true, true);
	if (!lists_reply(snap, &msg, scopes, &scratch, &client.reply, why)) {
		cr_assert_eq(client.ends, 0u);
		return false;
	}
	cr_assert_null(fixture_client_fault(&client, "7"), "%s",
	               fixture_client_fault(&client, "7"));
	cr_assert_eq(client.status, 200);
	cr_assert_eq(client.type, REPLY_JSON);
	return true;
}

/* Names of the page, and the cursor of the next; NULL: there is none. */
static size_t read_page(const char *member, const char *key, char **cursor)
{
	struct span result = value_get(buf_span(&client.out), SPAN("result"));
	struct span next = value_get(result, SPAN("nextCursor")), item;
	struct value_iter it;
	size_t n = 0;

	value_iter_init(&it, value_get(result, span_str(member)));
	while (value_array_next(&it, &item)) {
		struct span name = value_get(item, span_str(key));

		cr_assert_lt(n_names, (size_t)NAMES);
		names[n_names++] = strndup(name.at + 1, name.len - 2);
		n++;
	}
	*cursor = next.at ? strndup(next.at, next.len) : NULL;
	return n;
}

/* All pages; their number. */
static size_t walk(enum view_era era, const struct scope_set *scopes)
{
	char *cursor = NULL, *next;
	size_t pages = 0;

	forget_names();
	do {
		struct problem why;

		cr_assert(page(era, "tools/list", cursor, scopes, &why), "%s",
		          why.text);
		size_t n = read_page("tools", "name", &next);
		cr_assert_leq(n, (size_t)settings.list_page_size);
		if (next)
			cr_assert_eq(n, (size_t)settings.list_page_size);
		free(cursor);
		cursor = next;
		cr_assert_lt(++pages, (size_t)NAMES);
	} while (cursor);
	return pages;
}

static void expect_sorted(size_t from)
{
	for (size_t i = from + 1; i < n_names; i++)
		cr_assert_lt(strcmp(names[i - 1], names[i]), 0, "%s %s",
		             names[i - 1], names[i]);
}

Test(lists, pages_are_complete_and_in_order)
{
	static const int64_t sizes[] = { 1, 7, 100, 1000, 2503, 10000 };

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		settings.list_page_size = sizes[i];
		build(NULL, 0);
		for (enum view_era era = 0; era < VIEWS; era++) {
			size_t all = OWN + 2 * TOOLS;
			size_t pages = walk(era, NULL);

			cr_expect_eq(n_names, all);
			cr_expect_eq(pages, (all + (size_t)sizes[i] - 1) /
			                            (size_t)sizes[i]);
			for (size_t k = 0; k < OWN; k++)
				cr_expect_eq(strncmp(names[k], "gateway_", 8),
				             0);
			expect_sorted(OWN);
		}
	}
}

Test(lists, members_of_each_era)
{
	struct problem why;
	struct span result;

	settings.list_page_size = 2;
	settings.list_ttl = 1234;
	build(NULL, 0);
	cr_assert(page(VIEW_MODERN, "tools/list", NULL, NULL, &why));
	result = value_get(buf_span(&client.out), SPAN("result"));
	cr_expect(
		span_is(value_get(result, SPAN("resultType")), "\"complete\""));
	cr_expect(span_is(value_get(result, SPAN("ttlMs")), "1234"));
	cr_expect(
		span_is(value_get(result, SPAN("cacheScope")), "\"private\""));
	cr_expect(span_is(value_get(result, SPAN("_meta")),
	                  "{\"io.modelcontextprotocol/serverInfo\":"
	                  "{\"name\":\"gateway\",\"version\":\"1.2.3\"}}"));
	cr_assert(page(VIEW_LEGACY, "tools/list", NULL, NULL, &why));
	result = value_get(buf_span(&client.out), SPAN("result"));
	cr_expect_not(value_get(result, SPAN("resultType")).at);
	cr_expect_not(value_get(result, SPAN("ttlMs")).at);
	cr_expect_not(value_get(result, SPAN("_meta")).at);
	cr_expect(value_get(result, SPAN("nextCursor")).at);
}

Test(lists, empty_lists)
{
	struct problem why;

	build(NULL, 0);
	cr_assert(page(VIEW_LEGACY, "resources/list", NULL, NULL, &why));
	cr_expect(span_is(buf_span(&client.out),
	                  "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":"
	                  "{\"resources\":[]}}"));
	cr_assert(page(VIEW_LEGACY, "resources/templates/list", NULL, NULL,
	               &why));
	cr_expect(span_is(buf_span(&client.out),
	                  "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":"
	                  "{\"resourceTemplates\":[]}}"));
	cr_assert(page(VIEW_MODERN, "prompts/list", NULL, NULL, &why));
	cr_expect(memmem(client.out.bytes, client.out.len, "a_p", 3));
}

/* ---- who may see what ---- */

static bool naive_match(const struct rule *r, const char *name)
{
	size_t n = strlen(name), p = strlen(r->prefix), s = strlen(r->suffix);

	return n >= p + s && strncmp(name, r->prefix, p) == 0 &&
	       strcmp(name + n - s, r->suffix) == 0;
}

static bool naive_sees(const char *name, uint32_t needs_of_a,
                       const struct scope_set *scopes)
{
	if (strncmp(name, "a_", 2) == 0 && needs_of_a &&
	    !scope_set_has(scopes, needs_of_a - 1))
		return false;
	for (size_t i = 0; i < n_rules; i++)
		if (naive_match(&rules[i], name) &&
		    !scope_set_has(scopes, rules[i].scope))
			return false;
	return true;
}

static void random_rules(void)
{
	static const char *const prefixes[] = { "",     "a_",    "c_",
		                                "a_t0", "c_t11", "gateway_",
		                                "x" };
	static const char *const suffixes[] = { "", "7", "00", "49", "h" };

	n_rules = dice(RULES + 1);
	for (size_t i = 0; i < n_rules; i++) {
		strcpy(rules[i].prefix, prefixes[dice(ARRAY_LEN(prefixes))]);
		strcpy(rules[i].suffix, suffixes[dice(ARRAY_LEN(suffixes))]);
		rules[i].scope = dice(4) * 50;
	}
}

Test(lists, everybody_sees_exactly_what_the_rules_allow)
{
	for (int round = 0; round < 40; round++) {
		uint32_t needs_of_a = dice(3) ? 0 : 1 + 50 * dice(4);
		struct scope_set scopes = { { 0 } };
		char *all[NAMES];
		size_t n_all;

		random_rules();
		settings.list_page_size = 1 + dice(900);
		build(NULL, needs_of_a);
		for (uint32_t i = 0; i < 4; i++)
			if (dice(2))
				scope_set_add(&scopes, 50 * i);
		walk(VIEW_MODERN, NULL);
		n_all = n_names;
		memcpy(all, names, sizeof(names[0]) * n_all);
		n_names = 0;
		walk(VIEW_MODERN, &scopes);
		size_t seen = 0;
		for (size_t i = 0; i < n_all; i++) {
			if (naive_sees(all[i], needs_of_a, &scopes)) {
				cr_assert_lt(seen, n_names, "%s", all[i]);
				cr_assert_str_eq(names[seen++], all[i]);
			}
			free(all[i]);
		}
		cr_expect_eq(seen, n_names, "round %d", round);
	}
}

/* A walk by scopes costs a page for nothing only when nothing is seen. */
Test(lists, nothing_visible_is_one_empty_page)
{
	struct scope_set none = { { 0 } };

	strcpy(rules[0].prefix, "");
	strcpy(rules[0].suffix, "");
	rules[0].scope = 3;
	n_rules = 1;
	settings.list_page_size = 10;
	build(NULL, 0);
	cr_expect_eq(walk(VIEW_MODERN, &none), 1u);
	cr_expect_eq(n_names, 0u);
}

/* ---- a catalogue that changes between two pages ---- */

static bool even(unsigned i)
{
	return i % 2 == 0;
}

static bool most(unsigned i)
{
	return i % 5 != 0;
}

static bool nothing(unsigned i)
{
	(void)i;
	return false;
}

Test(lists, pages_stay_right_when_the_catalogue_changes)
{
	static bool (*const catalogs[])(unsigned) = { even, most, nothing,
		                                      NULL };

	for (size_t i = 0; i < ARRAY_LEN(catalogs); i++)
		for (size_t k = 0; k < ARRAY_LEN(catalogs); k++) {
			struct problem why;
			char *cursor = NULL, *next, *last;
			size_t first, n_all, from = 0;
			char *all[NAMES];

			settings.list_page_size = 1 + dice(500);
			build(catalogs[i], 0);
			forget_names();
			cr_assert(page(VIEW_MODERN, "tools/list", NULL, NULL,
			               &why));
			first = read_page("tools", "name", &cursor);
			if (!cursor)
				continue;
			last = strdup(names[first - 1]);
			settings.list_page_size = 10000;
			build(catalogs[k], 0);
			forget_names();
			walk(VIEW_MODERN, NULL);
			n_all = n_names;
			memcpy(all, names, sizeof(names[0]) * n_all);
			n_names = 0;
			cr_assert(page(VIEW_MODERN, "tools/list", cursor, NULL,
			               &why));
			read_page("tools", "name", &next);
			cr_expect_null(next);
			/* Everything behind the last name, nothing else. */
			if (strncmp(last, "gateway_", 8) != 0)
				from = OWN;
			while (from < n_all && strcmp(all[from], last) <= 0)
				from++;
			cr_assert_eq(n_names, n_all - from, "%s", last);
			for (size_t n = 0; n < n_names; n++)
				cr_assert_str_eq(names[n], all[from + n]);
			for (size_t n = 0; n < n_all; n++)
				free(all[n]);
			free(cursor);
			free(last);
		}
}

/* ---- cursors ---- */

Test(lists, cursors_that_are_none_of_ours)
{
	static const char *const cursors[] = {
		"\"\"",           "1",        "null",      "{}",
		"[\"dA\"]",       "true",     "\"t\"",     "\"dA\"",
		"\"====\"",       "\"d DE\"", "\"dDI\"",   "\"cDE\"",
		"\"bTFh\"",       "\"!!!!\"", "\"dDFh=\"", "\"ZDFh\"",
		"\"\\u0064DFh\"",
	};
	struct problem why;
	char longest[12000];

	build(NULL, 0);
	for (size_t i = 0; i < ARRAY_LEN(cursors); i++) {
		cr_assert_not(
			page(VIEW_LEGACY, "tools/list", cursors[i], NULL, &why),
			"%s", cursors[i]);
		cr_expect_eq(why.code, RPC_INVALID_PARAMS);
		cr_expect_eq(why.status, 200);
	}
	memset(longest, 'A', sizeof(longest));
	memcpy(longest, "\"dDE", 4);
	memcpy(longest + sizeof(longest) - 2, "\"", 2);
	if (!page(VIEW_LEGACY, "tools/list", longest, NULL, &why))
		cr_expect_eq(why.code, RPC_INVALID_PARAMS);
	/* One of ours, that names nothing that is there. */
	cr_expect(page(VIEW_LEGACY, "tools/list", "\"dDF6eno\"", NULL, &why));
}

Test(lists, a_cursor_belongs_to_its_list)
{
	static const char *const methods[] = { "tools/list", "prompts/list",
		                               "resources/list",
		                               "resources/templates/list" };
	struct problem why;
	char *cursor;

	settings.list_page_size = 1;
	build(NULL, 0);
	cr_assert(page(VIEW_MODERN, methods[0], NULL, NULL, &why));
	read_page("tools", "name", &cursor);
	cr_assert_not_null(cursor);
	cr_expect(page(VIEW_MODERN, methods[0], cursor, NULL, &why));
	for (size_t i = 1; i < ARRAY_LEN(methods); i++)
		cr_expect_not(page(VIEW_MODERN, methods[i], cursor, NULL, &why),
		              "%s", methods[i]);
	free(cursor);
}

/* The cursor of an item with the longest URI leads behind it. */
Test(lists, cursors_of_long_uris)
{
	struct buf items = { .max = 1 << 20 };
	char *cursor = NULL, *next;
	size_t pages = 0;

	for (int i = 0; i < 3; i++) {
		buf_puts(&items, "{\"name\":\"n\",\"uri\":\"x://");
		for (int k = 0; k < 8180; k++)
			buf_putc(&items, 'u');
		buf_addf(&items, "%d\"},", i);
	}
	buf_putc(&items, '\0');
	struct fixture_setup setup = {
		.name = "a",
		.flags = BACKEND_NAMESPACE,
		.eras = ERA_MODERN,
		.items = { [VIEW_MODERN] = { [LIST_RESOURCES] = items.bytes } },
	};
	settings.list_page_size = 1;
	snap = fixture_snapshot(&setup, 1, &settings, NULL);
	do {
		struct problem why;

		cr_assert(
			page(VIEW_MODERN, "resources/list", cursor, NULL, &why),
			"%s", why.text);
		cr_assert_eq(read_page("resources", "uri", &next), 1u);
		free(cursor);
		cursor = next;
		cr_assert_leq(++pages, 3u);
	} while (cursor);
	cr_expect_eq(pages, 3u);
	expect_sorted(0);
	buf_free(&items);
}

Test(lists, a_page_that_does_not_fit_is_an_error)
{
	struct problem why;
	struct scope_set all;

	memset(&all, 0xff, sizeof(all));
	strcpy(rules[0].prefix, "a");
	strcpy(rules[0].suffix, "");
	n_rules = 1;
	build(NULL, 0);
	scratch.max = 200;
	cr_assert_not(page(VIEW_MODERN, "tools/list", NULL, &all, &why));
	cr_expect_eq(why.code, RPC_INTERNAL);
	scratch.max = 64 << 20;
	cr_assert(page(VIEW_MODERN, "tools/list", NULL, &all, &why));
}
