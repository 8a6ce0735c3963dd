#include "proxy/manifest.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/scan.h"
#include "lib/value.h"
#include "oci/path.h"
#include "tests/unit/fixture_proxy.h"

/* Name in the list, and the recipe: an alias has that of another. */
static const struct {
	const char *name, *recipe;
} recipes[] = {
	{ "alias", "{\"name\":\"first\",\"pack\":\"one\",\"tier\":1}" },
	{ "first", "{\"name\":\"first\",\"pack\":\"one\",\"tier\":1}" },
	{ "oci_skill_look",
	  "{\"name\":\"oci_skill_look\",\"pack\":\"skills\",\"tier\":3}" },
	{ "second", "{\"name\":\"second\",\"pack\":\"one\",\"tier\":2}" },
	{ "third", "{\"name\":\"third\",\"pack\":\"two\"}" },
	{ "without", "{\"name\":\"without\"}" },
};

static size_t wanted;

static void add_recipes(struct builder *b)
{
	struct recipe_row rows[ARRAY_LEN(recipes)] = { 0 };
	struct ref all;

	for (size_t i = 0; i < wanted; i++) {
		rows[i].name = builder_text(b, span_str(recipes[i].name));
		rows[i].recipe = builder_text(b, span_str(recipes[i].recipe));
	}
	all = builder_array(b, rows, wanted, sizeof(*rows));
	((struct backend *)builder_at(b, builder_header(b)->backends))
		->recipes = all;
}

/* The document of so many of them; it is good JSON. */
static void write(size_t n, struct buf *out)
{
	static const struct fixture_setup setup = { .name = "oci",
		                                    .flags = BACKEND_OCI };
	struct settings settings;
	struct snapshot *snap;
	struct scan_error why;

	wanted = n;
	fixture_settings(&settings);
	snap = fixture_snapshot(&setup, 1, &settings, add_recipes);
	manifest_write(snap, snapshot_backend(snap, 0), out);
	cr_assert_eq(buf_err(out), 0);
	cr_assert_eq(scan_document(buf_span(out), NULL, 0, NULL, &why), SCAN_OK,
	             "%.*s", SPAN_ARG(buf_span(out)));
	snapshot_unref(snap);
}

Test(manifest, what_is_in_it)
{
	static const struct {
		const char *path, *raw;
	} rows[] = {
		{ "version", "\"1.2.3\"" },
		{ "domains[0].name", "\"one\"" },
		{ "domains[0].tool_count", "2" },
		{ "domains[0].skill_count", "0" },
		{ "domains[1].name", "\"skills\"" },
		{ "domains[1].tool_count", "0" },
		{ "domains[1].skill_count", "1" },
		{ "domains[2].name", "\"two\"" },
		{ "capabilities.skills.available", "[\"oci_skill_look\"]" },
		{ "capabilities.tools.tier1_instant", "[\"first\"]" },
		{ "capabilities.tools.tier2_api", "[\"second\"]" },
		{ "capabilities.tools.tier3_heavy", "[]" },
		{ "capabilities.tools.tier4_admin", "[]" },
	};
	struct buf out = { .max = 1 << 20 };

	write(ARRAY_LEN(recipes), &out);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span found = path_get(buf_span(&out), rows[i].path);

		cr_expect(span_is(found, rows[i].raw), "%s is %.*s",
		          rows[i].path, SPAN_ARG(found));
	}
	buf_free(&out);
}

/* Whatever there is, it is one JSON document. */
Test(manifest, of_any_number_of_tools)
{
	for (size_t n = 0; n <= ARRAY_LEN(recipes); n++) {
		struct buf out = { .max = 1 << 20 };

		write(n, &out);
		cr_expect_eq(value_type(buf_span(&out)), VALUE_OBJECT);
		buf_free(&out);
	}
}

/* The item of a list has a comma behind it. */
Test(manifest, its_item)
{
	struct span item = manifest_item(), one;
	struct scan_error why;

	cr_assert_gt(item.len, 1);
	cr_expect_eq(item.at[item.len - 1], ',');
	one = span_first(item, item.len - 1);
	cr_expect_eq(scan_document(one, NULL, 0, NULL, &why), SCAN_OK);
	cr_expect(span_is(path_get(one, "uri"), "\"" MANIFEST_URI "\""));
	cr_expect_gt(path_get(one, "name").len, 2);
}
