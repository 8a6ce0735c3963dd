#include "oci/generic.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/value.h"
#include "oci/path.h"
#include "tests/unit/fixture_tool.h"

TestSuite(generic, .init = fixture_tool_begin, .fini = fixture_tool_end,
          .timeout = 60);

#define GET    "core/Compute/GetInstance"
#define LIST   "core/Compute/ListInstances"
#define EVENTS "announcements_service/Announcement/ListAnnouncements"
#define BUCKET "object_storage/ObjectStorage/GetBucket"
#define TAG    "data_catalog/DataCatalog/GetAttributeTag"
#define VCN    "core/VirtualNetwork/CreateVcn"
#define VCN_ID "core/VirtualNetwork/UpdateVcn"
#define MOVE   "core/Compute/ChangeInstanceCompartment"
#define ACTION "core/Compute/InstanceAction"
#define END    "core/Compute/TerminateInstance"
#define OCID   "ocid1.instance.oc1.iad.aaaa"
#define HERE   "ocid1.compartment.oc1..here"
#define THERE  "ocid1.compartment.oc1..there"

/* Call an operation with more members of the arguments. */
static const struct fixture_tool_result *call(const char *operation,
                                              const char *more)
{
	struct buf text = { .max = 1 << 20 };
	const struct fixture_tool_result *result;

	buf_addf(&text, "{\"operation\":\"%s\"%s%s}", operation,
	         *more ? "," : "", more);
	buf_putc(&text, '\0');
	result = fixture_tool_stock("oci_call_operation", text.bytes);
	buf_free(&text);
	return result;
}

static bool says(const struct fixture_tool_result *r, const char *words)
{
	return strstr(r->structured.at, words) != NULL;
}

/* --- finding -------------------------------------------------------------- */

Test(generic, operations_are_found)
{
	static const struct {
		const char *arguments, *path, *raw;
	} rows[] = {
		{ "{\"query\":\"launch instance\"}", "operations[0].operation",
		  "\"core/Compute/LaunchInstance\"" },
		{ "{\"query\":\"launch instance\",\"limit\":1}", "count", "1" },
		{ "{\"query\":\"vcn\",\"service\":\"core\",\"method\":"
		  "\"POST\",\"limit\":1}",
		  "operations[0].method", "\"POST\"" },
		{ "{\"query\":\"instance\",\"read_only\":true,\"limit\":1}",
		  "operations[0].read_only", "true" },
		{ "{\"query\":\"zzzz qqqq\"}", "total", "0" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_expect_not(fixture_tool_stock("oci_search_operations",
		                                 rows[i].arguments)
		                      ->is_error);
		fixture_tool_is(rows[i].path, rows[i].raw);
	}
}

Test(generic, operations_are_described)
{
	static const struct {
		const char *name, *path, *raw;
	} rows[] = {
		{ GET, "method", "\"GET\"" },
		{ GET, "path", "\"/20160918/instances/{instanceId}\"" },
		{ GET, "body", "null" },
		{ GET, "parameters[0].name", "\"instanceId\"" },
		{ GET, "parameters[0].in", "\"path\"" },
		{ GET, "parameters[0].required", "true" },
		{ GET, "response.shape", "\"object\"" },
		{ LIST, "response.shape", "\"list\"" },
		{ LIST, "response.pages", "true" },
		{ END, "destructive", "true" },
		{ END, "read_only", "false" },
		{ VCN, "body.model", "\"CreateVcnDetails\"" },
		{ VCN, "body.required", "true" },
		{ VCN, "body.schema.type", "\"object\"" },
		{ "compute.get_instance", "operation", "\"" GET "\"" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char arguments[200];

		snprintf(arguments, sizeof(arguments), "{\"operation\":\"%s\"}",
		         rows[i].name);
		cr_expect_not(
			fixture_tool_stock("oci_describe_operation", arguments)
				->is_error);
		fixture_tool_is(rows[i].path, rows[i].raw);
	}
}

Test(generic, names_that_are_not_there)
{
	static const char *const tools[] = { "oci_describe_operation",
		                             "oci_call_operation" };

	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		const struct fixture_tool_result *r = fixture_tool_stock(
			tools[i],
			"{\"operation\":\"core/Compute/GetInstanc\"}");

		cr_expect(r->is_error);
		cr_expect_str_eq(r->category, "not_found");
		cr_expect(says(r, "core/Compute/GetInstance"));
	}
}

/* --- requests ------------------------------------------------------------- */

Test(generic, what_is_sent)
{
	static const struct {
		const char *operation, *more, *sent, *field;
	} rows[] = {
		{ GET, "\"parameters\":{\"instanceId\":\"" OCID "\"}",
		  GET " GET /20160918/instances/" OCID, NULL },
		{ GET, "\"parameters\":{\"instanceId\":\"a/b ?\"}",
		  GET " GET /20160918/instances/a%2Fb%20%3F", NULL },
		/* Said twice: the last counts. */
		{ GET,
		  "\"parameters\":{\"instanceId\":\"1\",\"instanceId\":\"2\","
		  "\"instanceId\":\"3\",\"instanceId\":\"4\",\"instanceId\":"
		  "\"5\",\"instanceId\":\"6\",\"instanceId\":\"7\"}",
		  GET " GET /20160918/instances/7", NULL },
		{ LIST,
		  "\"parameters\":{\"compartmentId\":\"c\",\"displayName\":"
		  "\"a&b\",\"sortOrder\":null}",
		  LIST " GET /20160918/instances?compartmentId=c&displayName="
		       "a%26b&limit=21",
		  NULL },
		/* The usual compartment. */
		{ LIST, "\"compartment_id\":\"" HERE "\"",
		  LIST " GET /20160918/instances?compartmentId=" HERE
		       "&limit=21",
		  NULL },
		{ LIST, "\"limit\":3,\"offset\":4",
		  LIST " GET /20160918/instances?compartmentId=" FIXTURE_TENANCY
		       "&limit=8",
		  NULL },
		{ EVENTS,
		  "\"parameters\":{\"compartmentId\":\"c\","
		  "\"excludeAnnouncementTypes\":[\"A\",\"B C\"]}",
		  EVENTS " GET /20180904/announcements?compartmentId=c&"
		         "excludeAnnouncementTypes=A&excludeAnnouncementTypes="
		         "B%20C&limit=21",
		  NULL },
		{ BUCKET,
		  "\"parameters\":{\"namespaceName\":\"n\",\"bucketName\":"
		  "\"b\",\"fields\":[\"approximateCount\","
		  "\"approximateSize\"],\"if-match\":\"e\"}",
		  BUCKET " GET /n/n/b/b?fields=approximateCount%2C"
		         "approximateSize",
		  "if-match: e\r\n" },
		{ TAG,
		  "\"parameters\":{\"catalogId\":\"1\",\"dataAssetKey\":\"2\","
		  "\"entityKey\":\"3\",\"attributeKey\":\"4\",\"tagKey\":"
		  "\"5\"}",
		  TAG " GET /20190325/catalogs/1/dataAssets/2/entities/3/"
		      "attributes/4/tags/5",
		  NULL },
		{ VCN,
		  "\"body\":{\"compartmentId\":\"c\",\"cidrBlock\":"
		  "\"10.0.0.0/16\"},\"parameters\":{\"opc-retry-token\":"
		  "\"mine\"}",
		  VCN " POST /20160918/vcns {\"compartmentId\":\"c\","
		      "\"cidrBlock\":\"10.0.0.0/16\"}",
		  "opc-retry-token: mine\r\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct fixture_tool_result *r;

		fixture_tool_answer(rows[i].operation, "[]");
		r = call(rows[i].operation, rows[i].more);
		cr_expect_not(r->is_error, "%zu: %s", i, r->text);
		cr_assert_not_null(fixture_tool_asked(0), "%zu", i);
		cr_expect_str_eq(fixture_tool_asked(0), rows[i].sent);
		cr_expect_null(fixture_tool_asked(1));
		if (rows[i].field)
			cr_expect_str_eq(fixture_tool_fields(0), rows[i].field);
	}
}

Test(generic, a_retry_token_of_its_own)
{
	fixture_tool_answer(VCN, "{}");
	call(VCN, "\"body\":{\"compartmentId\":\"c\"}");
	cr_expect_eq(strncmp(fixture_tool_fields(0), "opc-retry-token: ", 17),
	             0);
	cr_expect_eq(strlen(fixture_tool_fields(0)), 17 + 32 + 2);
}

static char long_list[9000], long_value[6000];

static void make_long(void)
{
	size_t n = 0;

	n += (size_t)sprintf(long_list,
	                     "\"parameters\":{\"compartmentId\":\"c\","
	                     "\"targetTenantId\":[\"x\"");
	while (n < sizeof(long_list) - 100)
		n += (size_t)sprintf(long_list + n, ",\"tenantttttttt\"");
	strcpy(long_list + n, "]}");
	n = (size_t)sprintf(long_value, "\"parameters\":{\"instanceId\":\"");
	memset(long_value + n, 'x', 5000);
	strcpy(long_value + n + 5000, "\"}");
}

Test(generic, what_is_refused)
{
	static const struct {
		const char *operation, *more, *words;
	} rows[] = {
		{ GET, "", "needs parameters.instanceId" },
		{ GET, "\"parameters\":{\"instanceId\":null}",
		  "needs parameters.instanceId" },
		{ GET, "\"parameters\":{\"instanceId\":\"\"}", "instanceId" },
		{ GET, "\"parameters\":{\"instanceId\":\"i\",\"what\":1}",
		  "no parameter \\\"what\\\"; it has: instanceId" },
		{ GET, "\"parameters\":{\"instanceId\":{}}", "one value" },
		{ GET, "\"parameters\":{\"instanceId\":[\"i\"]}", "one value" },
		{ GET, long_value, "longer than 4096 bytes" },
		{ LIST, "\"parameters\":{\"limit\":5}", "no parameter" },
		{ LIST, "\"parameters\":{\"page\":\"x\"}", "no parameter" },
		{ LIST, "\"parameters\":{\"sortOrder\":\"UP\"}", "sortOrder" },
		{ LIST, "\"parameters\":{\"displayName\":\"a\"},\"body\":{}",
		  "takes no body" },
		{ EVENTS,
		  "\"parameters\":{\"compartmentId\":\"c\","
		  "\"excludeAnnouncementTypes\":[[\"a\"]]}",
		  "excludeAnnouncementTypes must be one value" },
		{ EVENTS,
		  "\"parameters\":{\"compartmentId\":\"c\","
		  "\"excludeAnnouncementTypes\":[null]}",
		  "must be one value" },
		{ BUCKET,
		  "\"parameters\":{\"namespaceName\":\"n\",\"bucketName\":"
		  "\"b\",\"fields\":[\"approximateCount\",\"nonsense\"]}",
		  "fields" },
		{ BUCKET,
		  "\"parameters\":{\"namespaceName\":\"n\",\"bucketName\":"
		  "\"b\",\"fields\":[{}]}",
		  "fields must be one value" },
		{ BUCKET,
		  "\"parameters\":{\"namespaceName\":\"n\",\"bucketName\":"
		  "\"b\",\"if-match\":\"a\\r\\nx: y\"}",
		  "if-match" },
		{ "budget/CostAd/ListCostAnomalyMonitors", long_list,
		  "targetTenantId is longer than 4096 bytes" },
		{ VCN, "", "needs \\\"body\\\"" },
		{ VCN, "\"body\":{}", "compartmentId" },
		{ VCN, "\"body\":{\"compartmentId\":7}", "compartmentId" },
		{ VCN, "\"body\":{\"compartmentId\":\"c\",\"wrong\":1}",
		  "wrong" },
		{ VCN, "\"body\":[]", "body" },
		{ "object_storage/ObjectStorage/PutObject",
		  "\"parameters\":{\"namespaceName\":\"n\",\"bucketName\":"
		  "\"b\",\"objectName\":\"o\"},\"body\":\"x\",\"confirm\":true",
		  "PutObject" },
	};

	make_long();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct fixture_tool_result *r =
			call(rows[i].operation, rows[i].more);

		cr_expect(r->is_error, "%zu", i);
		cr_expect_str_eq(r->category, "validation", "%zu: %s", i,
		                 r->text);
		cr_expect(says(r, rows[i].words), "%zu: %s", i,
		          r->structured.at);
		cr_expect_null(fixture_tool_asked(0));
	}
}

Test(generic, secrets_are_not_handed_out)
{
	static const char *const rows[] = {
		"secrets/Secrets/GetSecretBundle",
		"apm_control_plane/ApmDomain/ListDataKeys",
		"object_storage/ObjectStorage/GetObject",
		"database/Database/GenerateAutonomousDatabaseWallet",
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct fixture_tool_result *r =
			call(rows[i], "\"confirm\":true");

		cr_expect(r->is_error);
		cr_expect_str_eq(r->category, "authorization");
		cr_expect_null(fixture_tool_asked(0));
	}
}

/* --- changes -------------------------------------------------------------- */

Test(generic, what_may_be_changed)
{
	static const struct {
		const char *operation, *more;
		bool allowed, may_write, here;
		const char *category; /* NULL: sent */
	} rows[] = {
		{ GET, "\"parameters\":{\"instanceId\":\"i\"}", false, false,
		  true, NULL },
		{ VCN, "\"body\":{\"compartmentId\":\"" HERE "\"}", true, true,
		  false, NULL },
		{ VCN, "\"body\":{\"compartmentId\":\"" HERE "\"}", true, true,
		  true, NULL },
		{ VCN, "\"body\":{\"compartmentId\":\"" HERE "\"}", false, true,
		  false, "authorization" },
		{ VCN, "\"body\":{\"compartmentId\":\"" HERE "\"}", true, false,
		  false, "authorization" },
		{ VCN, "\"body\":{\"compartmentId\":\"" THERE "\"}", true, true,
		  true, "authorization" },
		/* One of them is looked at here, maybe the other there. */
		{ VCN,
		  "\"body\":{\"compartmentId\":\"" HERE
		  "\",\"compartmentId\":\"" THERE "\"}",
		  true, true, true, "authorization" },
		{ VCN,
		  "\"body\":{\"compartmentId\":\"" HERE
		  "\",\"compartment\\u0049d\":\"" THERE "\"}",
		  true, true, true, "authorization" },
		/* Where it is to go is not where it is. */
		{ MOVE,
		  "\"parameters\":{\"instanceId\":\"i\"},\"body\":"
		  "{\"compartmentId\":\"" HERE "\"},\"confirm\":true",
		  true, true, true, "authorization" },
		{ MOVE,
		  "\"parameters\":{\"instanceId\":\"i\"},\"body\":"
		  "{\"compartmentId\":\"" HERE "\"},\"confirm\":true",
		  true, true, false, NULL },
		{ VCN_ID,
		  "\"parameters\":{\"vcnId\":\"i\"},\"body\":"
		  "{\"displayName\":\"x\"}",
		  true, true, true, "authorization" },
		{ VCN_ID,
		  "\"parameters\":{\"vcnId\":\"i\"},\"body\":"
		  "{\"displayName\":\"x\"}",
		  true, true, false, NULL },
		{ END, "\"parameters\":{\"instanceId\":\"i\"}", true, true,
		  false, "validation" },
		{ END, "\"parameters\":{\"instanceId\":\"i\"},\"confirm\":true",
		  true, true, false, NULL },
		{ END, "\"parameters\":{\"instanceId\":\"i\"},\"confirm\":true",
		  true, true, true, "authorization" },
		{ ACTION,
		  "\"parameters\":{\"instanceId\":\"i\",\"action\":\"STOP\"}",
		  true, true, false, "validation" },
	};
	const struct span here = SPAN(HERE);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct runner_account *account = fixture_tool_account();
		const struct fixture_tool_result *r;

		account->allow_mutations = rows[i].allowed;
		account->compartments = &here;
		account->n_compartments = rows[i].here;
		fixture_tool_may_write(rows[i].may_write);
		fixture_tool_answer(rows[i].operation, "{}");
		r = call(rows[i].operation, rows[i].more);
		cr_expect_eq(r->is_error, rows[i].category != NULL, "%zu: %s",
		             i, r->text);
		cr_expect_eq(fixture_tool_asked(0) != NULL, !rows[i].category,
		             "%zu", i);
		if (rows[i].category && r->is_error)
			cr_expect_str_eq(r->category, rows[i].category,
			                 "%zu: %s", i, r->text);
	}
}

Test(generic, dry_runs_send_nothing)
{
	static const struct {
		const char *operation, *more;
		bool good;
	} rows[] = {
		{ GET, "\"parameters\":{\"instanceId\":\"i\"}", true },
		{ END, "\"parameters\":{\"instanceId\":\"i\"}", true },
		{ VCN, "\"body\":{\"compartmentId\":\"c\"}", true },
		{ VCN, "\"body\":{}", false },
		{ END, "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char more[200];

		snprintf(more, sizeof(more), "%s%s\"dry_run\":true",
		         rows[i].more, *rows[i].more ? "," : "");
		cr_expect_eq(call(rows[i].operation, more)->is_error,
		             !rows[i].good, "%zu", i);
		cr_expect_null(fixture_tool_asked(0));
		if (rows[i].good)
			fixture_tool_is("dry_run", "true");
	}
	fixture_tool_account()->allow_mutations = false;
	cr_expect(call(END, "\"parameters\":{\"instanceId\":\"i\"},"
	                    "\"dry_run\":true")
	                  ->is_error);
}

/* --- answers -------------------------------------------------------------- */

Test(generic, lists_in_parts)
{
	static const struct {
		const char *more, *items, *count, *has_more, *next;
	} rows[] = {
		{ "\"limit\":2", "[1,2]", "2", "true", "2" },
		{ "\"limit\":2,\"offset\":2", "[3,4]", "2", "true", "4" },
		{ "\"limit\":2,\"offset\":4", "[5]", "1", "false", "null" },
		{ "\"limit\":2,\"offset\":3", "[4,5]", "2", "false", "null" },
		{ "\"limit\":5", "[1,2,3,4,5]", "5", "false", "null" },
		{ "\"offset\":9", "[]", "0", "false", "null" },
		{ "", "[1,2,3,4,5]", "5", "false", "null" },
	};

	fixture_tool_head("e", NULL);
	fixture_tool_answer(LIST, "[1,2,3,4,5]");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_expect_not(call(LIST, rows[i].more)->is_error);
		fixture_tool_is("items", rows[i].items);
		fixture_tool_is("count", rows[i].count);
		fixture_tool_is("has_more", rows[i].has_more);
		fixture_tool_is("next_offset", rows[i].next);
		fixture_tool_is("truncated", NULL);
		fixture_tool_is("status", "200");
		fixture_tool_is("etag", "\"e\"");
	}
}

Test(generic, long_lists_are_cut)
{
	struct buf text = { .max = 4 << 20 };
	int64_t count = 0, next = 0;
	const struct fixture_tool_result *r;

	buf_putc(&text, '[');
	for (int i = 0; i < 300; i++)
		buf_addf(&text, "%s\"%05000d\"", i ? "," : "", i);
	buf_puts(&text, "]");
	buf_putc(&text, '\0');
	fixture_tool_answer(LIST, text.bytes);
	r = call(LIST, "\"limit\":300,\"offset\":10");
	cr_expect_not(r->is_error);
	cr_expect_leq(r->structured.len, GENERIC_ANSWER_MAX + 1000);
	fixture_tool_is("truncated", "true");
	fixture_tool_is("has_more", "true");
	cr_assert(value_integer(path_get(r->structured, "count"), &count));
	cr_assert(value_integer(path_get(r->structured, "next_offset"), &next));
	cr_expect_gt(count, 50);
	cr_expect_eq(next, count + 10);
	buf_free(&text);
}

Test(generic, one_item_that_is_too_large_is_shown)
{
	char *text = calloc(1, GENERIC_ANSWER_MAX + 100);

	memset(text, 'x', GENERIC_ANSWER_MAX + 50);
	memcpy(text, "[\"", 2);
	strcpy(text + GENERIC_ANSWER_MAX + 50, "\",2]");
	fixture_tool_answer(LIST, text);
	cr_expect_not(call(LIST, "")->is_error);
	fixture_tool_is("count", "1");
	fixture_tool_is("has_more", "true");
	fixture_tool_is("next_offset", "1");
	free(text);
}

Test(generic, one_object)
{
	char *text = calloc(1, GENERIC_ANSWER_MAX + 100);

	fixture_tool_head(NULL, "ocid1.workrequest.x");
	fixture_tool_answer(GET, "{\"a\":[1]}");
	call(GET, "\"parameters\":{\"instanceId\":\"i\"}");
	fixture_tool_is("data.a", "[1]");
	fixture_tool_is("work_request_id", "\"ocid1.workrequest.x\"");
	fixture_tool_is("etag", "null");
	/* Cut, and in the middle of a character at that. */
	strcpy(text, "{\"a\":\"");
	for (size_t i = 6; i < GENERIC_ANSWER_MAX + 50; i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	strcpy(text + GENERIC_ANSWER_MAX + 50, "x\"}");
	fixture_tool_answer(GET, text);
	cr_expect_not(
		call(GET, "\"parameters\":{\"instanceId\":\"i\"}")->is_error);
	fixture_tool_is("data", NULL);
	fixture_tool_is("truncated", "true");
	free(text);
}

Test(generic, an_operation_that_answers_nothing)
{
	fixture_tool_answer(END, "{}");
	cr_expect_not(call(END, "\"parameters\":{\"instanceId\":\"i\"},"
	                        "\"confirm\":true")
	                      ->is_error);
	fixture_tool_refuse(GET, 404, "NotFound", "No.");
	cr_expect_str_eq(
		call(GET, "\"parameters\":{\"instanceId\":\"i\"}")->category,
		"not_found");
}
