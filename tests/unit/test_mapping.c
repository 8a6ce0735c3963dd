#include "oci/mapping.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "oci/path.h"
#include "tests/unit/fixture_tool.h"

TestSuite(mapping, .init = fixture_tool_begin, .fini = fixture_tool_end);

#define LIST "core/Compute/ListInstances"
#define VCN  "core/VirtualNetwork/GetVcn"
#define NETS "core/VirtualNetwork/ListSubnets"

#define PAGING                                             \
	"\"limit\":{\"type\":\"integer\",\"default\":20}," \
	"\"offset\":{\"type\":\"integer\",\"default\":0}," \
	"\"compartment_id\":{\"type\":\"string\"},"

/* A list with filters; '...' of the answer. */
#define LISTING                                                              \
	"{\"title\":\"T\",\"parameters\":{" PAGING                           \
	"\"name\":{\"type\":\"string\"},\"state\":{\"type\":\"string\"},"    \
	"\"tags\":{\"type\":\"array\"}},"                                    \
	"\"requests\":[{\"as\":\"all\",\"operation\":\"" LIST "\","          \
	"\"query\":{\"compartmentId\":\"$compartment_id\","                  \
	"\"lifecycleState\":\"$state\"},\"list\":true}],"                    \
	"\"answer\":{\"list\":\"all\",\"items\":\"instances\",\"fields\":{"  \
	"\"id\":\"id\",\"ocpus\":\"shapeConfig.ocpus\"},"                    \
	"\"filter\":[{\"argument\":\"name\",\"field\":\"displayName\","      \
	"\"match\":\"contains\"},{\"argument\":\"tags\",\"field\":\"tags\"," \
	"\"match\":\"equals\"}],"                                            \
	"\"extra\":{\"compartment_id\":\"$compartment_id\"}}}"

/* An array of n instances; those with an odd number are called "web". */
static char *instances(size_t n)
{
	struct buf out = { .max = 64 << 20 };

	buf_putc(&out, '[');
	for (size_t i = 0; i < n; i++)
		buf_addf(&out,
		         "%s{\"id\":\"i%zu\",\"displayName\":\"%s-%zu\","
		         "\"shapeConfig\":{\"ocpus\":%zu.0},\"tags\":[\"%s\"]}",
		         i ? "," : "", i, i % 2 ? "WEB" : "db", i, i,
		         i % 3 ? "a" : "b");
	buf_putc(&out, ']');
	buf_putc(&out, '\0');
	return out.bytes;
}

static const struct fixture_tool_result *list(size_t n, const char *arguments)
{
	char *json = instances(n);
	const struct fixture_tool_result *result;

	fixture_tool_answer(LIST, json);
	result = fixture_tool_call(NULL, LISTING, arguments);
	free(json);
	cr_assert_not(result->is_error, "%s", result->text);
	return result;
}

/* clang-format off */
static const struct {
	size_t n;
	const char *arguments;
	const char *total, *count, *first, *last, *has_more, *next;
} pages[] = {
	{ 0, "{}", "0", "0", NULL, NULL, "false", "null" },
	{ 3, "{}", "3", "3", "\"i0\"", "\"i2\"", "false", "null" },
	{ 20, "{}", "20", "20", "\"i0\"", "\"i19\"", "false", "null" },
	{ 21, "{}", "21", "20", "\"i0\"", "\"i19\"", "true", "20" },
	{ 22, "{}", "null", "20", "\"i0\"", "\"i19\"", "true", "20" },
	{ 22, "{\"offset\":20}", "22", "2", "\"i20\"", "\"i21\"", "false", "null" },
	{ 9, "{\"limit\":2,\"offset\":4}", "null", "2", "\"i4\"", "\"i5\"", "true", "6" },
	{ 3, "{\"offset\":3}", "3", "0", NULL, NULL, "false", "null" },
	{ 3, "{\"offset\":9}", "3", "0", NULL, NULL, "false", "null" },
	/* Filters come before paging. */
	{ 9, "{\"name\":\"web\"}", "4", "4", "\"i1\"", "\"i7\"", "false", "null" },
	{ 9, "{\"name\":\"web\",\"limit\":2}", "4", "2", "\"i1\"", "\"i3\"", "true", "2" },
	{ 9, "{\"name\":\"web\",\"limit\":2,\"offset\":2}", "4", "2", "\"i5\"", "\"i7\"", "false", "null" },
	{ 9, "{\"name\":\"Web-7\"}", "1", "1", "\"i7\"", "\"i7\"", "false", "null" },
	{ 9, "{\"name\":\"none\"}", "0", "0", NULL, NULL, "false", "null" },
	{ 9, "{\"tags\":[\"x\",\"B\"]}", "3", "3", "\"i0\"", "\"i6\"", "false", "null" },
	{ 9, "{\"tags\":[\"b\"],\"name\":\"web\"}", "1", "1", "\"i3\"", "\"i3\"", "false", "null" },
	{ 9, "{\"tags\":[]}", "0", "0", NULL, NULL, "false", "null" },
};
/* clang-format on */

Test(mapping, cuts_pages_out_of_lists)
{
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		fixture_tool_end();
		fixture_tool_begin();
		list(pages[i].n, pages[i].arguments);
		fixture_tool_is("total", pages[i].total);
		fixture_tool_is("count", pages[i].count);
		fixture_tool_is("instances[0].id", pages[i].first);
		fixture_tool_is("instances[-1].id", pages[i].last);
		fixture_tool_is("has_more", pages[i].has_more);
		fixture_tool_is("next_offset", pages[i].next);
		fixture_tool_is("truncated", NULL);
		fixture_tool_is("compartment_id", "\"" FIXTURE_TENANCY "\"");
	}
}

Test(mapping, writes_fields_and_text)
{
	const struct fixture_tool_result *result = list(2, "{}");

	fixture_tool_is("instances", "[{\"id\":\"i0\",\"ocpus\":0.0},"
	                             "{\"id\":\"i1\",\"ocpus\":1.0}]");
	cr_assert_not_null(strstr(result->text, "| i1 | 1.0 |"));
	cr_assert_str_eq(
		fixture_tool_asked(0),
		LIST " GET /20160918/instances?compartmentId=" FIXTURE_TENANCY
		     "&limit=21");
	cr_assert_null(fixture_tool_asked(1));
}

Test(mapping, leaves_out_what_is_not_given)
{
	list(1, "{\"state\":\"RUNNING\",\"compartment_id\":\"c\"}");
	cr_assert_not_null(strstr(fixture_tool_asked(0),
	                          "?compartmentId=c&lifecycleState=RUNNING"));
}

Test(mapping, says_when_it_did_not_read_everything)
{
	list(TOOL_ITEMS_MAX + 1, "{\"name\":\"web\",\"offset\":4990}");
	fixture_tool_is("total", "null");
	fixture_tool_is("count", "10");
	fixture_tool_is("has_more", "false");
	fixture_tool_is("truncated", "true");
}

Test(mapping, refuses_offsets_that_it_cannot_reach)
{
	const struct fixture_tool_result *result =
		fixture_tool_call(NULL, LISTING, "{\"offset\":10000}");

	cr_assert(result->is_error);
	cr_assert_str_eq(result->category, "validation");
}

/* --- long results --------------------------------------------------------- */

static const char *wide(size_t n, size_t bytes)
{
	static char text[16 << 20];
	size_t len = 0;

	text[len++] = '[';
	for (size_t i = 0; i < n; i++) {
		len += (size_t)sprintf(text + len, "%s{\"id\":\"",
		                       i ? "," : "");
		memset(text + len, 'x', bytes);
		len += bytes;
		len += (size_t)sprintf(text + len, "%zu\"}", i);
	}
	text[len++] = ']';
	text[len] = '\0';
	return text;
}

Test(mapping, cuts_long_results_at_a_whole_item)
{
	const struct fixture_tool_result *result;
	struct span last;

	fixture_tool_answer(LIST, wide(20, 100000));
	result = fixture_tool_call(NULL, LISTING, NULL);
	cr_assert_not(result->is_error, "%s", result->text);
	cr_assert_leq(result->structured.len, TOOL_RESULT_MAX);
	fixture_tool_is("total", "20");
	fixture_tool_is("count", "9");
	fixture_tool_is("has_more", "true");
	fixture_tool_is("next_offset", "9");
	fixture_tool_is("truncated", "true");
	last = path_get(result->structured, "instances[-1].id");
	cr_assert_eq(last.at[last.len - 2], '8');

	fixture_tool_call(NULL, LISTING, "{\"offset\":18}");
	fixture_tool_is("count", "2");
	fixture_tool_is("has_more", "false");
	fixture_tool_is("truncated", NULL);
}

Test(mapping, refuses_an_item_that_is_too_long)
{
	const struct fixture_tool_result *result;

	fixture_tool_answer(LIST, wide(1, TOOL_RESULT_MAX));
	result = fixture_tool_call(NULL, LISTING, NULL);
	cr_assert(result->is_error);
	cr_assert_not_null(strstr(result->text, "offset 0"));
}

/* --- phases --------------------------------------------------------------- */

#define PHASES                                                                \
	"{\"title\":\"T\",\"parameters\":{\"vcn_id\":{\"type\":\"string\"},"  \
	"\"with\":{\"type\":\"boolean\",\"default\":true}},"                  \
	"\"required\":[\"vcn_id\"],\"requests\":["                            \
	"{\"as\":\"nets\",\"operation\":\"" NETS "\",\"query\":{"             \
	"\"compartmentId\":\"$answer.vcn.compartmentId\","                    \
	"\"vcnId\":\"$vcn_id\"},\"list\":true,\"when\":\"$with\","            \
	"\"optional\":true},"                                                 \
	"{\"as\":\"vcn\",\"operation\":\"" VCN "\","                          \
	"\"path\":{\"vcnId\":\"$vcn_id\"}}],"                                 \
	"\"answer\":{\"fields\":{\"id\":\"vcn.id\",\"asked\":\"$vcn_id\","    \
	"\"subnets\":{\"from\":\"nets\",\"each\":{\"name\":\"displayName\","  \
	"\"public\":{\"not\":\"private\"},\"kind\":{\"const\":\"subnet\"}}}," \
	"\"names\":{\"from\":\"nets\",\"each\":\"displayName\"},"             \
	"\"n\":{\"count\":\"nets\"},\"options\":{\"from\":\"vcn.options\","   \
	"\"fields\":{\"a\":\"a.b\"}}}}}"

#define PHASES_VCN                                             \
	"{\"id\":\"v1\",\"compartmentId\":\"c1\",\"options\":" \
	"{\"a\":{\"b\":[1]}}}"

Test(mapping, waits_for_the_answers_it_refers_to)
{
	fixture_tool_answer(VCN, PHASES_VCN);
	fixture_tool_answer(NETS, "[{\"displayName\":\"n1\",\"private\":true},"
	                          "{\"displayName\":\"n2\",\"private\":false},"
	                          "{\"displayName\":null}]");
	cr_assert_not(fixture_tool_call(NULL, PHASES, "{\"vcn_id\":\"v1\"}")
	                      ->is_error);
	cr_assert_str_eq(fixture_tool_asked(0), VCN " GET /20160918/vcns/v1");
	cr_assert_not_null(
		strstr(fixture_tool_asked(1), "compartmentId=c1&vcnId=v1"));
	fixture_tool_is("id", "\"v1\"");
	fixture_tool_is("asked", "\"v1\"");
	fixture_tool_is(
		"subnets",
		"[{\"name\":\"n1\",\"public\":false,\"kind\":\"subnet\"},"
		"{\"name\":\"n2\",\"public\":true,\"kind\":\"subnet\"},"
		"{\"name\":null,\"public\":null,\"kind\":\"subnet\"}]");
	fixture_tool_is("names", "[\"n1\",\"n2\",null]");
	fixture_tool_is("n", "3");
	fixture_tool_is("options", "{\"a\":[1]}");
	fixture_tool_is("warnings", NULL);
}

Test(mapping, leaves_out_what_is_not_wanted)
{
	fixture_tool_answer(VCN, PHASES_VCN);
	fixture_tool_call(NULL, PHASES, "{\"vcn_id\":\"v1\",\"with\":false}");
	cr_assert_null(fixture_tool_asked(1));
	fixture_tool_is("subnets", "null");
	fixture_tool_is("n", "null");
	fixture_tool_is("warnings", NULL);
}

Test(mapping, goes_on_without_what_is_optional)
{
	fixture_tool_answer(VCN, PHASES_VCN);
	fixture_tool_refuse(NETS, 403, "NotAuthorized", "No.");
	cr_assert_not(fixture_tool_call(NULL, PHASES, "{\"vcn_id\":\"v1\"}")
	                      ->is_error);
	fixture_tool_is("subnets", "null");
	fixture_tool_is("warnings[0]",
	                "\"nets: NotAuthorized: No. (opc-request-id "
	                "fixture-2)\"");
	fixture_tool_is("warnings[1]", NULL);
}

Test(mapping, fails_without_what_is_not_optional)
{
	const struct fixture_tool_result *result =
		fixture_tool_call(NULL, PHASES, "{\"vcn_id\":\"v1\"}");

	cr_assert(result->is_error);
	cr_assert_str_eq(result->category, "not_found");
	fixture_tool_is("details.status", "404");
	cr_assert_null(fixture_tool_asked(1));
}

/* --- bodies --------------------------------------------------------------- */

#define BODY                                                                   \
	"{\"title\":\"T\",\"parameters\":{\"n\":{\"type\":\"integer\"},"       \
	"\"t\":{\"type\":\"string\"},\"a\":{\"type\":\"array\"},"              \
	"\"region\":{\"type\":\"string\"}},\"requests\":[{\"as\":\"x\","       \
	"\"operation\":\"resource_search/ResourceSearch/SearchResources\","    \
	"\"query\":{\"limit\":\"$n\",\"page\":\"$a\",\"tenantId\":\"fixed\"}," \
	"\"headers\":{\"opc-client\":\"$t\"},\"body\":{\"n\":\"$n\","          \
	"\"t\":\"$t\",\"in\":{\"a\":\"$a\",\"l\":[\"$n\",\"$t\",1,null]},"     \
	"\"tenancy\":\"$tenancy\",\"region\":\"$region\",\"d\":\"$$x\","       \
	"\"yes\":true}}],\"answer\":{\"fields\":{\"x\":\"x.y\"}}}"

Test(mapping, writes_bodies)
{
	fixture_tool_answer("resource_search/ResourceSearch/SearchResources",
	                    "{\"y\":1}");
	fixture_tool_call(NULL, BODY,
	                  "{\"n\":7,\"t\":\"a\\\"b\",\"a\":[\"p\",\"q\"]}");
	cr_assert_not_null(
		strstr(fixture_tool_asked(0),
	               "?limit=7&page=p&page=q&tenantId=fixed "
	               "{\"n\":7,\"t\":\"a\\\"b\",\"in\":{\"a\":[\"p\",\"q\"],"
	               "\"l\":[7,\"a\\\"b\",1,null]},\"tenancy\":"
	               "\"" FIXTURE_TENANCY "\",\"region\":\"" FIXTURE_REGION
	               "\",\"d\":\"$x\",\"yes\":true}"),
		"%s", fixture_tool_asked(0));
	cr_assert_not_null(
		strstr(fixture_tool_fields(0), "opc-client: a\"b\r\n"));
	fixture_tool_is("x", "1");

	fixture_tool_call(NULL, BODY, NULL);
	cr_assert_not_null(strstr(fixture_tool_asked(0),
	                          "?tenantId=fixed {\"in\":{\"l\":[1,null]},"
	                          "\"tenancy\""),
	                   "%s", fixture_tool_asked(0));
}

/* --- recipes that are none ------------------------------------------------ */

#define ONE "\"requests\":[{\"as\":\"x\",\"operation\":\"" LIST "\""

static const char *const bad[] = {
	"{}",
	"{\"requests\":[]}",
	"{\"requests\":[1]}",
	"{\"requests\":[{\"as\":\"x\",\"operation\":\"no/such/Thing\"}]}",
	"{\"requests\":[{\"as\":\"x\"}]}",
	"{" ONE ",\"query\":{\"a\":\"$answer.y.z\"}}]}",
	"{" ONE ",\"query\":{\"a\":\"$answer.x.z\"}}]}",
	"{\"requests\":[{\"as\":\"x\",\"operation\":\"" LIST
	"\",\"query\":{\"a\":\"$answer.y\"}},{\"as\":\"y\",\"operation\":"
	"\"" LIST "\",\"query\":{\"a\":\"$answer.x\"}}]}",
	"{" ONE "}],\"answer\":{\"fields\":[]}}",
	"{" ONE "}],\"answer\":{\"fields\":{\"a\":1}}}",
	"{" ONE "}],\"answer\":{\"fields\":{\"a\":{\"odd\":1}}}}",
	"{" ONE "}],\"answer\":{\"list\":\"y\",\"items\":\"i\"}}",
	"{" ONE "}],\"answer\":{\"list\":\"x\"}}",
	"{" ONE "}],\"answer\":{\"list\":\"x\",\"items\":\"i\",\"fields\":7}}",
	"{" ONE ",\"body\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}]}",
};

Test(mapping, refuses_recipes_that_the_check_would_not_let_through)
{
	fixture_tool_answer(LIST, "[]");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct fixture_tool_result *result =
			fixture_tool_call(NULL, bad[i], NULL);

		cr_assert(result->is_error, "%s", bad[i]);
		cr_assert_str_eq(result->category, "unknown", "%s", bad[i]);
	}
}

Test(mapping, shows_everything_without_an_answer)
{
	fixture_tool_answer(LIST, "[1]");
	fixture_tool_call(NULL, "{\"title\":\"T\"," ONE "}]}", NULL);
	fixture_tool_is("", "{\"x\":[1]}");
}

/* --- writing -------------------------------------------------------------- */

#define WRITE                                                                 \
	"{\"title\":\"T\",\"write\":true,\"annotations\":{"                   \
	"\"destructiveHint\":true},\"parameters\":{\"id\":{\"type\":"         \
	"\"string\"},\"confirm\":{\"type\":\"boolean\"},\"dry_run\":{"        \
	"\"type\":\"boolean\"}},\"requests\":[{\"as\":\"x\",\"operation\":\"" \
	"core/Compute/"                                                       \
	"TerminateInstance\",\"path\":{\"instanceId\":\"$id\"}}]}"

Test(mapping, changes_nothing_without_confirmation)
{
	fixture_tool_answer("core/Compute/TerminateInstance", "null");
	cr_assert(fixture_tool_call(NULL, WRITE, "{\"id\":\"i\"}")->is_error);
	cr_assert_null(fixture_tool_asked(0));

	fixture_tool_call(NULL, WRITE, "{\"id\":\"i\",\"dry_run\":true}");
	fixture_tool_is("dry_run", "true");
	fixture_tool_is("would_call[0]", "\"core/Compute/TerminateInstance\"");
	cr_assert_null(fixture_tool_asked(0));

	cr_assert_not(fixture_tool_call(NULL, WRITE,
	                                "{\"id\":\"i\",\"confirm\":true}")
	                      ->is_error);
	cr_assert_not_null(strstr(fixture_tool_asked(0), "DELETE"));

	fixture_tool_may_write(false);
	cr_assert(fixture_tool_call(NULL, WRITE,
	                            "{\"id\":\"i\",\"confirm\":true}")
	                  ->is_error);
}

/* --- a tool of the stock packs -------------------------------------------- */

#define VCN_ID "ocid1.vcn.oc1.iad.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

Test(mapping, carries_out_tools_of_the_stock_packs)
{
	const struct fixture_tool_result *result;

	fixture_tool_answer(VCN, "{\"id\":\"" VCN_ID "\",\"displayName\":"
	                         "\"main\",\"compartmentId\":\"c\"}");
	fixture_tool_answer(NETS, "[{\"id\":\"ocid1.subnet.oc1..s\","
	                          "\"displayName\":\"web\","
	                          "\"prohibitPublicIpOnVnic\":false}]");
	result = fixture_tool_stock("oci_network_get_vcn",
	                            "{\"vcn_id\":\"" VCN_ID "\","
	                            "\"include_security_lists\":false}");
	cr_assert_not(result->is_error, "%s", result->text);
	fixture_tool_is("vcn.display_name", "\"main\"");
	fixture_tool_is("subnets[0].is_public", "true");
	cr_assert_not_null(strstr(result->text, "### Subnets\n\n| Name |"));
	cr_assert_null(fixture_tool_asked(2));

	result = fixture_tool_stock("oci_network_get_vcn",
	                            "{\"vcn_id\":\"" VCN_ID "\","
	                            "\"response_format\":\"json\"}");
	cr_assert(result->is_error); /* no security lists in the script */
	cr_assert_str_eq(result->category, "not_found");
}
