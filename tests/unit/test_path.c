#include "oci/path.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define DOCUMENT ((struct span){ document, sizeof(document) - 1 })

static const char document[] =
	"{ \"id\": \"ocid1.instance.oc1..a\", \"shapeConfig\": {\"ocpus\": 2.0,"
	"\"memoryInGBs\":1.6e1, \"gpus\":null },\n\"items\":[{\"id\":1},"
	"{\"id\":2, \"tags\":[\"a\",\"b\"]}, [[10, 11], [12]]],"
	"\"odd na\\u006de\":true, \"\\u0073tate\":\"RUNNING\","
	"\"collection\":{\"items\":[1,2,3]}, \"empty\":[], \"off\":false,"
	"\"id\":\"second\",\"big\":12345678901234567890, \"e\":\"a\\\"b\"}";

/* clang-format off */
static const struct {
	const char *path;
	const char *raw; /* NULL: nothing */
} finds[] = {
	{ "id", "\"ocid1.instance.oc1..a\"" },
	{ "shapeConfig.ocpus", "2.0" },
	{ "shapeConfig.gpus", "null" },
	{ "shapeConfig.gpus.x", NULL },
	{ "items[0].id", "1" },
	{ "items[1].tags", "[\"a\",\"b\"]" },
	{ "items[1].tags[1]", "\"b\"" },
	{ "items[-2].id", "2" },
	{ "items[-3].id", "1" },
	{ "items[-4].id", NULL },
	{ "items[3]", NULL },
	{ "items[2][0][1]", "11" },
	{ "items[-1][-1][-1]", "12" },
	{ "odd name", "true" },
	{ "state", "\"RUNNING\"" },
	{ "empty", "[]" },
	{ "empty[0]", NULL },
	{ "empty[-1]", NULL },
	{ "id.x", NULL },
	{ "id[0]", NULL },
	{ "[0]", NULL },
	{ "none", NULL },
	{ "items.id", NULL },
	{ "ID", NULL },
};

static const struct {
	const char *path;
	bool valid;
} paths[] = {
	{ "", true },          { "a", true },        { "a.b.c", true },
	{ "a[0]", true },      { "[0]", true },      { "[0][1].a", true },
	{ "a[-1].b", true },   { "a b.c-d", true },  { "a[1000000]", true },
	{ ".", false },        { ".a", false },      { "a.", false },
	{ "a..b", false },     { "a[", false },      { "a[]", false },
	{ "a[x]", false },     { "a[0", false },     { "a]0[", false },
	{ "a[0]b", false },    { "a.[0]", false },   { "a[-]", false },
	{ "a[-0]", false },    { "a[+1]", false },   { "a[1000001]", false },
	{ "a[ 0]", false },    { "a]", false },      { "a[0].", false },
};

static const struct {
	const char *raw;
	bool good;
	double value;
} numbers[] = {
	{ "0", true, 0 },              { "-0", true, 0 },
	{ "1", true, 1 },              { "-1.5", true, -1.5 },
	{ "1.6e1", true, 16 },         { "2E-2", true, 0.02 },
	{ "1e+3", true, 1000 },        { "0.1", true, 0.1 },
	{ "123456.789", true, 123456.789 },
	{ "45.23718281828459", true, 45.23718281828459 },
	{ "9007199254740993", true, 9007199254740992.0 },
	{ "12345678901234567890", true, 12345678901234567890.0 },
	{ "0.000000000000000000000000000001", true, 1e-30 },
	{ "100000000000000000000000000000", true, 1e29 },
	{ "1e308", true, 1e308 },      { "1e-400", true, 0 },
	{ "0e99999999999", true, 0 },  { "1e309", false, 0 },
	{ "1e99999999999", false, 0 }, { "", false, 0 },
	{ "-", false, 0 },             { ".5", false, 0 },
	{ "5.", false, 0 },            { "1e", false, 0 },
	{ "1e-", false, 0 },           { "1x", false, 0 },
	{ "\"1\"", false, 0 },         { "null", false, 0 },
	{ "1,5", false, 0 },           { "nan", false, 0 },
};
/* clang-format on */

static struct span read_path(const char *path)
{
	return path_get(DOCUMENT, path);
}

Test(path, finds)
{
	for (size_t i = 0; i < ARRAY_LEN(finds); i++) {
		struct span found = read_path(finds[i].path);

		if (!finds[i].raw)
			cr_assert_null(found.at, "%s", finds[i].path);
		else
			cr_assert(span_is(found, finds[i].raw), "%s: %.*s",
			          finds[i].path, SPAN_ARG(found));
	}
}

Test(path, is_the_value_itself_when_empty)
{
	cr_assert(span_eq(read_path(""), DOCUMENT));
	cr_assert(span_is(path_get(SPAN("7"), ""), "7"));
	cr_assert_null(path_get(SPAN(""), "").at);
	cr_assert_null(path_get(SPAN(""), "a").at);
	cr_assert(span_is(path_get(SPAN("[[5]]"), "[0][0]"), "5"));
}

Test(path, that_is_malformed_finds_nothing)
{
	char longest[PATH_MAX_BYTES + 1];

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct span path = span_str(paths[i].path);

		cr_assert_eq(path_valid(path), paths[i].valid, "%s",
		             paths[i].path);
		if (!paths[i].valid)
			cr_assert_null(
				path_find(SPAN("{\"a\":[{\"\":1}]}"), path).at,
				"%s", paths[i].path);
	}
	memset(longest, 'a', sizeof(longest));
	cr_assert(path_valid(span_of(longest, PATH_MAX_BYTES)));
	cr_assert_not(path_valid(span_of(longest, PATH_MAX_BYTES + 1)));
}

Test(path, may_be_cut_at_every_byte)
{
	static const char path[] = "items[1].tags[-1]";

	for (size_t n = 0; n < sizeof(path); n++) {
		char *copy = malloc(n ? n : 1);
		struct span cut = span_of(copy, n);

		memcpy(copy, path, n);
		cr_assert(!path_find(DOCUMENT, cut).at || path_valid(cut));
		free(copy);
	}
}

Test(path, finds_all_in_one_pass_what_it_finds_one_by_one)
{
	struct path_want want[ARRAY_LEN(finds) + 1];

	for (size_t i = 0; i < ARRAY_LEN(finds); i++)
		want[i] = path_want(span_str(finds[i].path));
	want[ARRAY_LEN(finds)] = path_want(SPAN(""));
	path_find_all(DOCUMENT, want, ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		struct span one = path_find(DOCUMENT, want[i].path);

		cr_assert(one.at == want[i].found.at &&
		                  one.len == want[i].found.len,
		          "%.*s", SPAN_ARG(want[i].path));
	}
	path_find_all(SPAN("[1]"), want, ARRAY_LEN(want));
	cr_assert_null(want[0].found.at);
	cr_assert(span_is(want[ARRAY_LEN(finds)].found, "[1]"));
}

/* clang-format off */
static const char *const arrays[] = {
	"[]", "[ ]", "[1]", "[{}]", "[ { } , { } ]", "[{\"a\":1}]",
	"[{\"a\":1},{\"b\":{\"c\":[2]}}]", "[1,{\"a\":[{}]},\"x\",[{\"a\":1}],{}]",
	" [ { \"a\" : 1 } , { \"a\" : { \"a\" : 2 } , \"x\":1 } ] ",
	"[{\"b\":{\"c\":1},\"\\u0061\":2,\"a\":3}, null]",
};
/* clang-format on */

Test(path, goes_over_arrays_as_it_finds)
{
	const char *const names[] = { "a", "b.c", "", "a.a", "[0]" };
	struct path_want next[ARRAY_LEN(names)], all[ARRAY_LEN(names)];
	struct span element, other;
	struct value_iter it, plain;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		next[i] = all[i] = path_want(span_str(names[i]));
	for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
		value_iter_init(&it, span_str(arrays[i]));
		plain = it;
		while (value_array_next(&plain, &other)) {
			cr_assert(path_next(&it, &element, next, 5));
			cr_assert(element.at == other.at &&
			                  element.len == other.len,
			          "%s: %.*s", arrays[i], SPAN_ARG(element));
			path_find_all(other, all, 5);
			for (size_t k = 0; k < ARRAY_LEN(names); k++)
				cr_assert(next[k].found.at == all[k].found.at &&
				          next[k].found.len ==
				                  all[k].found.len);
		}
		cr_assert_not(path_next(&it, &element, next, 5));
	}
}

Test(path, reads_numbers_without_a_locale)
{
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		double value = 77;
		bool good = path_double(span_str(numbers[i].raw), &value);

		cr_assert_eq(good, numbers[i].good, "%s", numbers[i].raw);
		cr_assert(value == (good ? numbers[i].value : 77), "%s: %.17g",
		          numbers[i].raw, value);
	}
}

Test(path, reads_every_short_number_as_strtod_does)
{
	char text[32];
	double value;

	srand(7);
	for (int i = 0; i < 100000; i++) {
		snprintf(text, sizeof(text), "%d.%d%se%d", rand() % 100000,
		         rand() % 1000000, i % 3 ? "" : "00", rand() % 20 - 10);
		cr_assert(path_double(span_str(text), &value));
		cr_assert(value == strtod(text, NULL), "%s", text);
	}
}

Test(path, readers)
{
	cr_assert_eq(path_number(DOCUMENT, "shapeConfig.memoryInGBs", -1), 16);
	cr_assert_eq(path_number(DOCUMENT, "id", -1), -1);
	cr_assert_eq(path_integer(DOCUMENT, "shapeConfig.ocpus", -1), 2);
	cr_assert_eq(path_integer(DOCUMENT, "items[1].id", -1), 2);
	cr_assert_eq(path_integer(DOCUMENT, "big", -1), -1);
	cr_assert_eq(path_integer(DOCUMENT, "shapeConfig.gpus", -1), -1);
	cr_assert_eq(path_integer(SPAN("-3.9"), "", 0), -3);
	cr_assert(path_flag(DOCUMENT, "odd name"));
	cr_assert_not(path_flag(DOCUMENT, "off"));
	cr_assert_not(path_flag(DOCUMENT, "id"));
	cr_assert(path_has(DOCUMENT, "off"));
	cr_assert_not(path_has(DOCUMENT, "shapeConfig.gpus"));
	cr_assert_not(path_has(DOCUMENT, "nowhere"));
	cr_assert(path_is(DOCUMENT, "state", "running"));
	cr_assert(path_is(DOCUMENT, "e", "a\"b"));
	cr_assert_not(path_is(DOCUMENT, "state", "RUNNIN"));
	cr_assert_not(path_is(DOCUMENT, "off", "false"));
	cr_assert(span_is(path_text(NULL, DOCUMENT, "state"), "RUNNING"));
	cr_assert_eq(path_text(NULL, DOCUMENT, "off").len, 0);
	cr_assert_eq(path_text(NULL, DOCUMENT, "nowhere").len, 0);
}

Test(path, items)
{
	struct value_iter it = path_items(DOCUMENT, "collection");
	struct span value;

	cr_assert(value_array_next(&it, &value) && span_is(value, "1"));
	cr_assert_eq(path_count(DOCUMENT, "collection"), 3);
	cr_assert_eq(path_count(DOCUMENT, ""), 3);
	cr_assert_eq(path_count(DOCUMENT, "items"), 3);
	cr_assert_eq(path_count(DOCUMENT, "items[1].tags"), 2);
	cr_assert_eq(path_count(DOCUMENT, "empty"), 0);
	cr_assert_eq(path_count(DOCUMENT, "shapeConfig"), 0);
	cr_assert_eq(path_count(DOCUMENT, "shapeConfig.gpus"), 0);
	cr_assert_eq(path_count(DOCUMENT, "nowhere"), 0);
}
