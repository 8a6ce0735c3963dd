#include "proxy/extension.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/fixture_proxy.h"

#define M    "io.modelcontextprotocol/"
#define ITEM "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}},"

static void expect_kept(const char *from, const char *to)
{
	struct buf out = { .max = EXTENSION_BYTES_MAX };

	extension_keep(span_str(from), &out);
	cr_expect_eq(buf_err(&out), 0);
	cr_expect(span_is(buf_span(&out), to), "%s: %.*s", from,
	          SPAN_ARG(buf_span(&out)));
	buf_free(&out);
}

Test(extension, what_is_kept)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "null", "" },
		{ "[]", "" },
		{ "{}", "" },
		{ "{\"a/b\":{}}", "{\"a/b\":{}}" },
		{ "{ \"a/b\" : { \"x\" :\n[1]\r} , \"c/d\":{}}",
		  "{\"a/b\":{ \"x\" : [1] },\"c/d\":{}}" },
		/* no identifiers, no objects */
		{ "{\"a\":{},\"/a\":{},\"a/\":{},\"\":{},\"a b/c\":{},"
		  "\"\\u0061/b\":{},\"a/\xc3\xa4\":{},\"a/b\":true,"
		  "\"c/d\":null,\"e/f\":[]}",
		  "" },
		{ "{\"a/b\":{\"n\":1},\"a/b\":{\"n\":2}}",
		  "{\"a/b\":{\"n\":1}}" },
		/* nobody's but the backend's */
		{ "{\"" M "auth/dpop\":{},\"" M "auth/new\":{},"
		  "\"" M "oauth-client-credentials\":{},"
		  "\"" M "enterprise-managed-authorization\":{},"
		  "\"" M "ui\":{}}",
		  "{\"" M "ui\":{}}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect_kept(rows[i][0], rows[i][1]);
}

Test(extension, limits)
{
	struct buf in = { .max = 1 << 20 }, out = { .max = 1 << 20 };

	/* one that is too large, and then more than are looked at */
	buf_puts(&in, "{\"big/one\":{\"x\":\"");
	for (int i = 0; i < EXTENSION_BYTES_MAX; i++)
		buf_putc(&in, 'x');
	buf_puts(&in, "\"}");
	for (int i = 1; i < 2 * EXTENSIONS_MAX; i++)
		buf_addf(&in, ",\"n/%d\":{}", i);
	buf_puts(&in, "}");
	extension_keep(buf_span(&in), &out);
	cr_expect(span_starts(buf_span(&out), SPAN("{\"n/1\":{},\"n/2\":{},")));
	cr_expect(span_is(span_from(buf_span(&out), out.len - 11),
	                  ",\"n/31\":{}}"));

	/* and a name that is too long */
	buf_reset(&in);
	buf_reset(&out);
	buf_puts(&in, "{\"n/");
	for (int i = 0; i < EXTENSION_NAME_MAX; i++)
		buf_putc(&in, 'x');
	buf_puts(&in, "\":{}}");
	extension_keep(buf_span(&in), &out);
	cr_expect_eq(out.len, 0);
	buf_free(&in);
	buf_free(&out);
}

Test(extension, what_it_means)
{
	static const struct {
		const char *extensions;
		uint32_t abilities, client;
	} rows[] = {
		{ "", 0, 0 },
		{ "{\"a/b\":{}}", 0, 0 },
		{ "{\"" M "tasks\":{}}", ABILITY_TASKS, CLIENT_TASKS },
		{ "{\"" M "tasks\":true}", 0, 0 },
		{ "{\"" M "skills\":{},\"" M "ui\":{}}",
		  ABILITY_SKILLS | ABILITY_UI, CLIENT_UI },
		{ "{\"" M "ui\":{\"mimeTypes\":[\"x\",\"text/html;profile="
		  "mcp-app\"]}}",
		  ABILITY_UI, CLIENT_UI },
		{ "{\"" M "ui\":{\"mimeTypes\":[\"text/html\"]}}", ABILITY_UI,
		  0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = span_str(rows[i].extensions);

		cr_expect_eq(extension_abilities(s), rows[i].abilities, "%zu",
		             i);
		cr_expect_eq(extension_client(s), rows[i].client, "%zu", i);
	}
	cr_expect_eq(extension_of_uri(SPAN("skill://x")), ABILITY_SKILLS);
	cr_expect_eq(extension_of_uri(SPAN("skills://x")), 0);
	cr_expect_eq(extension_of_uri(SPAN("")), 0);
}

static void expect_offer(enum view_era view,
                         const struct extension_source *sources, uint32_t n,
                         const char *text)
{
	struct buf out = { .max = 65536 };

	cr_assert_eq(extension_offer(sources, n, view, &out), 0);
	cr_expect(span_is(buf_span(&out), text), "%d: %.*s", (int)view,
	          SPAN_ARG(buf_span(&out)));
	buf_free(&out);
}

Test(extension, what_is_offered)
{
	static const char all[] =
		"{\"" M "ui\":{\"n\":1},\"" M "tasks\":{\"n\":2},\"" M
		"skills\":{\"n\":3},\"a/b\":{\"n\":4}}";
	struct extension_source sources[3] = { { .era = VIEW_MODERN } };

	expect_offer(VIEW_MODERN, sources, 0, "");
	expect_offer(VIEW_MODERN, sources, 3, "");
	sources[1].extensions = span_str(all);
	sources[1].era = VIEW_MODERN;
	expect_offer(VIEW_MODERN, sources, 3,
	             "{\"a/b\":{\"n\":4},\"" M "skills\":{\"n\":3},"
	             "\"" M "tasks\":{\"n\":2},\"" M "ui\":{\"n\":1}}");
	expect_offer(VIEW_LEGACY, sources, 3, "{\"" M "ui\":{\"n\":1}}");
	sources[1].era = VIEW_LEGACY;
	expect_offer(VIEW_MODERN, sources, 3, "{\"" M "ui\":{\"n\":1}}");
	sources[1].era = VIEW_MODERN;
	sources[2] = sources[1];
	expect_offer(VIEW_MODERN, sources, 3,
	             "{\"" M "tasks\":{},\"" M "ui\":{}}");
	sources[2].era = VIEW_LEGACY; /* there they do not count */
	expect_offer(VIEW_MODERN, sources, 3,
	             "{\"a/b\":{\"n\":4},\"" M "skills\":{\"n\":3},"
	             "\"" M "tasks\":{\"n\":2},\"" M "ui\":{}}");
}

static struct snapshot *snap;

static void expect_forward(uint32_t backend, const char *declared,
                           uint32_t abilities, const char *text, bool others)
{
	struct buf out = { .max = 65536 };

	cr_expect_eq(extension_forward(snap, backend, span_str(declared),
	                               abilities, true, &out),
	             others, "%s", declared);
	cr_expect(span_is(buf_span(&out), text), "%s: %.*s", declared,
	          SPAN_ARG(buf_span(&out)));
	buf_free(&out);
}

Test(extension, what_goes_on)
{
	static const struct fixture_setup setups[] = {
		{ .name = "new",
		  .eras = ERA_MODERN,
		  .items = { [VIEW_MODERN] = { ITEM } },
		  .extensions = { [VIEW_MODERN] =
		                          "{\"" M "ui\":{},\"a/b\":{},"
		                          "\"c/d\":{},\"" M "skills\":{}}" } },
		{ .name = "two",
		  .eras = ERA_MODERN,
		  .items = { [VIEW_MODERN] = { ITEM } },
		  .extensions = { [VIEW_MODERN] = "{\"c/d\":{}}" } },
		{ .name = "old",
		  .eras = ERA_LEGACY,
		  .items = { [VIEW_LEGACY] = { ITEM } },
		  .extensions = { [VIEW_LEGACY] = "{\"" M "ui\":{},"
		                                  "\"" M "skills\":{}}" } },
	};
	static const char all[] =
		"{\"" M "ui\":{\"x\":1},\"" M "tasks\":{},\"a/b\":{\"y\":2},"
		"\"c/d\":{},\"e/f\":{}}";
	struct settings settings;
	char many[65536];
	size_t n;

	fixture_settings(&settings);
	snap = fixture_snapshot(setups, ARRAY_LEN(setups), &settings, NULL);
	expect_forward(0, all, CLIENT_UI | CLIENT_TASKS,
	               "\"extensions\":{\"" M "ui\":{\"x\":1},"
	               "\"a/b\":{\"y\":2}}",
	               true);
	expect_forward(1, all, CLIENT_UI, "", false);
	expect_forward(0, "", CLIENT_UI,
	               "\"extensions\":{" EXTENSION_UI_CLIENT "}", false);
	expect_forward(1, "", CLIENT_UI, "", false);
	expect_forward(0, "", CLIENT_TASKS, "", false);
	expect_forward(0, "[]", 0, "", false);

	/* no more are looked at than a backend can have */
	n = (size_t)snprintf(many, sizeof(many), "{");
	for (int i = 0; i < EXTENSIONS_MAX; i++)
		n += (size_t)snprintf(many + n, sizeof(many) - n,
		                      "\"n/%d\":{},", i);
	snprintf(many + n, sizeof(many) - n, "\"a/b\":{}}");
	expect_forward(0, many, 0, "", false);

	for (uint32_t i = 0; i < 3; i++)
		cr_expect_eq(extension_session(snap, i, CLIENT_MASK),
		             i == 2 ? CLIENT_MASK & ~CLIENT_TASKS
		                    : CLIENT_MASK & ~EXTENSION_CLIENTS);
	cr_expect_eq(extension_session(snap, 2, CLIENT_ROOTS), CLIENT_ROOTS);
	cr_expect_eq(extension_backend(snap, ABILITY_SKILLS), 0);
	cr_expect_eq(extension_backend(snap, ABILITY_TASKS), 3);
	snapshot_unref(snap);
}
