#include "oci/markdown.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base.h"

static struct buf out;

static void begin(void)
{
	out = (struct buf){ .max = 4 << 20 };
}

static void end(void)
{
	buf_free(&out);
}

TestSuite(markdown, .init = begin, .fini = end);

static void write(const char *spec, const char *structured)
{
	buf_reset(&out);
	markdown_write(&out, span_str(spec), SPAN("Title *x*"),
	               span_str(structured));
	cr_assert_eq(buf_err(&out), 0);
}

static void expect(const char *text)
{
	cr_assert(span_is(buf_span(&out), text), "%.*s",
	          SPAN_ARG(buf_span(&out)));
}

static bool has(const char *text)
{
	return memmem(out.bytes, out.len, text, strlen(text)) != NULL;
}

/* clang-format off */
static const struct {
	const char *text, *shown;
} texts[] = {
	{ "", "" },
	{ "plain-text_1.2:3 (x)", "plain-text_1.2:3 (x)" },
	{ "a|b", "a\\|b" },
	{ "\\`*[]<>!|", "\\\\\\`\\*\\[\\]\\<\\>\\!\\|" },
	{ "a\r\nb\tc\x7f", "a  b c " },
	{ "![x](http://y)", "\\!\\[x\\](http://y)" },
	{ "<img src=x>", "\\<img src=x\\>" },
	{ "\xc3\xa9|", "\xc3\xa9\\|" },
};

/* Values as they stand in a line. */
static const struct {
	const char *json, *shown;
} values[] = {
	{ "null", "-" }, { "\"\"", "-" }, { "[]", "-" }, { "{}", "-" },
	{ "true", "yes" }, { "false", "no" }, { "1.50", "1.50" },
	{ "\"2026-01-02T03:04:05.678Z\"", "2026-01-02T03:04:05.678Z" },
	{ "\"ocid1.instance.oc1.iad.aaaaaaaabbbbbbbbccccccccdddddddd\"",
	  "ocid1.instance.oc1.iad.aaaaaaaabbbbbbbbccccccccdddddddd" },
	{ "\"a\\\"b\\\\c\\nd\\u007c\\u00e9\\ud83d\\ude00\"",
	  "a\"b\\\\c d\\|\xc3\xa9\xf0\x9f\x98\x80" },
	{ "[1, \"b\",null]", "1, b, -" },
	{ "{\"a\":1,\"b\":[2,3]}", "a: 1, b: 2, 3" },
	{ "{\"a\":{\"b\":{\"c\":1}}}", "a: (b: (c: 1))" },
	{ "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":1}}}}}",
	  "a: (b: (c: (d: ...)))" },
	{ "{\"<b>\":1}", "\\<b\\>: 1" },
};
/* clang-format on */

Test(markdown, keeps_text_as_text)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		buf_reset(&out);
		markdown_add_text(&out, span_str(texts[i].text));
		expect(texts[i].shown);
	}
}

Test(markdown, shows_values)
{
	char json[512], line[512];

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		snprintf(json, sizeof(json), "{\"v\":%s}", values[i].json);
		snprintf(line, sizeof(line), "## T\n\n- **V:** %s\n",
		         values[i].shown);
		write("{\"title\":\"T\",\"lines\":[[\"V\",\"v\"]]}", json);
		expect(line);
	}
}

#define SPEC                                                             \
	"{\"title\":\"Things | here\",\"lines\":[[\"Total\",\"total\"]," \
	"[\"Deep\",\"a.b[0]\"],[\"None\",\"no.where\"]],\"table\":{"     \
	"\"items\":\"things\",\"columns\":[[\"Name\",\"name\"],"         \
	"[\"CPU\",\"shape.cpu\"]],\"empty\":\"No things.\"},"            \
	"\"tables\":[{\"title\":\"Others\",\"items\":\"others\","        \
	"\"columns\":[[\"Value\",\"\"]]},{\"items\":\"absent\"}]}"

Test(markdown, follows_the_description)
{
	write(SPEC, "{\"total\":2,\"a\":{\"b\":[\"x\"]},\"things\":["
	            "{\"name\":\"n|1\",\"shape\":{\"cpu\":4}},{\"name\":null}],"
	            "\"others\":[\"p\",7]}");
	expect("## Things \\| here\n\n- **Total:** 2\n- **Deep:** x\n"
	       "- **None:** -\n\n| Name | CPU |\n| --- | --- |\n"
	       "| n\\|1 | 4 |\n| - | - |\n\n### Others\n\n| Value |\n"
	       "| --- |\n| p |\n| 7 |\n");
}

Test(markdown, shows_the_ocids_of_rows)
{
	write(SPEC, "{\"things\":[{\"id\":\"ocid1.x\",\"name\":\"n\"}]}");
	cr_assert(has("| Name | CPU | OCID |\n"));
	cr_assert(has("| n | - | ocid1.x |\n"));
	write(SPEC, "{\"things\":[{\"id\":\"7\",\"name\":\"n\"}]}");
	cr_assert(has("| Name | CPU |\n"));
	write("{\"table\":{\"items\":\"t\",\"columns\":[[\"Id\",\"id\"]]}}",
	      "{\"t\":[{\"id\":\"ocid1.x\"}]}");
	cr_assert(has("| Id |\n"));
}

Test(markdown, writes_labels)
{
	write("", "{\"size_in_gbs\":1,\"vpus_per_gb\":2,\"isOn\":3,\"ids\":4,"
	          "\"RUNNING\":5,\"_\":6,\"\":7,\"a__b\":8,\"bus\":9}");
	expect("## Title \\*x\\*\n\n- **Size in GBs:** 1\n"
	       "- **VPUs per GB:** 2\n- **IsOn:** 3\n- **IDs:** 4\n"
	       "- **RUNNING:** 5\n- ** :** 6\n- **:** 7\n- **A  b:** 8\n"
	       "- **Bus:** 9\n");
}

Test(markdown, says_when_a_table_is_empty)
{
	write(SPEC, "{\"things\":[],\"others\":[]}");
	expect("## Things \\| here\n\n- **Total:** -\n- **Deep:** -\n"
	       "- **None:** -\n\nNo things.\n\n### Others\n\nNone.\n");
}

Test(markdown, takes_part_of_a_description)
{
	write("{}", "{\"a\":1}");
	expect("## Title \\*x\\*\n\n");
	write("{\"lines\":[1,[],[\"x\"],[\"x\",2],\"y\"],\"table\":{},"
	      "\"tables\":7}",
	      "{\"a\":1}");
	expect("## Title \\*x\\*\n\n");
	write("{\"table\":{\"items\":\"a\",\"columns\":3}}", "{\"a\":[1]}");
	expect("## Title \\*x\\*\n\nNone.\n");
}

Test(markdown, shows_everything_without_a_description)
{
	write("", "{\"vcn_id\":\"v\",\"display_name\":\"n\",\"states\":{"
	          "\"RUNNING\":2},\"rules\":[{\"id\":1,\"to\":{\"port\":22}},"
	          "{\"id\":2,\"extra\":true}],\"empty\":{}}");
	expect("## Title \\*x\\*\n\n- **VCN ID:** v\n- **Display name:** n\n"
	       "- **States:**\n  - **RUNNING:** 2\n- **Empty:** -\n\n"
	       "### Rules\n\n| ID | To | Extra |\n| --- | --- | --- |\n"
	       "| 1 | port: 22 | - |\n| 2 | - | yes |\n");
}

Test(markdown, lists_sentences)
{
	write("", "{\"short\":[\"a\",\"b\"],\"advice\":[\"Move the database "
	          "to another subnet, which is private.\",\"Rotate the keys of "
	          "users that are older than 90 days.\"]}");
	expect("## Title \\*x\\*\n\n- **Short:** a, b\n- **Advice:**\n"
	       "  - Move the database to another subnet, which is private.\n"
	       "  - Rotate the keys of users that are older than 90 days.\n");
}

Test(markdown, goes_only_so_deep)
{
	struct buf json = { .max = 1 << 20 };

	for (int i = 0; i < 200; i++)
		buf_puts(&json, "{\"a\":");
	buf_puts(&json, "1");
	for (int i = 0; i < 200; i++)
		buf_puts(&json, "}");
	buf_putc(&json, '\0');
	write("", json.bytes);
	cr_assert(has("            - **A:** a: (a: (a: (a: ...))"));
	cr_assert_lt(out.len, 400);
	buf_free(&json);
}

/* {"rows":[{"a":i,"b":i,...},...]} with n rows of n_columns */
static struct buf rows(size_t n, size_t n_columns, size_t bytes)
{
	struct buf json = { .max = 64 << 20 };

	buf_puts(&json, "{\"rows\":[");
	for (size_t i = 0; i < n; i++) {
		buf_puts(&json, i ? ",{" : "{");
		for (size_t k = 0; k < n_columns; k++)
			buf_addf(&json, "%s\"c%zu\":\"%0*zu\"", k ? "," : "", k,
			         (int)bytes, i);
		buf_putc(&json, '}');
	}
	buf_puts(&json, "]}");
	buf_putc(&json, '\0');
	return json;
}

Test(markdown, cuts_tables)
{
	struct buf json = rows(57, 12, 1);

	write("", json.bytes);
	cr_assert(has("| C0 | C1 | C2 | C3 | C4 | C5 | C6 | C7 |\n"));
	cr_assert(has("| 49 | 49 |"));
	cr_assert_not(has("| 50 |"));
	cr_assert(has("\n\n... and 7 more\n"));
	write("{\"table\":{\"items\":\"rows\",\"columns\":[[\"A\",\"c11\"]]}}",
	      json.bytes);
	cr_assert(has("| 49 |\n\n... and 7 more\n"));
	buf_free(&json);
}

Test(markdown, cuts_long_values)
{
	struct buf json = rows(1, 1, 5000);

	write("", json.bytes);
	cr_assert(has("000... |\n"));
	cr_assert_lt(out.len, MARKDOWN_CELL_MAX + 200);
	buf_free(&json);
}

Test(markdown, cuts_no_character_in_two)
{
	struct buf json = { .max = 1 << 20 };

	for (size_t shift = 0; shift < 4; shift++) {
		buf_reset(&json);
		buf_puts(&json, "{\"v\":\"");
		for (size_t i = 0; i < shift; i++)
			buf_putc(&json, 'x');
		for (size_t i = 0; i < MARKDOWN_CELL_MAX; i++)
			buf_puts(&json, "\xf0\x9f\x98\x80");
		buf_puts(&json, "\"}");
		buf_putc(&json, '\0');
		write("", json.bytes);
		cr_assert(has("\xf0\x9f\x98\x80...\n"));
	}
	buf_free(&json);
}

Test(markdown, stops_when_it_is_too_long)
{
	struct buf json = rows(50, 8, 2000);

	write("", json.bytes);
	cr_assert_lt(out.len, MARKDOWN_BYTES_MAX + 32768);
	cr_assert(has("\n\n... and "));
	cr_assert(has("\nThe rest of this text is left out;"));
	buf_free(&json);
}

Test(markdown, says_what_follows)
{
	write("{}", "{\"has_more\":true,\"next_offset\":20,\"truncated\":true,"
	            "\"warnings\":[\"a: *no*\"]}");
	expect("## Title \\*x\\*\n\nThere are more: call again with offset 20."
	       "\n\nNot all items were read or fit into one result: filter to "
	       "see the others.\n\nNote: a: \\*no\\*\n");
	write("{}", "{\"has_more\":false,\"next_offset\":null}");
	expect("## Title \\*x\\*\n\n");
}

Test(markdown, may_be_cut_at_every_byte)
{
	static const char json[] =
		"{\"things\":[{\"name\":\"a\\u00e9\\\"b\",\"shape\":{\"cpu\":1}"
		"}"
		",[1,{}]],\"a\":{\"b\":[null,true]},\"warnings\":[\"x\"]}";

	for (size_t n = 0; n < sizeof(json); n++) {
		char *copy = malloc(n ? n : 1);

		memcpy(copy, json, n);
		buf_reset(&out);
		markdown_write(&out, SPAN(SPEC), SPAN("T"), span_of(copy, n));
		markdown_write(&out, SPAN(""), SPAN("T"), span_of(copy, n));
		markdown_write(&out, span_of(copy, n), SPAN("T"),
		               SPAN("{\"a\":[{\"b\":1}]}"));
		cr_assert_eq(buf_err(&out), 0);
		free(copy);
	}
}
