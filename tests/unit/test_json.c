#include "lib/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct json *parse(const char *text, unsigned flags)
{
	struct json_error why;
	struct json *doc;
	int err = json_parse(span_str(text), flags, &doc, &why);

	cr_assert(err == 0, "%s: %u:%u: %s", text, why.place.line,
	          why.place.column, why.text);
	return doc;
}

static struct json_value get(const struct json *doc, const char *key)
{
	return json_get(json_root(doc), key);
}

Test(json, walks_and_gives_values)
{
	struct json *doc = parse("{\"a\": [1, {\"b\": null}, \"x\"], \"c\": "
	                         "{}, \"\": -2.5e1, \"t\": true}",
	                         0);
	struct json_value a = get(doc, "a"), m;
	double d = 0;
	bool on = false;
	int64_t n = 0;

	cr_assert(json_type(json_root(doc)) == JSON_OBJECT);
	cr_assert(json_count(json_root(doc)) == 4);
	cr_assert(json_type(a) == JSON_ARRAY && json_count(a) == 3);
	m = json_first(a);
	cr_assert(json_int64(m, &n) && n == 1);
	cr_assert(json_key(m).len == 0);
	m = json_next(m);
	cr_assert(json_type(json_get(m, "b")) == JSON_NULL);
	m = json_next(m);
	cr_assert_str_eq(json_string(m), "x");
	cr_assert(!json_exists(json_next(m)));
	cr_assert(json_count(get(doc, "c")) == 0);
	cr_assert(!json_exists(json_first(get(doc, "c"))));
	cr_assert(json_double(get(doc, ""), &d) && d == -25);
	cr_assert(json_bool(get(doc, "t"), &on) && on);
	cr_assert(span_is(json_key(get(doc, "t")), "t"));
	cr_assert(span_is(json_raw(a), "[1, {\"b\": null}, \"x\"]"));
	cr_assert(span_is(json_raw(json_next(json_next(json_first(a)))),
	                  "\"x\""));
	json_free(doc);
}

Test(json, nothing_asked_gives_nothing)
{
	struct json *doc = parse("{\"a\":1}", 0);
	struct json_value none = json_get(get(doc, "a"), "b");
	int64_t n = 7;
	double d = 7;
	bool b = true;

	cr_assert(!json_exists(none) && json_type(none) == JSON_NONE);
	cr_assert(!json_exists(json_get(none, "c")));
	cr_assert(!json_exists(json_first(none)));
	cr_assert(!json_exists(json_next(none)));
	cr_assert(json_count(none) == 0 && json_raw(none).at == NULL);
	cr_assert(json_string(none) == NULL && json_key(none).at == NULL);
	cr_assert(!json_int64(none, &n) && n == 7);
	cr_assert(!json_double(none, &d) && d == 7);
	cr_assert(!json_bool(get(doc, "a"), &b) && b);
	cr_assert(json_place(none).line == 0);
	json_free(doc);
	json_free(NULL);
}

Test(json, roots_that_are_no_object)
{
	static const struct {
		const char *text;
		enum json_type type;
	} rows[] = {
		{ "7", JSON_NUMBER },      { "\"a\"", JSON_STRING },
		{ "null", JSON_NULL },     { "false", JSON_BOOL },
		{ " [ ] \n", JSON_ARRAY }, { "{}", JSON_OBJECT },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct json *doc = parse(rows[i].text, 0);

		cr_assert(json_type(json_root(doc)) == rows[i].type);
		json_free(doc);
	}
}

Test(json, strings_are_unescaped)
{
	static const struct {
		const char *raw, *plain;
	} rows[] = {
		{ "\"\"", "" },
		{ "\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz" },
		{ "\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac" },
		{ "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80" },
		{ "\"\xc3\xa9\xf0\x9f\x98\x80\"", "\xc3\xa9\xf0\x9f\x98\x80" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct json *doc = parse(rows[i].raw, 0);

		cr_assert_str_eq(json_string(json_root(doc)), rows[i].plain);
		cr_assert(span_is(json_raw(json_root(doc)), rows[i].raw));
		json_free(doc);
	}
}

Test(json, keys_are_unescaped)
{
	struct json *doc = parse("{\"\\u0061\\n\":1}", 0);
	int64_t n;

	cr_assert(json_int64(get(doc, "a\n"), &n) && n == 1);
	json_free(doc);
}

Test(json, integers)
{
	static const struct {
		const char *text;
		bool good;
		int64_t value;
	} rows[] = {
		{ "0", true, 0 },
		{ "-0", true, 0 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "-9223372036854775808", true, INT64_MIN },
		{ "9223372036854775808", false, 0 },
		{ "-9223372036854775809", false, 0 },
		{ "99999999999999999999999", false, 0 },
		{ "1.0", false, 0 },
		{ "1e2", false, 0 },
		{ "\"1\"", false, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct json *doc = parse(rows[i].text, 0);
		int64_t n = 0;

		cr_assert(json_int64(json_root(doc), &n) == rows[i].good, "%s",
		          rows[i].text);
		cr_assert(n == rows[i].value, "%s", rows[i].text);
		json_free(doc);
	}
}

Test(json, numbers_that_overflow)
{
	struct json *doc = parse("[1e999, -1e999, 1e-999, 0.5]", 0);
	struct json_value v = json_first(json_root(doc));
	double d = 7;

	cr_assert(!json_double(v, &d) && d == 7);
	v = json_next(v);
	cr_assert(!json_double(v, &d));
	v = json_next(v);
	cr_assert(json_double(v, &d) && d == 0);
	v = json_next(v);
	cr_assert(json_double(v, &d) && d == 0.5);
	json_free(doc);
}

Test(json, places)
{
	struct json *doc = parse("{\n\t\"a\": 1,\n  \"b\" : \"x\\n\",\n\"c\":"
	                         "\n\n [2]}",
	                         0);
	static const struct {
		const char *key;
		struct json_place key_place, place;
	} rows[] = {
		{ "a", { 2, 2 }, { 2, 7 } },
		{ "b", { 3, 3 }, { 3, 9 } },
		{ "c", { 4, 1 }, { 6, 2 } },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct json_value v = get(doc, rows[i].key);
		struct json_place k = json_key_place(v), p = json_place(v);

		cr_assert(k.line == rows[i].key_place.line);
		cr_assert(k.column == rows[i].key_place.column);
		cr_assert(p.line == rows[i].place.line);
		cr_assert(p.column == rows[i].place.column);
	}
	json_free(doc);
}

Test(json, comments_when_asked_for)
{
	struct json *doc =
		parse("// first\n{ /* a \" b\n */ \"u\": // {\n "
	              "\"http://x/*y*/\", \"n\" /**/: 1 /* ** */ }// end",
	              JSON_COMMENTS);
	struct json_error why;
	struct json *none;
	int64_t n;

	cr_assert_str_eq(json_string(get(doc, "u")), "http://x/*y*/");
	cr_assert(json_int64(get(doc, "n"), &n) && n == 1);
	cr_assert(json_place(get(doc, "u")).line == 4);
	cr_assert(json_place(get(doc, "u")).column == 2);
	json_free(doc);
	cr_assert(json_parse(SPAN("{}//"), 0, &none, &why) == -EBADMSG);
}

Test(json, refuses_with_the_place)
{
	static const struct {
		const char *text;
		unsigned line, column;
	} rows[] = {
		{ "", 1, 1 },
		{ "{", 1, 2 },
		{ "{\"a\":1,}", 1, 8 },
		{ "[1,]", 1, 4 },
		{ "[1,,2]", 1, 4 },
		{ "{\"a\" 1}", 1, 6 },
		{ "{\"a\"}", 1, 5 },
		{ "{a:1}", 1, 2 },
		{ "{'a':1}", 1, 2 },
		{ "{1:1}", 1, 2 },
		{ "[1 2]", 1, 4 },
		{ "[01]", 1, 3 },
		{ "[1.]", 1, 4 },
		{ "[tru]", 1, 5 },
		{ "[}", 1, 2 },
		{ "{\"a\":{}}}", 1, 9 },
		{ "[1]\n[2]", 2, 1 },
		{ "[\"\\x\"]", 1, 4 },
		{ "{\n \"a\": 1,\n \"a\": 2\n}", 3, 2 },
		{ "{\"x\":{\"a\":1,\"b\":2,\"\\u0061\":3}}", 1, 19 },
		{ "[\"a\\u0000b\"]", 1, 2 },
		{ "{\n/* x", 2, 1 },
		{ "{} /", 1, 4 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct json_error why;
		struct json *doc;
		int err = json_parse(span_str(rows[i].text), JSON_COMMENTS,
		                     &doc, &why);

		cr_assert(err == -EBADMSG, "%s", rows[i].text);
		cr_assert(doc == NULL && why.text[0]);
		cr_expect(why.place.line == rows[i].line &&
		                  why.place.column == rows[i].column,
		          "%s: %u:%u: %s", rows[i].text, why.place.line,
		          why.place.column, why.text);
	}
}

Test(json, every_cut_is_refused)
{
	static const char text[] =
		"{\"a\":[1,{\"b\":null},\"x\\u00e9\\n\"],\"c\":-2.5e1}";

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		char *exact = malloc(n + !n); /* so that ASan sees the end */
		struct json_error why;
		struct json *doc;

		memcpy(exact, text, n);
		cr_assert(json_parse(span_of(exact, n), 0, &doc, &why) ==
		          -EBADMSG);
		free(exact);
	}
}

Test(json, limits)
{
	static char text[JSON_MAX_BYTES + 1];
	struct json_error why;
	struct json *doc;

	memset(text, ' ', sizeof text);
	text[0] = '1';
	cr_assert(json_parse(span_of(text, sizeof text), 0, &doc, &why) ==
	          -E2BIG);
	cr_assert(json_parse(span_of(text, sizeof(text) - 1), 0, &doc, &why) ==
	          0);
	json_free(doc);

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i & 1 ? ',' : '1';
	text[0] = '[';
	text[1] = '1';
	text[2 * JSON_MAX_TOKENS] = ']';
	cr_assert(json_parse(span_of(text, 2 * JSON_MAX_TOKENS + 1), 0, &doc,
	                     &why) == -EBADMSG);
	for (size_t i = 1; i < sizeof text; i++)
		text[i] = i & 1 ? '1' : ',';
	text[2 * JSON_MAX_TOKENS] = ']';
	cr_assert(json_parse(span_of(text, 2 * JSON_MAX_TOKENS + 1), 0, &doc,
	                     &why) == -E2BIG);
	text[2 * (JSON_MAX_TOKENS - 1)] = ']';
	cr_assert(json_parse(span_of(text, 2 * JSON_MAX_TOKENS - 1), 0, &doc,
	                     &why) == 0);
	json_free(doc);

	memset(text, '[', 1000);
	cr_assert(json_parse(span_of(text, 1000), 0, &doc, &why) == -E2BIG);
}
