#include "oci/output.h"

#include <criterion/criterion.h>
#include <math.h>

#include "lib/scan.h"

static struct buf buf;
static struct output o;

static void begin(void)
{
	buf = (struct buf){ .max = 1 << 20 };
	output_init(&o, &buf);
}

static void end(void)
{
	buf_free(&buf);
}

TestSuite(output, .init = begin, .fini = end);

static void expect(const char *json)
{
	struct scan_error why;

	cr_assert_eq(buf_err(&buf), 0);
	cr_assert(span_is(buf_span(&buf), json), "%.*s",
	          SPAN_ARG(buf_span(&buf)));
	cr_assert_eq(scan_document(buf_span(&buf), NULL, 0, NULL, &why),
	             SCAN_OK);
}

Test(output, puts_commas_and_brackets)
{
	output_object(&o, NULL);
	output_text(&o, "name", SPAN("a\"b"));
	output_array(&o, "ports");
	output_integer(&o, NULL, 22);
	output_integer(&o, NULL, -1);
	output_object(&o, NULL);
	output_end(&o);
	output_array(&o, NULL);
	output_array(&o, NULL);
	output_end(&o);
	output_null(&o, NULL);
	output_end(&o);
	output_end(&o);
	output_object(&o, "empty");
	output_end(&o);
	output_flag(&o, "on", true);
	output_flag(&o, "off", false);
	output_end(&o);
	expect("{\"name\":\"a\\\"b\",\"ports\":[22,-1,{},[[],null]],"
	       "\"empty\":{},\"on\":true,\"off\":false}");
}

Test(output, writes_each_kind_of_value)
{
	struct span json = SPAN("{\"a\":[1,{\"b\":\"x\"}]}");

	output_object(&o, NULL);
	output_raw(&o, "raw", SPAN("[1, 2]"));
	output_raw(&o, "none", SPAN(""));
	output_path(&o, "found", json, "a[1].b");
	output_path(&o, "lost", json, "a[2].b");
	output_text_or_null(&o, "t", SPAN("t"));
	output_text_or_null(&o, "e", SPAN(""));
	output_text(&o, "empty", SPAN(""));
	output_string(&o, "s", "s");
	output_string(&o, "n", NULL);
	output_format(&o, "f", "%d \"%s\"", 7, "seven");
	output_time(&o, "time", 0);
	output_end(&o);
	expect("{\"raw\":[1, 2],\"none\":null,\"found\":\"x\",\"lost\":null,"
	       "\"t\":\"t\",\"e\":null,\"empty\":\"\",\"s\":\"s\",\"n\":null,"
	       "\"f\":\"7 \\\"seven\\\"\",\"time\":\"1970-01-01T00:00:00Z\"}");
}

Test(output, cuts_a_formatted_text_that_is_too_long)
{
	output_format(&o, NULL, "%*d", 5000, 1);
	cr_assert_eq(buf.len, OUTPUT_FORMAT_MAX + 2);
}

Test(output, takes_names_of_others)
{
	output_object(&o, NULL);
	output_name(&o, SPAN("a\nb"));
	output_integer(&o, NULL, 1);
	output_name_raw(&o, SPAN("\"c\\u0064\""));
	output_array(&o, NULL);
	output_end(&o);
	output_name(&o, SPAN("x"));
	output_object(&o, NULL);
	output_end(&o);
	output_null(&o, "y");
	output_end(&o);
	expect("{\"a\\nb\":1,\"c\\u0064\":[],\"x\":{},\"y\":null}");
}

/* clang-format off */
static const struct {
	int64_t n;
	unsigned decimals;
	const char *json;
} fixed[] = {
	{ 12345, 2, "123.45" }, { -12345, 2, "-123.45" }, { 5, 3, "0.005" },
	{ -5, 1, "-0.5" },      { 0, 2, "0.00" },         { 7, 0, "7" },
	{ INT64_MIN, 9, "-9223372036.854775808" },
};

static const struct {
	double value;
	unsigned decimals;
	const char *json;
} numbers[] = {
	{ 4.5, 2, "4.5" },        { 4, 2, "4" },          { 0, 3, "0" },
	{ 0.125, 2, "0.13" },     { -0.125, 2, "-0.13" }, { -0.001, 2, "0" },
	{ 123.456, 2, "123.46" }, { 100, 0, "100" },      { 99.999, 2, "100" },
	{ 1e10, 2, "10000000000" }, { 1.5, 0, "2" },      { 0.1 + 0.2, 9, "0.3" },
	{ 1e19, 0, "null" },      { 1e17, 2, "null" },    { NAN, 2, "null" },
	{ INFINITY, 2, "null" },  { -INFINITY, 2, "null" },
};
/* clang-format on */

Test(output, writes_numbers_without_a_locale)
{
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		begin();
		output_fixed(&o, NULL, fixed[i].n, fixed[i].decimals);
		expect(fixed[i].json);
		end();
	}
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		begin();
		output_number(&o, NULL, numbers[i].value, numbers[i].decimals);
		expect(numbers[i].json);
		end();
	}
}

Test(output, nests_as_deep_as_it_says)
{
	for (int i = 0; i < OUTPUT_DEPTH_MAX; i++)
		if (i % 2)
			output_array(&o, "a");
		else
			output_object(&o, NULL);
	for (int i = 0; i < OUTPUT_DEPTH_MAX; i++)
		output_end(&o);
	cr_assert(span_starts(buf_span(&buf), SPAN("{\"a\":[{\"a\":[")));
	cr_assert_eq(buf.bytes[buf.len - 1], '}');
	cr_assert_eq(buf.bytes[buf.len - 2], ']');
}

Test(output, fails_with_its_buffer)
{
	buf.max = 10;
	output_array(&o, NULL);
	for (int i = 0; i < 100; i++)
		output_integer(&o, NULL, i);
	output_end(&o);
	cr_assert_eq(buf_err(&buf), -ENOBUFS);
}
