#include "oci/model.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "lib/scan.h"
#include "oci/operation.h"

#define MODELS 16010

static bool is_json(struct span text)
{
	struct scan_error why;

	return scan_document(text, NULL, 0, NULL, &why) == SCAN_OK;
}

static const struct model *must_find(const char *service, const char *name)
{
	const struct model *model =
		model_find(span_str(service), span_str(name));

	cr_assert_not_null(model, "%s %s", service, name);
	return model;
}

/* --- models --------------------------------------------------------------- */

Test(model, every_one_is_found)
{
	cr_assert_eq(model_count(), MODELS);
	for (size_t i = 0; i < MODELS; i++) {
		const struct model *model = model_at(i);

		cr_assert_eq(
			model_find(model_service(model), model_name(model)),
			model);
	}
	cr_assert_null(model_find(SPAN("core"), SPAN("NoSuch")));
	cr_assert_null(model_find(SPAN("core"), SPAN("")));
	cr_assert_null(model_find(SPAN("nosuch"), SPAN("Instance")));
}

/* The type that a list or a map is of, in the end. */
static struct span innermost(struct span type)
{
	struct span dict = SPAN("dict(str, "), list = SPAN("list[");

	while (span_starts(type, dict) || span_starts(type, list)) {
		type = span_from(type,
		                 span_starts(type, dict) ? dict.len : list.len);
		type.len--;
	}
	return type;
}

static bool is_type(struct span service, struct span type)
{
	static const char *const simple[] = {
		"str",  "int",    "float",  "bool",  "datetime",
		"date", "object", "stream", "bytes",
	};

	type = innermost(type);
	for (size_t i = 0; i < ARRAY_LEN(simple); i++)
		if (span_is(type, simple[i]))
			return true;
	return model_find(service, type) != NULL;
}

Test(model, every_type_exists)
{
	for (size_t i = 0; i < model_count(); i++) {
		const struct model *model = model_at(i);

		for (size_t k = 0; k < model_fields(model); k++) {
			struct model_field field, same;

			model_field(model, k, &field);
			cr_assert(is_type(model_service(model), field.type));
			cr_assert(model_field_find(model, field.name, &same));
			cr_assert(span_eq(same.type, field.type));
		}
	}
	for (size_t i = 0; i < operation_count(); i++) {
		const struct operation *op = operation_at(i);
		struct span service = operation_service(op);

		cr_assert(!operation_body(op).len ||
		          is_type(service, operation_body(op)));
		cr_assert(!operation_response(op).len ||
		          is_type(service, operation_response(op)));
	}
}

Test(model, kinds_and_bases_know_each_other)
{
	size_t total = 0;

	for (size_t i = 0; i < model_count(); i++) {
		const struct model *model = model_at(i), *kind;
		struct span value;

		cr_assert(model_kinds(model) == 0 ||
		          model_discriminator(model).len > 0);
		total += model_kinds(model);
		for (size_t k = 0; k < model_kinds(model); k++) {
			model_kind(model, k, &value, &kind);
			cr_assert_eq(model_base(kind), model);
			cr_assert_gt(value.len, 0);
		}
	}
	cr_assert_eq(total, 3444);
}

Test(model, instance_source)
{
	const struct model *model = must_find("core", "InstanceSourceDetails");
	const struct model *kind;
	struct model_field field;
	struct span value;

	cr_assert(span_is(model_discriminator(model), "sourceType"));
	cr_assert_null(model_base(model));
	cr_assert_eq(model_kinds(model), 2);
	model_kind(model, 0, &value, &kind);
	cr_assert(span_is(value, "bootVolume"));
	cr_assert(span_is(model_name(kind),
	                  "InstanceSourceViaBootVolumeDetails"));
	model_kind(model, 1, &value, &kind);
	cr_assert(span_is(value, "image"));
	cr_assert_eq(model_base(kind), model);
	/* That of the base is among its own. */
	cr_assert(model_field_find(kind, SPAN("sourceType"), &field));
	cr_assert(field.required);
	cr_assert(model_field_find(kind, SPAN("imageId"), &field));
	cr_assert_not(field.required);
	cr_assert_not(model_field_find(kind, SPAN("imageid"), &field));
}

Test(model, values_of_a_field)
{
	struct model_field field;

	cr_assert(model_field_find(
		must_find("usage_api", "RequestSummarizedUsagesDetails"),
		SPAN("granularity"), &field));
	cr_assert(field.required);
	cr_assert_eq(field.values, 4);
	cr_assert(span_is(model_value(&field, 0), "HOURLY"));
	cr_assert(span_is(model_value(&field, 3), "TOTAL"));
	cr_assert(span_is(field.type, "str"));
}

/* --- description ---------------------------------------------------------- */

static const struct {
	const char *service, *type;
	unsigned depth;
	const char *schema;
} schemas[] = {
	{ "core", "str", 0, "{\"type\":\"string\"}" },
	{ "core", "object", 0, "{}" },
	{ "core", "stream", 0, "{\"type\":\"string\",\"format\":\"binary\"}" },
	{ "core", "list[datetime]", 0,
	  "{\"type\":\"array\",\"items\":{\"type\":\"string\","
	  "\"format\":\"date-time\"}}" },
	{ "core", "dict(str, dict(str, object))", 0,
	  "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"object\","
	  "\"additionalProperties\":{}}}" },
	{ "monitoring", "SummarizeMetricsDataDetails", 0,
	  "{\"type\":\"object\",\"title\":\"SummarizeMetricsDataDetails\","
	  "\"properties\":{\"namespace\":{\"type\":\"string\"},"
	  "\"resourceGroup\":{\"type\":\"string\"},"
	  "\"query\":{\"type\":\"string\"},"
	  "\"startTime\":{\"type\":\"string\",\"format\":\"date-time\"},"
	  "\"endTime\":{\"type\":\"string\",\"format\":\"date-time\"},"
	  "\"resolution\":{\"type\":\"string\"}},"
	  "\"required\":[\"namespace\",\"query\"],"
	  "\"additionalProperties\":false}" },
	{ "core", "list[TcpOptions]", 0,
	  "{\"type\":\"array\",\"items\":{\"type\":\"object\","
	  "\"title\":\"TcpOptions\",\"properties\":{\"destinationPortRange\":"
	  "{\"$ref\":\"PortRange\"},\"sourcePortRange\":{\"$ref\":"
	  "\"PortRange\"}},\"additionalProperties\":false}}" },
	{ "core", "TcpOptions", 1,
	  "{\"type\":\"object\",\"title\":\"TcpOptions\",\"properties\":{"
	  "\"destinationPortRange\":{\"type\":\"object\","
	  "\"title\":\"PortRange\",\"properties\":{\"max\":{\"type\":"
	  "\"integer\"},\"min\":{\"type\":\"integer\"}},\"required\":[\"max\","
	  "\"min\"],\"additionalProperties\":false},\"sourcePortRange\":{"
	  "\"type\":\"object\",\"title\":\"PortRange\",\"properties\":{"
	  "\"max\":{\"type\":\"integer\"},\"min\":{\"type\":\"integer\"}},"
	  "\"required\":[\"max\",\"min\"],\"additionalProperties\":false}},"
	  "\"additionalProperties\":false}" },
};

Test(model, is_described)
{
	for (size_t i = 0; i < ARRAY_LEN(schemas); i++) {
		struct buf out = { .max = MODEL_DESCRIBE_MAX };

		cr_assert(model_describe(span_str(schemas[i].service),
		                         span_str(schemas[i].type),
		                         schemas[i].depth, &out));
		cr_assert_eq(buf_err(&out), 0);
		cr_assert(span_is(buf_span(&out), schemas[i].schema), "%.*s",
		          SPAN_ARG(buf_span(&out)));
		buf_free(&out);
	}
}

Test(model, kinds_are_described)
{
	struct buf out = { .max = MODEL_DESCRIBE_MAX };

	cr_assert(model_describe(SPAN("core"), SPAN("LaunchInstanceDetails"), 1,
	                         &out));
	buf_putc(&out, '\0');
	cr_assert_eq(buf_err(&out), 0);
	cr_assert(strstr(out.bytes, "\"sourceDetails\":{\"title\":"
	                            "\"InstanceSourceDetails\",\"oneOf\":[{"));
	cr_assert(strstr(out.bytes, "\"sourceType\":{\"const\":\"image\"}"));
	cr_assert(strstr(out.bytes, "\"required\":[\"availabilityDomain\","
	                            "\"compartmentId\"],"));
	buf_free(&out);
}

Test(model, every_description_is_json_within_its_limit)
{
	static const unsigned depths[] = { 0, 3, 8 };
	struct buf out = { .max = MODEL_DESCRIBE_MAX };
	size_t cut = 0;

	for (size_t d = 0; d < ARRAY_LEN(depths); d++)
		for (size_t i = 0; i < model_count(); i += 1 + d * 5) {
			const struct model *model = model_at(i);

			buf_reset(&out);
			cr_assert(model_describe(model_service(model),
			                         model_name(model), depths[d],
			                         &out));
			cr_assert_eq(buf_err(&out), 0, "%.*s",
			             SPAN_ARG(model_name(model)));
			cr_assert(is_json(buf_span(&out)));
			cut += memmem(out.bytes, out.len, ",\"cut\":true}",
			              12) != NULL;
		}
	cr_assert_gt(cut, 0);
	buf_free(&out);
}

Test(model, what_does_not_exist_is_not_described)
{
	static const char *const types[] = {
		"",       "NoSuch",   "list[NoSuch]", "list[",
		"list[]", "list[str", "dict(str, )",  "dict(int, str)",
	};
	struct buf out = { .max = 100 };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		cr_assert_not(model_describe(SPAN("core"), span_str(types[i]),
		                             1, &out));
		cr_assert_eq(out.len, 0);
	}
	buf_free(&out);
}

/* --- check ---------------------------------------------------------------- */

#define LAUNCH "LaunchInstanceDetails"
#define NEEDED "\"availabilityDomain\":\"x:AD-1\",\"compartmentId\":\"ocid1\""

static const struct {
	const char *service, *type, *body;
	const char *path, *says; /* says NULL: the body is good */
} bodies[] = {
	{ "core", LAUNCH, "{" NEEDED "}", "", NULL },
	{ "core", LAUNCH, " { " NEEDED " , \"shape\" : null } ", "", NULL },
	{ "core", LAUNCH,
	  "{" NEEDED ",\"sourceDetails\":{\"sourceType\":"
	  "\"image\",\"imageId\":\"ocid1.image\"},\"shapeConfig\":{\"ocpus\":2,"
	  "\"memoryInGBs\":16.5},\"metadata\":{\"ssh_authorized_keys\":\"x\"},"
	  "\"freeformTags\":{},\"definedTags\":{\"a\":{\"b\":[1,null]}}}",
	  "", NULL },
	{ "core", LAUNCH, "{" NEEDED ",\"\\u0073hape\":\"VM\"}", "", NULL },
	{ "core", LAUNCH, "{\"availabilityDomain\":\"x\"}", "compartmentId",
	  "is required by LaunchInstanceDetails" },
	{ "core", LAUNCH,
	  "{\"availabilityDomain\":null,\"compartmentId\":"
	  "\"x\"}",
	  "availabilityDomain", "is required" },
	{ "core", LAUNCH, "{}", "availabilityDomain", "is required" },
	{ "core", LAUNCH, "[]", "", "must be an object, not an array" },
	{ "core", LAUNCH, "null", "", "must be an object, not null" },
	{ "core", LAUNCH, "\"{}\"", "", "must be an object, not a string" },
	{ "core", LAUNCH, "{" NEEDED ",\"shapee\":\"VM\"}", "shapee",
	  "did you mean shape?" },
	{ "core", LAUNCH, "{" NEEDED ",\"qqqqqqqq\":1}", "qqqqqqqq",
	  "LaunchInstanceDetails has no such member" },
	{ "core", LAUNCH, "{" NEEDED ",\"shape\":1}", "shape",
	  "must be a string, not a number" },
	{ "core", LAUNCH,
	  "{" NEEDED ",\"isPvEncryptionInTransitEnabled\":"
	  "\"true\"}",
	  "isPvEncryptionInTransitEnabled",
	  "must be true or false, not a string" },
	{ "core", LAUNCH, "{" NEEDED ",\"metadata\":{\"a\":1}}", "metadata.a",
	  "must be a string" },
	{ "core", LAUNCH, "{" NEEDED ",\"metadata\":[]}", "metadata",
	  "must be an object, not an array" },
	{ "core", LAUNCH, "{" NEEDED ",\"shapeConfig\":{\"vcpus\":1.5}}",
	  "shapeConfig.vcpus", "without fraction" },
	{ "core", LAUNCH, "{" NEEDED ",\"shapeConfig\":{\"vcpus\":1e3}}",
	  "shapeConfig.vcpus", "without fraction" },
	{ "core", LAUNCH, "{" NEEDED ",\"shapeConfig\":{\"ocpus\":\"2\"}}",
	  "shapeConfig.ocpus", "must be a number, not a string" },
	{ "core", LAUNCH,
	  "{" NEEDED ",\"shapeConfig\":{"
	  "\"baselineOcpuUtilization\":\"BASELINE_1_3\"}}",
	  "shapeConfig.baselineOcpuUtilization",
	  "must be one of BASELINE_1_8, BASELINE_1_2, BASELINE_1_1" },
	{ "core", LAUNCH,
	  "{" NEEDED ",\"sourceDetails\":{\"sourceType\":"
	  "\"images\"}}",
	  "sourceDetails.sourceType", "must be one of bootVolume, image" },
	{ "core", LAUNCH, "{" NEEDED ",\"sourceDetails\":{\"imageId\":\"x\"}}",
	  "sourceDetails.sourceType", "is required: one of bootVolume, image" },
	{ "core", LAUNCH, "{" NEEDED ",\"sourceDetails\":{\"sourceType\":7}}",
	  "sourceDetails.sourceType", "must be one of bootVolume, image" },
	{ "core", LAUNCH,
	  "{" NEEDED ",\"sourceDetails\":{\"sourceType\":"
	  "\"bootVolume\",\"imageId\":\"x\"}}",
	  "sourceDetails.imageId",
	  "InstanceSourceViaBootVolumeDetails has no such member" },
	{ "core", LAUNCH,
	  "{" NEEDED ",\"sourceDetails\":{\"sourceType\":"
	  "\"bootVolume\"}}",
	  "sourceDetails.bootVolumeId", "is required" },
	{ "core", LAUNCH,
	  "{" NEEDED ",\"createVnicDetails\":{\"nsgIds\":"
	  "[\"a\",2]}}",
	  "createVnicDetails.nsgIds[1]", "must be a string" },
	{ "core", LAUNCH,
	  "{" NEEDED ",\"createVnicDetails\":{\"nsgIds\":"
	  "[null]}}",
	  "createVnicDetails.nsgIds[0]", "not null" },
	{ "core", "InstanceSourceViaImageDetails",
	  "{\"sourceType\":\"image\","
	  "\"imageId\":\"x\"}",
	  "", NULL },
	{ "core", "InstanceSourceViaImageDetails",
	  "{\"sourceType\":"
	  "\"bootVolume\"}",
	  "sourceType", "must be image" },
	{ "core", "UpdateSecurityListDetails",
	  "{\"ingressSecurityRules\":[{"
	  "\"protocol\":\"6\",\"source\":\"0.0.0.0/0\",\"tcpOptions\":{"
	  "\"destinationPortRange\":{\"min\":22,\"max\":22}}}]}",
	  "", NULL },
	{ "core", "UpdateSecurityListDetails",
	  "{\"ingressSecurityRules\":[{"
	  "\"protocol\":\"6\",\"source\":\"0.0.0.0/0\"},{\"protocol\":\"6\","
	  "\"source\":\"x\",\"tcpOptions\":{\"destinationPortRange\":{\"min\":"
	  "22}}}]}",
	  "ingressSecurityRules[1].tcpOptions.destinationPortRange.max",
	  "is required by PortRange" },
	{ "usage_api", "RequestSummarizedUsagesDetails",
	  "{\"tenantId\":\"x\","
	  "\"timeUsageStarted\":\"2026-01-01T00:00:00Z\",\"timeUsageEnded\":"
	  "\"2026-02-01T00:00:00Z\",\"granularity\":\"DAILY\",\"groupBy\":"
	  "[\"service\"]}",
	  "", NULL },
	{ "usage_api", "RequestSummarizedUsagesDetails",
	  "{\"tenantId\":\"x\","
	  "\"timeUsageStarted\":\"last month\"}",
	  "timeUsageStarted", "must be a time such as" },
	{ "usage_api", "RequestSummarizedUsagesDetails",
	  "{\"tenantId\":\"x\","
	  "\"granularity\":\"daily\"}",
	  "granularity", "must be one of HOURLY, DAILY, MONTHLY, TOTAL" },
	{ "ai_speech", "CreateTranscriptionJobDetails",
	  "{\"additionalTranscriptionFormats\":[\"SRT\",\"VTT\"]}",
	  "additionalTranscriptionFormats[1]", "must be one of SRT" },
	{ "waas", "list[str]", "[\"a\",\"b\"]", "", NULL },
	{ "waas", "list[str]", "[\"a\",{}]", "[1]", "must be a string" },
	{ "core", "stream", "\"x\"", "", "must be bytes" },
	{ "core", "NoSuch", "{}", "", "there is no type NoSuch" },
	{ "core", "object", "[1]", "", NULL },
};

Test(model, bodies_are_checked)
{
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct model_fault why;
		bool good;

		cr_assert(is_json(span_str(bodies[i].body)), "%s",
		          bodies[i].body);
		good = model_check(span_str(bodies[i].service),
		                   span_str(bodies[i].type),
		                   span_str(bodies[i].body), &why);
		cr_assert_eq(good, bodies[i].says == NULL, "%s: %s %s",
		             bodies[i].body, why.path, why.text);
		cr_assert_str_eq(why.path, bodies[i].path, "%s",
		                 bodies[i].body);
		if (!good)
			cr_assert(strstr(why.text, bodies[i].says), "%s",
			          why.text);
	}
}

/* The text in memory of exactly its size, so that ASan sees the end. */
Test(model, no_byte_behind_a_body_is_read)
{
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct span body = span_str(bodies[i].body);
		char *copy = malloc(body.len);
		struct model_fault why;

		cr_assert_not_null(copy);
		memcpy(copy, body.at, body.len);
		cr_assert_eq(model_check(span_str(bodies[i].service),
		                         span_str(bodies[i].type),
		                         span_of(copy, body.len), &why),
		             bodies[i].says == NULL);
		free(copy);
	}
}

Test(model, a_long_path_is_cut)
{
	struct buf body = { .max = 4096 };
	struct model_fault why;

	buf_puts(&body, "{\"metadata\":{\"");
	for (int i = 0; i < 1000; i++)
		buf_putc(&body, 'n');
	buf_puts(&body, "\":1}}");
	cr_assert_eq(buf_err(&body), 0);
	cr_assert_not(
		model_check(SPAN("core"), SPAN(LAUNCH), buf_span(&body), &why));
	cr_assert_lt(strlen(why.path), MODEL_PATH_MAX);
	cr_assert(strstr(why.text, "must be a string"));
	buf_free(&body);
}

/* Filters of the usage service have filters in them. */
Test(model, depth_has_a_limit)
{
	struct buf body = { .max = 65536 };
	struct model_fault why;

	for (int i = 0; i < 1000; i++)
		buf_puts(&body, "{\"filters\":[");
	for (int i = 0; i < 1000; i++)
		buf_puts(&body, "]}");
	cr_assert_eq(buf_err(&body), 0);
	cr_assert_not(model_check(SPAN("usage_api"), SPAN("Filter"),
	                          buf_span(&body), &why));
	cr_assert(strstr(why.text, "more than 32 values within each other"),
	          "%s", why.text);
	buf_free(&body);
}
