#include "oci/pack.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "lib/json.h"
#include "lib/scan.h"
#include "lib/value.h"
#include "oci/arguments.h"
#include "oci/stock.h"
#include "proxy/tooldef.h"

/* Two tools that are good: what is changed in the first must not harm the
 * second. */
static const char sample[] =
	"{\n"
	"  \"pack\": \"sample\",\n"
	"  \"title\": \"Sample\",\n"
	"  \"description\": \"For tests.\",\n"
	"  \"tools\": [\n"
	"    {\n"
	"      \"name\": \"list_networks\",\n"
	"      \"aliases\": [\"networks\"],\n"
	"      \"title\": \"List Networks\",\n"
	"      \"description\": \"Lists networks.\",\n"
	"      \"tier\": 2,\n"
	"      \"annotations\": {\"readOnlyHint\": true,"
	" \"destructiveHint\": false,\n"
	"        \"idempotentHint\": true, \"openWorldHint\": true},\n"
	"      \"uses\": [\"compartment_id\", \"limit\", \"offset\"],\n"
	"      \"parameters\": {\n"
	"        \"state\": {\"type\": \"string\", \"enum\": [\"AVAILABLE\","
	" \"TERMINATED\"],\n"
	"          \"description\": \"Only in this state.\"},\n"
	"        \"name\": {\"type\": \"string\", \"minLength\": 1,"
	" \"maxLength\": 9,\n"
	"          \"description\": \"Part of the name.\"},\n"
	"        \"ids\": {\"type\": \"array\", \"items\":"
	" {\"type\": \"string\", \"ocid\": [\"vcn\", \"subnet\"]},\n"
	"          \"description\": \"Only these.\", \"default\": []}\n"
	"      },\n"
	"      \"required\": [\"state\"],\n"
	"      \"requests\": [\n"
	"        {\"as\": \"networks\","
	" \"operation\": \"core/VirtualNetwork/ListVcns\",\n"
	"         \"query\": {\"compartmentId\": \"$compartment_id\","
	" \"lifecycleState\": \"$state\"},\n"
	"         \"list\": true, \"cache\": \"config\"}\n"
	"      ],\n"
	"      \"answer\": {\"list\": \"networks\", \"items\": \"networks\",\n"
	"        \"fields\": {\"id\": \"id\", \"open\": {\"not\": "
	"\"isZprOnly\"},"
	"\n"
	"          \"blocks\": {\"from\": \"cidrBlocks\", \"each\": \"\"}},\n"
	"        \"filter\": [{\"argument\": \"name\","
	" \"field\": \"displayName\", \"match\": \"contains\"}],\n"
	"        \"extra\": {\"compartment_id\": \"$compartment_id\"}},\n"
	"      \"markdown\": {\"title\": \"Networks\", \"lines\":"
	" [[\"Total\", \"total\"]],\n"
	"        \"table\": {\"items\": \"networks\", \"columns\":"
	" [[\"OCID\", \"id\"]], \"empty\": \"None.\"}}\n"
	"    },\n"
	"    {\n"
	"      \"name\": \"get_network\",\n"
	"      \"title\": \"Get Network\",\n"
	"      \"description\": \"Shows a network.\",\n"
	"      \"tier\": 1,\n"
	"      \"annotations\": {\"readOnlyHint\": true,"
	" \"destructiveHint\": false,\n"
	"        \"idempotentHint\": true, \"openWorldHint\": true},\n"
	"      \"parameters\": {\"vcn_id\": {\"type\": \"string\","
	" \"ocid\": \"vcn\", \"description\": \"Which.\"}},\n"
	"      \"required\": [\"vcn_id\"],\n"
	"      \"requests\": [\n"
	"        {\"as\": \"vcn\", \"operation\":"
	" \"core/VirtualNetwork/GetVcn\", \"path\": {\"vcnId\": "
	"\"$vcn_id\"}},\n"
	"        {\"as\": \"table\", \"operation\":"
	" \"core/VirtualNetwork/GetRouteTable\", \"optional\": true,\n"
	"         \"path\": {\"rtId\": \"$answer.vcn.defaultRouteTableId\"}}\n"
	"      ],\n"
	"      \"answer\": {\"fields\": {\"vcn\": {\"from\": \"vcn\","
	" \"fields\": {\"id\": \"id\"}},\n"
	"        \"rules\": {\"from\": \"table.routeRules\", \"each\":"
	" {\"to\": \"destination\"}},\n"
	"        \"n\": {\"count\": \"table.routeRules\"},"
	" \"kind\": {\"const\": \"vcn\"}, \"asked\": \"$vcn_id\"}}\n"
	"    }\n"
	"  ]\n"
	"}\n";

/* The defects of a load. */
struct reports {
	int n;
	char first[1024]; /* "file:line:column: tool: reason" */
	char all[8192];
};

static void note(void *owner, const struct pack_defect *defect)
{
	struct reports *r = owner;
	size_t len = strlen(r->all);
	char line[1024];

	snprintf(line, sizeof(line), "%s:%u:%u: %s: %s", defect->file,
	         defect->place.line, defect->place.column, defect->tool,
	         defect->reason);
	if (r->n++ == 0)
		memcpy(r->first, line, sizeof(line));
	snprintf(r->all + len, sizeof(r->all) - len, "%s\n", line);
}

static bool has_function(struct span name)
{
	return span_is(name, "known");
}

static struct pack_rules rules_of(struct reports *r)
{
	return (struct pack_rules){ has_function, note, r };
}

static void load(struct packs *packs, const char *text, const char *file,
                 struct reports *r)
{
	struct pack_rules rules = rules_of(r);
	int before = r->n;

	cr_assert_eq(pack_load(packs, span_str(text), file, &rules),
	             r->n - before);
}

/* The sample with the first from made to. */
static const char *changed(const char *from, const char *to)
{
	static char text[sizeof(sample) + 4096];
	const char *at = strstr(sample, from);

	cr_assert_not_null(at, "%s", from);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - sample), sample, to,
	         at + strlen(from));
	return text;
}

static bool contains(struct span text, const char *part)
{
	return memmem(text.at, text.len, part, strlen(part)) != NULL;
}

Test(pack, tools_of_the_sample)
{
	struct packs packs = { 0 };
	struct reports r = { 0 };
	const struct pack_tool *t, *alias;

	load(&packs, sample, "sample.json", &r);
	cr_assert_eq(r.n, 0, "%s", r.all);
	cr_assert_eq(packs.n_tools, 3);
	cr_expect_str_eq(packs.tools[0].name, "get_network");
	cr_expect_str_eq(packs.tools[1].name, "list_networks");
	cr_expect_str_eq(packs.tools[2].name, "networks");
	cr_assert_eq(packs.n_domains, 1);
	cr_expect_str_eq(packs.domains[0].title, "Sample");
	cr_expect_eq(packs.domains[0].n_tools, 2);

	t = pack_find(&packs, SPAN("list_networks"));
	cr_assert_not_null(t);
	cr_expect_str_eq(t->title, "List Networks");
	cr_expect_str_eq(t->pack, "sample");
	cr_expect_str_eq(t->file, "sample.json");
	cr_expect_null(t->function);
	cr_expect_null(t->original);
	cr_expect_eq(t->flags, PACK_READ_ONLY);
	cr_expect_eq(t->tier, 2);
	cr_expect_eq(t->place.line, 7);
	cr_expect(span_is(t->description, "Lists networks."));

	alias = pack_find(&packs, SPAN("networks"));
	cr_assert_not_null(alias);
	cr_expect_str_eq(alias->title, "List Networks (Alias)");
	cr_expect_str_eq(alias->original, "list_networks");
	cr_expect_eq(alias->flags, PACK_READ_ONLY | PACK_ALIAS);
	cr_expect_eq(alias->recipe.at, t->recipe.at);
	cr_expect_null(pack_find(&packs, SPAN("network")));
	cr_expect_null(pack_find(&packs, SPAN("")));
	pack_fini(&packs);
	cr_expect_eq(packs.n_tools, 0);
}

Test(pack, a_definition)
{
	static const char expected[] =
		"{\"name\":\"networks\",\"title\":\"List Networks (Alias)\","
		"\"description\":\"Lists networks.\",\"inputSchema\":{"
		"\"type\":\"object\",\"properties\":{"
		"\"state\":{\"type\":\"string\",\"enum\":[\"AVAILABLE\","
		"\"TERMINATED\"],\"description\":\"Only in this state.\"},"
		"\"name\":{\"type\":\"string\",\"minLength\":1,"
		"\"maxLength\":9,\"description\":\"Part of the name.\"},"
		"\"ids\":{\"type\":\"array\",\"items\":{\"type\":\"string\","
		"\"pattern\":\"^ocid1\\\\.(vcn|subnet)\\\\.\"},"
		"\"description\":\"Only these.\",\"default\":[]},"
		"\"compartment_id\":{\"type\":\"string\",\"description\":";
	static const char schema[] =
		"\"required\":[\"state\"],\"additionalProperties\":false},"
		"\"outputSchema\":{\"type\":\"object\",\"properties\":{"
		"\"total\":{\"type\":[\"integer\",\"null\"]},"
		"\"count\":{\"type\":\"integer\"},"
		"\"offset\":{\"type\":\"integer\"},"
		"\"networks\":{\"type\":\"array\",\"items\":{"
		"\"type\":\"object\",\"properties\":{\"id\":{},"
		"\"open\":{\"type\":[\"boolean\",\"null\"]},"
		"\"blocks\":{\"type\":[\"array\",\"null\"],\"items\":{}}}}},"
		"\"has_more\":{\"type\":\"boolean\"},"
		"\"next_offset\":{\"type\":[\"integer\",\"null\"]},"
		"\"truncated\":{\"type\":\"boolean\"},"
		"\"compartment_id\":{},"
		"\"warnings\":{\"type\":\"array\",\"items\":"
		"{\"type\":\"string\"}}},"
		"\"required\":[\"total\",\"count\",\"offset\",\"networks\","
		"\"has_more\",\"next_offset\"]},"
		"\"annotations\":{\"title\":\"List Networks (Alias)\","
		"\"readOnlyHint\":true,\"destructiveHint\":false,"
		"\"idempotentHint\":true,\"openWorldHint\":true}}";
	struct packs packs = { 0 };
	struct reports r = { 0 };
	struct span d;

	load(&packs, sample, "sample.json", &r);
	d = pack_find(&packs, SPAN("networks"))->definition;
	cr_expect(span_starts(d, span_str(expected)), "%.*s", SPAN_ARG(d));
	cr_assert_gt(d.len, strlen(schema));
	cr_expect(span_is(span_from(d, d.len - strlen(schema)), schema), "%.*s",
	          SPAN_ARG(d));
	cr_expect(contains(d, "\"pattern\":\"^ocid1\\\\."
	                      "(compartment|tenancy)\\\\.\""));
	cr_expect(contains(d, "\"limit\":{"));
	cr_expect(contains(d, "\"response_format\":{"));
	cr_expect_not(contains(d, "\"region\""));
	cr_expect_not(contains(d, "\"ocid\""));
	d = pack_find(&packs, SPAN("get_network"))->definition;
	cr_expect(
		contains(d,
	                 "\"outputSchema\":{\"type\":\"object\","
	                 "\"properties\":{\"vcn\":{\"type\":[\"object\","
	                 "\"null\"],"
	                 "\"properties\":{\"id\":{}}},\"rules\":{\"type\":"
	                 "[\"array\",\"null\"],\"items\":{\"type\":[\"object\","
	                 "\"null\"],\"properties\":{\"to\":{}}}},\"n\":{"
	                 "\"type\":"
	                 "[\"integer\",\"null\"]},\"kind\":{\"const\":\"vcn\"},"
	                 "\"asked\":{},"),
		"%.*s", SPAN_ARG(d));
	pack_fini(&packs);
}

Test(pack, a_recipe_is_what_arguments_are_checked_against)
{
	struct packs packs = { 0 };
	struct reports r = { 0 };
	struct buf flat = { .max = 4096 };
	struct arguments_fault why;
	struct span recipe;

	load(&packs, sample, "sample.json", &r);
	recipe = pack_find(&packs, SPAN("networks"))->recipe;
	cr_expect(span_starts(recipe, SPAN("{\"pack\":\"sample\","
	                                   "\"parameters\":{\"state\":{")));
	cr_expect(value_string_eq(value_get(recipe, SPAN("name")),
	                          SPAN("list_networks")));
	cr_expect(contains(recipe, "\"ocid\":[\"vcn\",\"subnet\"]"));
	cr_expect(contains(recipe, "\"inputSchema\":{"));
	cr_expect_not(
		contains(value_get(recipe, SPAN("parameters")), "description"));
	cr_assert_eq(arguments_check(recipe, SPAN("{\"state\":\"available\"}"),
	                             &flat, &why),
	             0, "%s", why.text);
	cr_expect(span_is(buf_span(&flat),
	                  "{\"state\":\"AVAILABLE\",\"ids\":[],\"limit\":20,"
	                  "\"offset\":0,\"response_format\":\"markdown\"}"),
	          "%.*s", SPAN_ARG(buf_span(&flat)));
	buf_free(&flat);
	pack_fini(&packs);
}

/* Each change is a defect of the first tool. */
static const struct {
	const char *from, *to, *report;
} defects[] = {
	/* names and members */
	{ "\"list_networks\"", "\"list-networks\"",
	  ":7:15: list-networks: the name of a tool is 1 to 64 of" },
	{ "\"list_networks\"", "\"\"", ":7:15: : the name of a tool is" },
	{ "\"list_networks\"", "7", ":7:15: : \"name\" must be a string" },
	{ "\"name\": \"list_networks\",", "", "a tool must have \"name\"" },
	{ "\"tier\"", "\"teir\"",
	  ":11:7: list_networks: \"teir\" is no member of a tool; is "
	  "\"tier\"" },
	{ "\"tier\": 2", "\"tier\": 5",
	  ":11:15: list_networks: \"tier\" is 1" },
	{ "\"tier\": 2", "\"tier\": \"2\"", "\"tier\" must be a number" },
	{ "\"List Networks\"", "\"\"", "\"title\" is empty" },
	/* annotations */
	{ "\"readOnlyHint\": true, ", "", "must have \"readOnlyHint\"" },
	{ "\"readOnlyHint\": true", "\"readOnlyHint\": false",
	  "a tool without \"write\" is read-only" },
	{ "\"destructiveHint\": false", "\"destructiveHint\": true",
	  "a tool that only reads destroys nothing" },
	{ "\"tier\": 2", "\"tier\": 2, \"write\": true",
	  "a tool that writes is not read-only" },
	/* parameters */
	{ "\"limit\", \"offset\"", "\"limit\", \"ofset\"",
	  "no shared parameter of this name; is \"offset\" meant?" },
	{ "\"limit\", \"offset\"", "\"limit\", \"limit\"", "named twice" },
	{ "\"state\": {", "\"State\": {",
	  "the name of a parameter is 1 to 64" },
	{ "\"state\": {", "\"now\": {", "\"now\" is no name for a parameter" },
	{ "\"state\": {", "\"limit\": {", "\"limit\" is in \"uses\" already" },
	{ "\"type\": \"string\", \"enum\"", "\"type\": \"strnig\", \"enum\"",
	  "\"strnig\" is no type" },
	{ "\"type\": \"string\", \"enum\"", "\"type\": \"integer\", \"enum\"",
	  "\"enum\" belongs to type string" },
	{ "\"minLength\"", "\"minLenght\"",
	  "no member of a schema; is \"minLength\" meant?" },
	{ "\"minLength\": 1", "\"minimum\": 1",
	  "\"minimum\" belongs to type integer or number" },
	{ "\"minLength\": 1", "\"minLength\": 10",
	  "\"minLength\" is more than \"maxLength\"" },
	{ "\"minLength\": 1", "\"minLength\": 1.5", "are integers from 0 on" },
	{ "\"minLength\": 1", "\"pattern\": \"(a|b)\"",
	  "this pattern is not understood" },
	{ "\"minLength\": 1", "\"format\": \"uri\"",
	  "\"format\" is date-time or date" },
	{ "\"minLength\": 1", "\"format\": \"date\", \"pattern\": \"^a$\"",
	  "only one of" },
	{ "[\"AVAILABLE\", \"TERMINATED\"]", "[]", "\"enum\" lists nothing" },
	{ "\"TERMINATED\"", "\"available\"", "is listed twice" },
	{ "\"TERMINATED\"", "1", "values of \"enum\" are strings" },
	{ "[\"vcn\", \"subnet\"]", "[]", "\"ocid\" lists nothing" },
	{ "[\"vcn\", \"subnet\"]", "\"VCN.\"", "\"ocid\" is a type such as" },
	{ "\"description\": \"Only these.\", ", "", "must have a description" },
	{ "\"default\": []", "\"default\": [1]",
	  "the default does not fit: the argument \"ids[0]\" must be" },
	{ "\"default\": []", "\"default\": null", "null is no default" },
	{ "\"required\": [\"state\"]", "\"required\": [\"stat\"]",
	  "\"required\" lists names of parameters" },
	{ "\"required\": [\"state\"]", "\"required\": [\"ids\"]",
	  "\"ids\" has a default" },
	/* requests */
	{ "\"requests\": [", "\"function\": \"known\", \"requests\": [",
	  "either \"requests\" or \"function\"" },
	{ "core/VirtualNetwork/ListVcns", "core/VirtualNetwork/ListVncs",
	  ":25:41: list_networks: there is no operation "
	  "\"core/VirtualNetwork/ListVncs\"; is \"core/" },
	{ "core/VirtualNetwork/ListVcns", "ListVcns",
	  "the full name of this operation is "
	  "\"core/VirtualNetwork/ListVcns\"" },
	{ "core/VirtualNetwork/ListVcns", "core/VirtualNetwork/GetVcn",
	  "GetVcn has no query parameter \"compartmentId\"" },
	{ "core/VirtualNetwork/ListVcns", "core/VirtualNetwork/DeleteVcn",
	  "DeleteVcn has no query" },
	{ "\"compartmentId\": \"$compartment_id\", ", "",
	  "ListVcns needs the query parameter \"compartmentId\"" },
	{ "\"lifecycleState\"", "\"lifecyclestate\"",
	  "ListVcns has no query parameter \"lifecyclestate\"; is "
	  "\"lifecycleState\" meant?" },
	{ "\"$state\"", "\"$stat\"",
	  "the tool has no parameter \"stat\"; is \"state\" meant?" },
	{ "\"$state\"", "\"$\"", "a dollar is followed by" },
	{ "\"$state\"", "\"RUNNING\"", "lifecycleState" },
	{ "\"$state\"", "{}", "a parameter is a string, a number" },
	{ "\"$state\"", "\"$answer.networks.x\"", "is not there yet" },
	{ "\"$state\"", "\"$answer.other.x\"",
	  "no request is called \"other\"" },
	{ "\"as\": \"networks\", ", "", "a request must have \"as\"" },
	{ "\"operation\": \"core/VirtualNetwork/ListVcns\",", "",
	  "a request must have \"operation\"" },
	{ "\"as\": \"networks\"", "\"as\": \"a b\"", "\"as\" is 1 to 64" },
	{ "\"list\": true", "\"list\": true, \"body\": {}",
	  "ListVcns takes no body" },
	{ "\"list\": true", "\"list\": true, \"when\": \"state\"",
	  "\"when\" is a reference" },
	{ "\"list\": true, ", "", "must have \"list\": true" },
	{ "\"cache\": \"config\"", "\"cache\": \"forever\"",
	  "\"cache\" is static, config" },
	{ "\"cache\": \"config\"", "\"cahce\": \"config\"",
	  "no member of a request; is \"cache\" meant?" },
	/* answers */
	{ "\"list\": \"networks\"", "\"list\": \"network\"",
	  "no request is called \"network\"" },
	{ "\"items\": \"networks\"", "\"items\": \"total\"",
	  "a member \"total\" already" },
	{ "\"extra\": {\"compartment_id\"", "\"extra\": {\"count\"",
	  "a member \"count\" already" },
	{ "{\"not\": \"isZprOnly\"}", "{\"nto\": \"isZprOnly\"}",
	  "this is not a shape" },
	{ "{\"not\": \"isZprOnly\"}", "{\"not\": \"a[\"}",
	  "this is not a path" },
	{ "{\"not\": \"isZprOnly\"}", "{\"not\": 1}", "a path is a string" },
	{ "{\"not\": \"isZprOnly\"}", "1", "this is not a shape" },
	{ "\"id\": \"id\", \"open\"", "\"id\": \"di\", \"open\"",
	  "the service knows no \"di\" here" },
	{ "\"cidrBlocks\"", "\"cidrBloks\"",
	  "no \"cidrBloks\" here; is \"cidrBlocks\" meant?" },
	{ "\"each\": \"\"", "\"each\": \"x\"",
	  "the service knows no \"x\" here" },
	{ "\"displayName\"", "\"displayname\"", "is \"displayName\" meant?" },
	{ "\"argument\": \"name\"", "\"argument\": \"names\"",
	  "no parameter \"names\"; is \"name\" meant?" },
	{ "\"contains\"", "\"like\"", "\"match\" is contains" },
	/* Markdown */
	{ "[\"Total\", \"total\"]", "[\"Total\"]", "a list of a word and" },
	{ "[\"OCID\", \"id\"]", "[\"OCID\", \"id.\"]", "this is not a path" },
	{ "[[\"OCID\", \"id\"]]", "[]", "at least one column" },
	{ "\"empty\"", "\"emtpy\"", "is \"empty\" meant?" },
	{ "\"answer\":", "\"outputSchema\": {\"type\": \"array\"}, \"answer\":",
	  "\"outputSchema\" must be of type object" },
};

Test(pack, a_defect_is_reported_and_the_rest_is_loaded)
{
	for (size_t i = 0; i < ARRAY_LEN(defects); i++) {
		struct packs packs = { 0 };
		struct reports r = { 0 };

		load(&packs, changed(defects[i].from, defects[i].to), "a.json",
		     &r);
		cr_expect_gt(r.n, 0, "%s -> %s", defects[i].from,
		             defects[i].to);
		cr_expect_not_null(strstr(r.all, defects[i].report),
		                   "%s -> %s:\n%s", defects[i].from,
		                   defects[i].to, r.all);
		cr_expect_eq(packs.n_tools, 1, "%s", defects[i].to);
		cr_expect_not_null(pack_find(&packs, SPAN("get_network")));
		pack_fini(&packs);
	}
}

/* Changes of the second tool: requests that need each other. */
Test(pack, an_answer_is_used_after_it_was_asked_for)
{
	static const struct {
		const char *from, *to, *report;
	} cases[] = {
		{ "\"as\": \"table\"", "\"as\": \"vcn\"",
		  "two requests are called \"vcn\"" },
		{ "\"$vcn_id\"}},", "\"$answer.table.id\"}},",
		  "the answer of \"table\" is not there yet" },
		{ "\"vcnId\": \"$vcn_id\"", "\"vcnId\": \"\"", "vcnId" },
		{ "\"path\": {\"vcnId\": \"$vcn_id\"}", "\"path\": {}",
		  "GetVcn needs the path parameter \"vcnId\"" },
		{ "\"optional\": true", "\"list\": true",
		  "GetRouteTable does not answer a list" },
		{ "\"count\": \"table.routeRules\"",
		  "\"count\": \"tables.routeRules\"",
		  "no request is called \"tables\"" },
		{ "\"const\": \"vcn\"", "\"const\": 1, \"x\": 2",
		  "this is not a shape" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct packs packs = { 0 };
		struct reports r = { 0 };

		load(&packs, changed(cases[i].from, cases[i].to), "a.json", &r);
		cr_expect_not_null(strstr(r.all, cases[i].report), "%s:\n%s",
		                   cases[i].to, r.all);
		cr_expect_null(pack_find(&packs, SPAN("get_network")));
		cr_expect_eq(packs.n_tools, 2);
		pack_fini(&packs);
	}
}

#define WRITE(annotations, rest)                                             \
	"{\"pack\":\"w\",\"title\":\"W\",\"description\":\"W\",\"tools\":[{" \
	"\"name\":\"do_it\",\"title\":\"Do\",\"description\":\"Does.\","     \
	"\"tier\":4,\"annotations\":{" annotations                           \
	"\"idempotentHint\":true,\"openWorldHint\":true}," rest "}]}"

#define DELETE                                                              \
	"\"parameters\":{\"vcn_id\":{\"type\":\"string\",\"ocid\":\"vcn\"," \
	"\"description\":\"Which.\"}},\"required\":[\"vcn_id\"],"           \
	"\"requests\":[{\"as\":\"gone\",\"operation\":"                     \
	"\"core/VirtualNetwork/DeleteVcn\",\"path\":{\"vcnId\":\"$vcn_id\"}}]"

Test(pack, honesty_of_what_writes)
{
	static const struct {
		const char *text, *report;
	} cases[] = {
		{ WRITE("\"readOnlyHint\":true,\"destructiveHint\":false,",
		        DELETE),
		  "DeleteVcn changes something: the tool must have \"write\"" },
		{ WRITE("\"readOnlyHint\":false,\"destructiveHint\":false,",
		        "\"write\":true," DELETE),
		  "\"destructiveHint\" must be true" },
		{ WRITE("\"readOnlyHint\":false,\"destructiveHint\":true,",
		        "\"write\":true," DELETE),
		  "must have \"confirm\" in \"uses\"" },
		{ WRITE("\"readOnlyHint\":false,\"destructiveHint\":true,",
		        "\"write\":true,\"uses\":[\"confirm\"]," DELETE),
		  NULL },
		{ WRITE("\"readOnlyHint\":true,\"destructiveHint\":false,",
		        "\"function\":\"known\",\"outputSchema\":"
		        "{\"type\":\"object\"}"),
		  NULL },
		{ WRITE("\"readOnlyHint\":true,\"destructiveHint\":false,",
		        "\"function\":\"known\""),
		  "a tool with a function must have \"outputSchema\"" },
		{ WRITE("\"readOnlyHint\":true,\"destructiveHint\":false,",
		        "\"function\":\"unknown\",\"outputSchema\":"
		        "{\"type\":\"object\"}"),
		  "there is no function \"unknown\"" },
		{ WRITE("\"readOnlyHint\":true,\"destructiveHint\":false,",
		        "\"function\":\"known\",\"answer\":{},\"outputSchema\":"
		        "{\"type\":\"object\"}"),
		  "\"answer\" belongs to \"requests\"" },
		{ WRITE("\"readOnlyHint\":true,\"destructiveHint\":false,",
		        "\"requests\":[]"),
		  "a tool has 1 to 32 requests" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct packs packs = { 0 };
		struct reports r = { 0 };

		load(&packs, cases[i].text, "w.json", &r);
		if (cases[i].report)
			cr_expect_not_null(strstr(r.all, cases[i].report),
			                   "%zu: %s", i, r.all);
		else
			cr_expect_eq(r.n, 0, "%zu: %s", i, r.all);
		cr_expect_eq(packs.n_tools, cases[i].report ? 0u : 1u);
		pack_fini(&packs);
	}
}

Test(pack, write_tools_are_shown_when_mutations_are_allowed)
{
	struct packs packs = { 0 };
	struct reports r = { 0 };
	struct buf out = { .max = 1 << 16 };
	const struct pack_tool *t;

	load(&packs, sample, "sample.json", &r);
	load(&packs,
	     WRITE("\"readOnlyHint\":false,\"destructiveHint\":true,",
	           "\"write\":true,\"uses\":[\"confirm\"]," DELETE),
	     "w.json", &r);
	cr_assert_eq(r.n, 0, "%s", r.all);
	t = pack_find(&packs, SPAN("do_it"));
	cr_expect_eq(t->flags, PACK_WRITE | PACK_DESTRUCTIVE);
	pack_definitions(&packs, false, &out);
	cr_assert_eq(buf_err(&out), 0);
	cr_expect_eq(out.bytes[out.len - 1], ',');
	cr_expect(contains(buf_span(&out), "\"name\":\"get_network\""));
	cr_expect_not(contains(buf_span(&out), "\"name\":\"do_it\""));
	buf_reset(&out);
	pack_definitions(&packs, true, &out);
	cr_expect(contains(buf_span(&out), "{\"name\":\"do_it\""));
	buf_free(&out);
	pack_fini(&packs);
}

Test(pack, files_that_are_no_packs)
{
	static const struct {
		const char *text, *report;
	} cases[] = {
		{ "", "x.json:1:1: : " },
		{ "{\n  \"pack\": }", "x.json:2:" },
		{ "[]",
		  "x.json:1:1: : a pack must be an object, not an array" },
		{ "{}", "a pack must have \"pack\"" },
		{ "{\"pack\":\"a\",\"title\":\"A\",\"description\":\"\","
		  "\"tools\":{}}",
		  "\"tools\" must be an array, not an object" },
		{ "{\"pack\":\"A\",\"title\":\"A\",\"description\":\"\","
		  "\"tools\":[]}",
		  "the name of a pack is 1 to 64" },
		{ "{\"pack\":\"a\",\"title\":\"A\",\"description\":\"\","
		  "\"tools\":[1]}",
		  "a tool must be an object, not a number" },
	};
	struct packs packs = { 0 };
	struct reports good = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct reports r = { 0 };

		load(&packs, cases[i].text, "x.json", &r);
		cr_expect_not_null(strstr(r.all, cases[i].report), "%s", r.all);
	}
	cr_expect_eq(packs.n_tools, 0);
	load(&packs, sample, "sample.json", &good);
	cr_expect_eq(good.n, 0);
	cr_expect_eq(packs.n_tools, 3);
	pack_fini(&packs);
}

Test(pack, the_first_of_a_name_wins)
{
	struct packs packs = { 0 };
	struct reports r = { 0 };
	char text[sizeof(sample) + 64];

	load(&packs, sample, "a.json", &r);
	/* Its alias is the name of a tool, and its name is new. */
	snprintf(text, sizeof(text), "%s",
	         changed("\"name\": \"list_networks\"",
	                 "\"name\": \"list_all\""));
	load(&packs, text, "b.json", &r);
	cr_expect_eq(r.n, 2);
	cr_expect_not_null(
		strstr(r.all,
	               "b.json:8:19: list_all: the name \"networks\" is taken: "
	               "a.json:8:19\n"),
		"%s", r.all);
	cr_expect_not_null(strstr(r.all,
	                          "get_network: the name \"get_network\" "
	                          "is taken: a.json:38:15\n"),
	                   "%s", r.all);
	cr_expect_eq(packs.n_tools, 4);
	cr_expect_str_eq(pack_find(&packs, SPAN("networks"))->file, "a.json");
	cr_expect_str_eq(pack_find(&packs, SPAN("list_all"))->file, "b.json");
	cr_expect_eq(packs.n_domains, 1);
	cr_expect_eq(packs.domains[0].n_tools, 3);
	pack_fini(&packs);
}

Test(pack, packs_one_behind_the_other)
{
	char text[3 * sizeof(sample)];
	struct packs packs = { 0 };
	struct reports r = { 0 };
	struct pack_rules rules = rules_of(&r);

	snprintf(text, sizeof(text), "%s%s%s", sample,
	         WRITE("\"readOnlyHint\":true,\"destructiveHint\":false,",
	               "\"function\":\"known\",\"outputSchema\":"
	               "{\"type\":\"object\"}"),
	         " { \"pack\": \"}{\\\"\", }");
	cr_assert_eq(pack_load_all(&packs, span_str(text), &rules), 1);
	cr_expect(strncmp(r.first, "stock.json:1:", 13) == 0, "%s", r.first);
	cr_expect_eq(packs.n_tools, 4);
	cr_expect_str_eq(pack_find(&packs, SPAN("do_it"))->file, "w.json");
	cr_expect_str_eq(pack_find(&packs, SPAN("networks"))->file,
	                 "sample.json");
	cr_expect_eq(packs.n_domains, 2);
	pack_fini(&packs);
	cr_expect_eq(pack_load_all(&packs, SPAN(" \n"), &rules), 0);
	pack_fini(&packs);
}

/* Nothing but the first bytes of a good text. */
Test(pack, cut_at_every_byte)
{
	for (size_t n = 0; n < sizeof(sample) - 2; n++) {
		struct packs packs = { 0 };
		struct reports r = { 0 };
		struct pack_rules rules = rules_of(&r);

		cr_expect_eq(
			pack_load(&packs, span_of(sample, n), "a.json", &rules),
			1);
		cr_expect_eq(packs.n_tools, 0);
		pack_fini(&packs);
	}
}

static bool any_function(struct span name)
{
	return name.len > 0;
}

/* The packs that are built in are good, and so is what comes of them. */
Test(pack, stock)
{
	struct packs packs = { 0 };
	struct reports r = { 0 };
	struct pack_rules rules = { any_function, note, &r };
	struct tooldef def = { 0 };

	cr_assert_eq(pack_load_all(&packs, stock_packs(), &rules), 0, "%s",
	             r.all);
	cr_expect_geq(packs.n_tools, 44);
	for (size_t i = 0; i < packs.n_tools; i++) {
		const struct pack_tool *t = &packs.tools[i];
		struct scan_error why;

		cr_expect_eq(scan_document(t->recipe, NULL, 0, NULL, &why),
		             SCAN_OK, "%s", t->name);
		cr_expect_eq(scan_document(t->definition, NULL, 0, NULL, &why),
		             SCAN_OK, "%s", t->name);
		cr_expect_null(tooldef_read(LIST_TOOLS, VIEW_MODERN,
		                            t->definition, &def),
		               "%s", t->name);
		cr_expect(tooldef_is_object_schema(def.input_schema));
		cr_expect(tooldef_is_object_schema(def.output_schema));
	}
	tooldef_fini(&def);
	pack_fini(&packs);
}
