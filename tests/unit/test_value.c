#include "lib/value.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "lib/buf.h"

#define TEXT_MAX 70000
#define T(literal)                           \
	{                                    \
		literal, sizeof(literal) - 1 \
	}

/* The same bytes in memory of exactly that size, so that ASan sees the end. */
static struct span exact(struct span text)
{
	char *copy = malloc(text.len ? text.len : 1);

	cr_assert_not_null(copy);
	if (text.len)
		memcpy(copy, text.at, text.len);
	return span_of(copy, text.len);
}

static void give_back(struct span text)
{
	free((char *)(uintptr_t)text.at);
}

/* clang-format off */
static const struct {
	struct span raw;
	enum value_type type;
} types[] = {
	{ T(""),        VALUE_NOTHING }, { T(" \n"),   VALUE_NOTHING },
	{ T("\"\""),    VALUE_STRING },  { T("0"),     VALUE_NUMBER },
	{ T("-1"),      VALUE_NUMBER },  { T("9e9"),   VALUE_NUMBER },
	{ T("true"),    VALUE_TRUE },    { T("false"), VALUE_FALSE },
	{ T("null"),    VALUE_NULL },    { T("{}"),    VALUE_OBJECT },
	{ T(" \n[1] "), VALUE_ARRAY },   { T("x"),     VALUE_NOTHING },
	{ T("."),       VALUE_NOTHING }, { T("e"),     VALUE_NOTHING },
};

static const struct {
	struct span raw;
	int len; /* or the error */
	struct span means;
} strings[] = {
	{ T("\"\""), 0, T("") },
	{ T("\"abc\""), 3, T("abc") },
	{ T("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\""), 10, T("a\"\\/\b\f\n\r\tz") },
	{ T("\"\\u0041\\u00e9\\u4e2d\""), 6, T("A\xc3\xa9\xe4\xb8\xad") },
	{ T("\"\\ud83d\\ude00!\""), 5, T("\xf0\x9f\x98\x80!") },
	{ T("\"\\udbff\\udfff\\ud800\\udc00\""), 8,
	  T("\xf4\x8f\xbf\xbf\xf0\x90\x80\x80") },
	{ T("\"\\u07ff\\u0800\\uFFFF\\u0080\""), 10,
	  T("\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xc2\x80") },
	{ T("\"a\\u0000b\""), 3, T("a\0b") },
	{ T("\"\xd0\x9f\\n\""), 3, T("\xd0\x9f\n") },
	{ T(""), -EINVAL, T("") },
	{ T("\""), -EINVAL, T("") },
	{ T("1"), -EINVAL, T("") },
	{ T("abc"), -EINVAL, T("") },
	{ T("\"\\\""), -EINVAL, T("") },
	{ T("\"\\x\""), -EINVAL, T("") },
	{ T("\"\\u12\""), -EINVAL, T("") },
	{ T("\"\\u12g4\""), -EINVAL, T("") },
	{ T("\"\\ud800\""), -EINVAL, T("") },
	{ T("\"\\udc00\""), -EINVAL, T("") },
	{ T("\"\\ud800\\u0041\""), -EINVAL, T("") },
	{ T("\"\\ud800\\\""), -EINVAL, T("") },
};

static const struct {
	struct span raw;
	bool good;
	int64_t value;
} integers[] = {
	{ T("0"), true, 0 },
	{ T("-0"), true, 0 },
	{ T("42"), true, 42 },
	{ T("-17"), true, -17 },
	{ T("9007199254740991"), true, VALUE_INTEGER_MAX },
	{ T("-9007199254740991"), true, -VALUE_INTEGER_MAX },
	{ T("9007199254740992"), false, 0 },
	{ T("-9007199254740992"), false, 0 },
	{ T("18446744073709551616"), false, 0 },
	{ T("100000000000000000000000"), false, 0 },
	{ T("42.0"), false, 0 },
	{ T("1e3"), false, 0 },
	{ T("\"1\""), false, 0 },
	{ T("01"), false, 0 },
	{ T("-"), false, 0 },
	{ T("--1"), false, 0 },
	{ T(""), false, 0 },
	{ T("null"), false, 0 },
};
/* clang-format on */

Test(value, knows_the_type)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		cr_assert_eq(value_type(types[i].raw), types[i].type, "%.*s",
		             SPAN_ARG(types[i].raw));
	cr_assert_eq(value_type((struct span){ 0 }), VALUE_NOTHING);
}

Test(value, unescapes)
{
	for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
		struct span raw = exact(strings[i].raw);
		struct span means = strings[i].means;
		char out[32];
		int n = value_string(raw, out, sizeof(out));

		cr_assert_eq(n, strings[i].len, "%.*s: %d",
		             SPAN_ARG(strings[i].raw), n);
		cr_assert_eq(value_string_eq(raw, means), n >= 0);
		cr_assert_not(value_string_eq(raw, SPAN("abcx")));
		cr_assert_not(value_string_eq(raw, SPAN("ab")));
		if (n >= 0)
			cr_assert(span_eq(span_of(out, (size_t)n), means));
		if (n > 0)
			cr_assert_eq(value_string(raw, out, (size_t)n - 1),
			             -ENOBUFS);
		give_back(raw);
	}
	cr_assert_eq(value_string((struct span){ 0 }, NULL, 0), -EINVAL);
	cr_assert_eq(value_string(SPAN("\"\""), NULL, 0), 0);
}

Test(value, takes_the_quotes_off_a_plain_string)
{
	struct span inner = SPAN("untouched");

	cr_assert_not(value_string_plain(SPAN("\"a\\n\""), &inner));
	cr_assert_not(value_string_plain(SPAN("12"), &inner));
	cr_assert_not(value_string_plain(SPAN("\""), &inner));
	cr_assert(span_is(inner, "untouched"));
	cr_assert(value_string_plain(SPAN("\"\xc3\xa9z\""), &inner));
	cr_assert(span_is(inner, "\xc3\xa9z"));
	cr_assert(value_string_plain(SPAN("\"\""), &inner));
	cr_assert_eq(inner.len, 0);
}

Test(value, reads_integers)
{
	for (size_t i = 0; i < ARRAY_LEN(integers); i++) {
		int64_t value = 99;

		cr_assert_eq(value_integer(integers[i].raw, &value),
		             integers[i].good, "%.*s",
		             SPAN_ARG(integers[i].raw));
		cr_assert_eq(value, integers[i].good ? integers[i].value : 99);
	}
}

/* Every member of an object, or element of an array, one a line. */
static void list(struct span raw, struct buf *out)
{
	struct value_iter it;
	struct span key, value, copy = exact(raw);

	value_iter_init(&it, copy);
	if (value_type(copy) == VALUE_OBJECT)
		while (value_object_next(&it, &key, &value))
			buf_addf(out, "%.*s=%.*s\n", SPAN_ARG(key),
			         SPAN_ARG(value));
	else
		while (value_array_next(&it, &value))
			buf_addf(out, "%.*s\n", SPAN_ARG(value));
	give_back(copy);
}

static const struct {
	const char *raw, *lines;
} lists[] = {
	{ "{}", "" },
	{ "[ ]", "" },
	{ "", "" },
	{ "[1]", "1\n" },
	{ "[1,-2.5e3 ,\"a,]\" , null]", "1\n-2.5e3\n\"a,]\"\nnull\n" },
	{ " [[],[[1],\"]\"],{\"a\":[]}]\n", "[]\n[[1],\"]\"]\n{\"a\":[]}\n" },
	{ "{\"a\":1}", "\"a\"=1\n" },
	{ "{ \"a\" : { \"}\\\"\" : [ 1 ] } , \"b\\\\\" : \"\\\\\" }",
	  "\"a\"={ \"}\\\"\" : [ 1 ] }\n\"b\\\\\"=\"\\\\\"\n" },
	{ "{\"a\":true,\n\"a\":[\"a long string that takes a wide step\"]}",
	  "\"a\"=true\n\"a\"=[\"a long string that takes a wide step\"]\n" },
};

Test(value, goes_over_members_and_elements)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct buf lines = { .max = TEXT_MAX };

		list(span_str(lists[i].raw), &lines);
		cr_assert(span_is(buf_span(&lines), lists[i].lines), "%s: %.*s",
		          lists[i].raw, SPAN_ARG(buf_span(&lines)));
		buf_free(&lines);
	}
}

/* It is meant for good texts, but must end and stay inside on any. */
Test(value, goes_over_rubbish_and_ends)
{
	static const char *const rubbish[] = {
		"[1,",    "[,]",      "[,,1]", "{\"a\"}", "{:}",   "{\"a\":}",
		"[\"a]",  "[\"\\",    "]]",    "[[",      "[}",    "{]",
		"\"",     "[\"\\\"]", "x",     "[1 2]",   "{1:2}", "[\xff]",
		"[[[[\"", "[-",       "[tru]",
	};

	for (size_t i = 0; i < ARRAY_LEN(rubbish) + ARRAY_LEN(lists); i++) {
		struct span whole =
			span_str(i < ARRAY_LEN(rubbish)
		                         ? rubbish[i]
		                         : lists[i - ARRAY_LEN(rubbish)].raw);

		for (size_t cut = 0; cut <= whole.len; cut++) {
			struct buf lines = { .max = TEXT_MAX };

			list(span_first(whole, cut), &lines);
			list(span_from(whole, cut), &lines);
			buf_free(&lines);
		}
	}
}

Test(value, gets_a_member)
{
	static const char text[] =
		" { \"a\":{\"b\":1}, \"b\" : [2] ,\"b\":3,\"c\\u0064\":null} ";
	struct span object = span_of(text, sizeof(text) - 1);

	cr_assert(span_is(value_get(object, SPAN("a")), "{\"b\":1}"));
	cr_assert(span_is(value_get(object, SPAN("b")), "[2]"));
	cr_assert(span_is(value_get(object, SPAN("cd")), "null"));
	cr_assert_null(value_get(object, SPAN("c")).at);
	cr_assert_null(value_get(SPAN("[\"a\",1]"), SPAN("a")).at);
	cr_assert_null(value_get((struct span){ 0 }, SPAN("a")).at);
}
