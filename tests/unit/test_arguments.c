#include "oci/arguments.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define INSTANCE "ocid1.instance.oc1.iad.anuwcljt"
#define VCN      "ocid1.vcn.oc1.iad.aaaa"
#define TENANCY  "ocid1.tenancy.oc1..aaaa"

static const char recipe[] =
	"{\"name\":\"t\",\"parameters\":{"
	"\"instance_id\":{\"type\":\"string\",\"ocid\":\"instance\"},"
	"\"target_id\":{\"type\":\"string\",\"ocid\":[\"vcn\",\"subnet\"]},"
	"\"compartment_id\":{\"type\":\"string\",\"ocid\":\"compartment\"},"
	"\"any_id\":{\"type\":\"string\",\"ocid\":\"\"},"
	"\"state\":{\"type\":\"string\",\"enum\":[\"RUNNING\",\"STOPPED\"]},"
	"\"name\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":5},"
	"\"note\":{\"type\":\"string\",\"minLength\":0},"
	"\"metric\":{\"type\":\"string\",\"pattern\":\"^[a-z]+\\\\.x$\"},"
	"\"since\":{\"type\":\"string\",\"format\":\"date-time\"},"
	"\"day\":{\"type\":\"string\",\"format\":\"date\"},"
	"\"hours\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":168},"
	"\"least\":{\"type\":\"integer\",\"minimum\":0},"
	"\"threshold\":{\"type\":\"number\",\"minimum\":1.0,\"maximum\":5.5},"
	"\"force\":{\"type\":\"boolean\"},"
	"\"names\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},"
	"\"minItems\":1,\"maxItems\":3},"
	"\"ports\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}},"
	"\"tags\":{\"type\":\"object\",\"additionalProperties\":"
	"{\"type\":\"string\"}},"
	"\"body\":{\"type\":\"object\"},"
	"\"anything\":{}}}";

static const char defaults[] =
	"{\"parameters\":{"
	"\"id\":{\"type\":\"string\",\"ocid\":\"instance\"},"
	"\"limit\":{\"type\":\"integer\",\"default\":20},"
	"\"names\":{\"type\":\"array\",\"default\":[\"a\",\"b\"]},"
	"\"response_format\":{\"type\":\"string\",\"enum\":[\"markdown\","
	"\"json\"],\"default\":\"markdown\"}},\"required\":[\"id\"]}";

/* What comes out, or the sentence. Static memory. */
static const char *check(const char *with, const char *arguments)
{
	static char result[ARGUMENTS_TEXT_MAX + 4096];
	struct buf out = { .max = 1 << 20 };
	struct arguments_fault why;
	int err;

	buf_puts(&out, "before");
	err = arguments_check(span_str(with), span_str(arguments), &out, &why);
	cr_assert(err == 0 || err == -EINVAL);
	cr_assert(span_starts(buf_span(&out), SPAN("before")));
	if (err < 0)
		cr_assert_eq(out.len, strlen("before"), "%s", arguments);
	snprintf(result, sizeof(result), "%.*s",
	         (int)(err < 0 ? strlen(why.text) : out.len - 6),
	         err < 0 ? why.text : out.bytes + 6);
	buf_free(&out);
	return result;
}

struct example {
	const char *arguments, *result;
};

static void expect(const char *with, const struct example *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *result = check(with, cases[i].arguments);

		cr_expect_str_eq(result, cases[i].result, "%s\n  gave %s",
		                 cases[i].arguments, result);
	}
}

#define EXPECT(with, cases) expect(with, cases, ARRAY_LEN(cases))

Test(arguments, what_is_taken)
{
	static const struct example cases[] = {
		{ "", "{}" },
		{ "null", "{}" },
		{ "{}", "{}" },
		{ "{\"name\":null}", "{}" },
		{ "{\"name\":\"\"}", "{}" },
		{ "{\"name\":\"  \"}", "{}" },
		{ "{\"note\":\"\"}", "{\"note\":\"\"}" },
		{ "{\"name\":\" abc\\t\\n\"}", "{\"name\":\"abc\"}" },
		{ "{\"note\":\" a\\\\n \"}", "{\"note\":\"a\\\\n\"}" },
		{ "{\"note\":\"a \\u00e9 b\"}", "{\"note\":\"a \\u00e9 b\"}" },
		{ "{\"name\":\"\\u00e9\xc3\xa9\\ud83d\\ude00\"}",
		  "{\"name\":\"\\u00e9\xc3\xa9\\ud83d\\ude00\"}" },
		{ "{\"n\\u0061me\":\"ab\"}", "{\"name\":\"ab\"}" },
		{ "{\"state\":\"running\"}", "{\"state\":\"RUNNING\"}" },
		{ "{\"state\":\" Stopp\\u0065d \"}",
		  "{\"state\":\"STOPPED\"}" },
		{ "{\"instance_id\":\" " INSTANCE " \"}",
		  "{\"instance_id\":\"" INSTANCE "\"}" },
		{ "{\"target_id\":\"" VCN "\"}",
		  "{\"target_id\":\"" VCN "\"}" },
		{ "{\"compartment_id\":\"" TENANCY "\"}",
		  "{\"compartment_id\":\"" TENANCY "\"}" },
		{ "{\"any_id\":\"" VCN "\"}", "{\"any_id\":\"" VCN "\"}" },
		{ "{\"metric\":\"cpu.x\"}", "{\"metric\":\"cpu.x\"}" },
		{ "{\"since\":\"2026-01-02\"}",
		  "{\"since\":\"2026-01-02T00:00:00Z\"}" },
		{ "{\"since\":\"2026-01-02T03:04:05.6+01:00\"}",
		  "{\"since\":\"2026-01-02T02:04:05Z\"}" },
		{ "{\"since\":\"2026-01-02T03:04:05\"}",
		  "{\"since\":\"2026-01-02T03:04:05Z\"}" },
		{ "{\"day\":\"2026-01-02T23:30:00-01:00\"}",
		  "{\"day\":\"2026-01-03\"}" },
		{ "{\"day\":\"2026-01-02\"}", "{\"day\":\"2026-01-02\"}" },
		{ "{\"hours\":168}", "{\"hours\":168}" },
		{ "{\"hours\":5.0}", "{\"hours\":5}" },
		{ "{\"hours\":\"5\"}", "{\"hours\":5}" },
		{ "{\"hours\":\" 5.00 \"}", "{\"hours\":5}" },
		{ "{\"threshold\":1}", "{\"threshold\":1}" },
		{ "{\"threshold\":\"5.5\"}", "{\"threshold\":5.5}" },
		{ "{\"threshold\":2.5e0}", "{\"threshold\":2.5e0}" },
		{ "{\"force\":true}", "{\"force\":true}" },
		{ "{\"force\":\"False\"}", "{\"force\":false}" },
		{ "{\"names\":[\" a\",\"b \"]}", "{\"names\":[\"a\",\"b\"]}" },
		{ "{\"names\":\"a\"}", "{\"names\":[\"a\"]}" },
		{ "{\"names\":\"[\\\"a\\\",\\\"b\\\"]\"}",
		  "{\"names\":[\"a\",\"b\"]}" },
		{ "{\"names\":\"[a\"}", "{\"names\":[\"[a\"]}" },
		{ "{\"ports\":[22,\"80\"]}", "{\"ports\":[22,80]}" },
		{ "{\"ports\":[]}", "{\"ports\":[]}" },
		{ "{\"tags\":{\"a\":\" b\",\"c\":\"d\"}}",
		  "{\"tags\":{\"a\":\"b\",\"c\":\"d\"}}" },
		{ "{\"body\":{\"a\":[1,{}]}}", "{\"body\":{\"a\":[1,{}]}}" },
		{ "{\"body\":\"{\\\"a\\\": 1}\"}", "{\"body\":{\"a\": 1}}" },
		{ "{\"anything\":[1,\"\"]}", "{\"anything\":[1,\"\"]}" },
		{ "{\"anything\":\"\"}", "{\"anything\":\"\"}" },
		/* In the order of the recipe. */
		{ " { \"hours\" : 2 , \"name\" : \"ab\" } ",
		  "{\"name\":\"ab\",\"hours\":2}" },
	};

	EXPECT(recipe, cases);
}

Test(arguments, the_wrapper_of_an_older_server)
{
	static const struct example cases[] = {
		{ "{\"params\":{}}", "{}" },
		{ "{\"params\":null}", "{}" },
		{ "{\"params\":\"\"}", "{}" },
		{ "{\"params\":{\"hours\":2}}", "{\"hours\":2}" },
		{ "{\"params\":\"{\\\"hours\\\":2}\"}", "{\"hours\":2}" },
		{ "{\"params\":[1]}", "\"params\" must be an object with the "
		                      "arguments, but [1] was given" },
		{ "{\"params\":\"{\"}", "\"params\" must be an object with the "
		                        "arguments, but \"{\" was given" },
		{ "{\"params\":{},\"hours\":2}",
		  "\"params\" holds all arguments, or none: no other may stand "
		  "beside it" },
		{ "{\"params\":{\"params\":{}}}",
		  "\"params\" holds all arguments, or none: no other may stand "
		  "beside it" },
	};
	static const struct example own[] = {
		{ "{\"params\":{\"a\":1}}", "{\"params\":{\"a\":1}}" },
	};

	EXPECT(recipe, cases);
	EXPECT("{\"parameters\":{\"params\":{\"type\":\"object\"}}}", own);
}

#define MUST(name, be, given) \
	"the argument \"" name "\" must be " be ", but " given " was given"

Test(arguments, what_is_refused)
{
	static const struct example cases[] = {
		{ "[]", "the arguments must be an object, but [] was given" },
		{ "\"x\"",
		  "the arguments must be an object, but \"x\" was given" },
		{ "{\"hour\":1}", "there is no argument \"hour\"; did you mean "
		                  "\"hours\"?" },
		{ "{\"instanceId\":1}", "there is no argument \"instanceId\"; "
		                        "did you mean \"instance_id\"?" },
		{ "{\"hours\":1,\"hours\":2}",
		  "the argument \"hours\" is given twice" },
		{ "{\"instance_id\":\"web1\"}",
		  MUST("instance_id", "an OCID of type instance",
		       "\"web1\"") ": this is not an OCID, which begins with "
		                   "\"ocid1.\"" },
		{ "{\"instance_id\":7}",
		  MUST("instance_id", "an OCID of type instance", "7") },
		{ "{\"target_id\":\"" INSTANCE "\"}",
		  MUST("target_id", "an OCID of type vcn or subnet",
		       "\"" INSTANCE "\"") },
		{ "{\"state\":\"ON\"}",
		  MUST("state", "one of RUNNING, STOPPED", "\"ON\"") },
		{ "{\"state\":1}",
		  MUST("state", "one of RUNNING, STOPPED", "1") },
		{ "{\"name\":\"a\"}",
		  MUST("name", "a string from 2 to 5 characters", "\"a\"") },
		{ "{\"name\":\"abcdef\"}",
		  MUST("name", "a string from 2 to 5 characters",
		       "\"abcdef\"") },
		{ "{\"name\":12}",
		  MUST("name", "a string from 2 to 5 characters", "12") },
		{ "{\"metric\":\"a[1m].x\"}",
		  MUST("metric", "a string that matches ^[a-z]+\\\\.x$",
		       "\"a[1m].x\"") },
		{ "{\"since\":\"yesterday\"}",
		  MUST("since",
		       "a time such as 2026-01-31T00:00:00Z, or a date",
		       "\"yesterday\"") },
		{ "{\"since\":\"2026-02-30\"}",
		  MUST("since",
		       "a time such as 2026-01-31T00:00:00Z, or a date",
		       "\"2026-02-30\"") },
		{ "{\"day\":1}",
		  MUST("day", "a date such as 2026-01-31", "1") },
		{ "{\"hours\":0}",
		  MUST("hours", "an integer from 1 to 168", "0") },
		{ "{\"hours\":169}",
		  MUST("hours", "an integer from 1 to 168", "169") },
		{ "{\"hours\":1.5}",
		  MUST("hours", "an integer from 1 to 168", "1.5") },
		{ "{\"hours\":\"1e1\"}",
		  MUST("hours", "an integer from 1 to 168", "\"1e1\"") },
		{ "{\"hours\":\"05\"}",
		  MUST("hours", "an integer from 1 to 168", "\"05\"") },
		{ "{\"hours\":true}",
		  MUST("hours", "an integer from 1 to 168", "true") },
		{ "{\"least\":-1}",
		  MUST("least", "an integer of at least 0", "-1") },
		{ "{\"least\":9007199254740992}",
		  MUST("least", "an integer of at least 0",
		       "9007199254740992") },
		{ "{\"threshold\":5.6}",
		  MUST("threshold", "a number from 1.0 to 5.5", "5.6") },
		{ "{\"threshold\":\"x\"}",
		  MUST("threshold", "a number from 1.0 to 5.5", "\"x\"") },
		{ "{\"force\":1}", MUST("force", "true or false", "1") },
		{ "{\"force\":\"yes\"}",
		  MUST("force", "true or false", "\"yes\"") },
		{ "{\"names\":[]}",
		  MUST("names", "an array from 1 to 3 elements", "[]") },
		{ "{\"names\":[\"1\",\"2\",\"3\",\"4\"]}",
		  MUST("names", "an array from 1 to 3 elements",
		       "[\"1\",\"2\",\"3\",\"4\"]") },
		{ "{\"names\":[\"1\",2]}", MUST("names[1]", "a string", "2") },
		{ "{\"ports\":\"22\"}", MUST("ports", "an array", "\"22\"") },
		{ "{\"tags\":{\"a\":\"b\",\"c\":1}}",
		  MUST("tags[1]", "a string", "1") },
		{ "{\"tags\":\"x\"}", MUST("tags", "an object", "\"x\"") },
		{ "{\"body\":[]}", MUST("body", "an object", "[]") },
	};

	EXPECT(recipe, cases);
}

Test(arguments, an_unknown_name_without_a_near_one)
{
	cr_expect_str_eq(check(defaults, "{\"wibble\":1}"),
	                 "there is no argument \"wibble\"; it takes id, limit, "
	                 "names, response_format");
	cr_expect_str_eq(check("{}", "{\"wibble\":1}"),
	                 "there is no argument \"wibble\"; it takes none");
}

Test(arguments, defaults_and_what_is_required)
{
	static const struct example cases[] = {
		{ "{}", "the argument \"id\" is required: an OCID of type "
		        "instance" },
		{ "{\"id\":null}",
		  "the argument \"id\" is required: an OCID of "
		  "type instance" },
		{ "{\"id\":\" \"}",
		  "the argument \"id\" is required: an OCID of "
		  "type instance" },
		{ "{\"id\":\"" INSTANCE "\"}",
		  "{\"id\":\"" INSTANCE "\",\"limit\":20,\"names\":[\"a\","
		  "\"b\"],\"response_format\":\"markdown\"}" },
		{ "{\"response_format\":\"JSON\",\"limit\":null,"
		  "\"id\":\"" INSTANCE "\",\"names\":[]}",
		  "{\"id\":\"" INSTANCE "\",\"limit\":20,\"names\":[],"
		  "\"response_format\":\"json\"}" },
	};

	EXPECT(defaults, cases);
}

Test(arguments, an_ocid_of_another_type_is_explained)
{
	const char *text =
		check(defaults, "{\"id\":\"ocid1.vcn.oc1.iad.aaaa\"}");

	cr_expect(strstr(text, "the argument \"id\" must be an OCID of type "
	                       "instance, but \"" VCN "\" was given: "),
	          "%s", text);
	cr_expect(strstr(text, "vcn"));
}

Test(arguments, what_was_given_is_cut_and_cannot_be_seen_through)
{
	char arguments[512] = "{\"force\":\"";
	const char *text;

	memset(arguments + 10, 'x', 100);
	strcpy(arguments + 110, "\"}");
	text = check(recipe, arguments);
	cr_expect_not_null(strstr(text, "xxx... was given"));
	cr_expect_lt(strlen(text), 150);
	text = check(recipe, "{\"force\":\"a\u202eb\xc2\x85"
	                     "c\"}");
	cr_expect_not_null(strstr(text, "\"a?b?c\" was given"), "%s", text);
	text = check(recipe, "{\"force\":[\n1\t]}");
	cr_expect_not_null(strstr(text, "[ 1 ] was given"), "%s", text);
}

/* "[[...]]" in a string, so many levels deep. */
static const char *nested(size_t levels)
{
	static char text[512];

	snprintf(text, sizeof(text), "{\"names\":\"%.*s%.*s\"}", (int)levels,
	         "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
	         "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
	         "[[[[[[[[[[",
	         (int)levels,
	         "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
	         "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
	         "]]]]]]]]]]");
	return text;
}

/* What comes in strings does not make the whole deeper than can be read. */
Test(arguments, json_in_strings_leaves_room_for_what_is_around_it)
{
	static const char with[] =
		"{\"parameters\":{\"names\":{\"type\":\"array\"}}}";

	cr_expect_eq(strlen(check(with, nested(120))), 10 + 240);
	cr_expect_not_null(
		strstr(check(with, nested(121)), "must be an array"));
	cr_expect_not_null(
		strstr(check(with, nested(128)), "must be an array"));
}

/* However many values are listed, there is an end. */
Test(arguments, long_lists_of_values_are_cut)
{
	char with[8192] = "{\"parameters\":{\"a\":{\"type\":\"string\","
			  "\"enum\":[\"v\"";
	const char *text;

	for (int i = 0; i < 500; i++)
		strcat(with, ",\"VALUE\"");
	strcat(with, "]}}}");
	text = check(with, "{\"a\":\"x\"}");
	cr_expect_not_null(strstr(text, "VALUE, ..., but \"x\" was given"));
}

Test(arguments, too_long_for_the_buffer)
{
	struct buf out = { .max = 16 };
	struct arguments_fault why;
	const char *arguments = "{\"note\":\"0123456789\"}";

	cr_expect_eq(arguments_check(span_str(recipe), span_str(arguments),
	                             &out, &why),
	             -ENOBUFS);
	cr_expect_str_eq(why.text, "the arguments are too long");
	buf_free(&out);
}

Test(arguments, the_name_of_the_argument_is_told)
{
	struct buf out = { .max = 1 << 16 };
	struct arguments_fault why;

	cr_expect_eq(arguments_check(span_str(recipe), SPAN("{\"hours\":0}"),
	                             &out, &why),
	             -EINVAL);
	cr_expect_str_eq(why.argument, "hours");
	cr_expect_eq(arguments_check(span_str(recipe), SPAN("{\"x\":0}"), &out,
	                             &why),
	             -EINVAL);
	cr_expect_str_eq(why.argument, "");
	buf_free(&out);
}

Test(arguments, one_value)
{
	struct buf out = { .max = 1 << 16 };
	struct arguments_fault why;

	cr_expect_eq(arguments_value(SPAN("n"), SPAN("{\"type\":\"integer\"}"),
	                             SPAN("\"7\""), &out, &why),
	             0);
	cr_expect(span_is(buf_span(&out), "7"));
	cr_expect_eq(arguments_value(SPAN("n"), SPAN("{\"type\":\"integer\"}"),
	                             SPAN("\"x\""), &out, &why),
	             -EINVAL);
	cr_expect_str_eq(why.text, "the argument \"n\" must be an integer, but "
	                           "\"x\" was given");
	cr_expect(span_is(buf_span(&out), "7"));
	buf_free(&out);
}
