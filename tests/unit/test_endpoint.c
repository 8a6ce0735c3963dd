#include "oci/endpoint.h"

#include <criterion/criterion.h>

#define IAAS "https://iaas.{region}.{secondLevelDomain}"
#define DUAL "https://a.{region}.{dualStack?ds.oci.:}{secondLevelDomain}"
#define SPACE                                                    \
	"https://{namespaceName+Dot}objectstorage.{region}.oci." \
	"customer-oci.com"
#define LONG64 \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct endpoint_value values[] = {
	{ { "namespaceName", 13 }, { "acme", 4 } },
	{ { "bad", 3 }, { "a.b", 3 } },
	{ { "slash", 5 }, { "evil.com/", 9 } },
	{ { "long", 4 }, { LONG64, 64 } },
	{ { "none", 4 }, { "", 0 } },
};

struct row {
	const char *template, *realm_template;
	bool realm_specific, dual_stack, needs_own;
	const char *service, *base_path, *region, *own, *override;
	enum endpoint_error error;
	const char *url;
};

static const struct row rows[] = {
	{ IAAS, "", 0, 0, 0, "", "/20160918", "iad", "", "", ENDPOINT_OK,
	  "https://iaas.us-ashburn-1.oraclecloud.com/20160918" },
	{ IAAS, "", 0, 0, 0, "", "", "hnw", "", "", ENDPOINT_OK,
	  "https://iaas.sa-riodejaneiro-1.oraclecloud52.com" },
	{ "https://identity.{region}.oci.{secondLevelDomain}", "", 0, 0, 0, "",
	  "/20160918", "fra", "", "", ENDPOINT_OK,
	  "https://identity.eu-frankfurt-1.oci.oraclecloud.com/20160918" },
	{ DUAL, "", 0, 0, 0, "", "/v1", "iad", "", "", ENDPOINT_OK,
	  "https://a.us-ashburn-1.oraclecloud.com/v1" },
	{ DUAL, "", 0, 1, 0, "", "/v1", "iad", "", "", ENDPOINT_OK,
	  "https://a.us-ashburn-1.ds.oci.oraclecloud.com/v1" },
	{ "https://{dualStack?x.y:z}.{region}.{dualStack?ds.:}oci."
	  "{secondLevelDomain}",
	  "", 0, 1, 0, "", "", "iad", "", "", ENDPOINT_OK,
	  "https://x.y.us-ashburn-1.ds.oci.oraclecloud.com" },
	{ "https://{dualStack?x.y:z}.{region}.{dualStack?ds.:}oci."
	  "{secondLevelDomain}",
	  "", 0, 0, 0, "", "", "iad", "", "", ENDPOINT_OK,
	  "https://z.us-ashburn-1.oci.oraclecloud.com" },
	/* Doubled dots. */
	{ "https://a..{region}.{dualStack?ds:}.{secondLevelDomain}", "", 0, 0,
	  0, "", "", "iad", "", "", ENDPOINT_OK,
	  "https://a.us-ashburn-1.oraclecloud.com" },
	{ "https://.{region}.{secondLevelDomain}", "", 0, 0, 0, "", "", "iad",
	  "", "", ENDPOINT_OK, "https://us-ashburn-1.oraclecloud.com" },
	/* Templates of one realm. */
	{ IAAS, SPACE, 0, 0, 0, "", "", "iad", "", "", ENDPOINT_OK,
	  "https://iaas.us-ashburn-1.oraclecloud.com" },
	{ IAAS, SPACE, 1, 0, 0, "", "", "iad", "", "", ENDPOINT_OK,
	  "https://acme.objectstorage.us-ashburn-1.oci.customer-oci.com" },
	{ IAAS, "", 1, 0, 0, "", "", "iad", "", "", ENDPOINT_OK,
	  "https://iaas.us-ashburn-1.oraclecloud.com" },
	{ "https://{none+Dot}a.{region}.b", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_OK, "https://a.us-ashburn-1.b" },
	{ "https://{other+Dot}a.{region}.b", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_OK, "https://a.us-ashburn-1.b" },
	{ "https://{namespaceName}.{region}.b", "", 0, 0, 0, "", "", "iad", "",
	  "", ENDPOINT_OK, "https://acme.us-ashburn-1.b" },
	/* A region that is a domain. */
	{ IAAS, "", 0, 0, 0, "svc", "/v1", "my.cloud.test", "", "", ENDPOINT_OK,
	  "https://svc.my.cloud.test/v1" },
	{ IAAS, "", 0, 0, 0, "", "/v1", "my.cloud.test", "", "", ENDPOINT_OK,
	  "https://iaas.my.cloud.test/v1" },
	{ "https://download.{region}.x", "", 0, 0, 0, "a.b", "",
	  "my.cloud.test", "", "", ENDPOINT_OK, "https://a.b.my.cloud.test" },
	{ "https://fixed.example.com", "", 0, 0, 0, "", "", "my.cloud.test", "",
	  "", ENDPOINT_BAD_TEMPLATE, "" },
	/* Overrides. */
	{ IAAS, "", 0, 0, 0, "", "/20160918", "iad", "",
	  "http://127.0.0.1:4000", ENDPOINT_OK,
	  "http://127.0.0.1:4000/20160918" },
	{ IAAS, "", 0, 0, 1, "", "/20160918", "iad", "",
	  "http://127.0.0.1:4000/", ENDPOINT_OK,
	  "http://127.0.0.1:4000/20160918" },
	{ "", "", 0, 0, 0, "", "", "iad",
	  "https://x.kms.us-ashburn-1.oraclecloud.com",
	  "https://[::1]:4000/under//", ENDPOINT_OK,
	  "https://[::1]:4000/under" },
	{ IAAS, "", 0, 0, 0, "", "", "iad", "", "ftp://x",
	  ENDPOINT_BAD_OVERRIDE, "" },
	{ IAAS, "", 0, 0, 0, "", "", "iad", "", "http://x/?a",
	  ENDPOINT_BAD_OVERRIDE, "" },
	{ IAAS, "", 0, 0, 0, "", "", "iad", "", "http://x/#a",
	  ENDPOINT_BAD_OVERRIDE, "" },
	{ IAAS, "", 0, 0, 0, "", "", "iad", "", "http://a@x/",
	  ENDPOINT_BAD_OVERRIDE, "" },
	/* A resource's own endpoint. */
	{ IAAS, "", 0, 0, 1, "", "", "iad", "", "", ENDPOINT_NEEDED, "" },
	{ IAAS, "", 0, 0, 1, "", "/20180608", "iad",
	  "https://abc-crypto.kms.us-ashburn-1.oraclecloud.com/", "",
	  ENDPOINT_OK,
	  "https://abc-crypto.kms.us-ashburn-1.oraclecloud.com/20180608" },
	{ IAAS, "", 0, 0, 1, "", "", "iad", "https://a.oraclecloud.com:443", "",
	  ENDPOINT_OK, "https://a.oraclecloud.com" },
	{ IAAS, "", 0, 0, 1, "", "", "iad", "http://a.oraclecloud.com", "",
	  ENDPOINT_BAD_OWN, "" },
	{ IAAS, "", 0, 0, 1, "", "", "iad", "https://a.oraclecloud.com:444", "",
	  ENDPOINT_BAD_OWN, "" },
	{ IAAS, "", 0, 0, 1, "", "", "iad", "https://evil.com", "",
	  ENDPOINT_BAD_OWN, "" },
	{ IAAS, "", 0, 0, 1, "", "", "iad", "https://evil.com/.oraclecloud.com",
	  "", ENDPOINT_BAD_OWN, "" },
	{ IAAS, "", 0, 0, 1, "", "", "iad", "https://evil.com?.oraclecloud.com",
	  "", ENDPOINT_BAD_OWN, "" },
	{ IAAS, "", 0, 0, 1, "", "", "iad", "https://a.oraclecloud.com/x", "",
	  ENDPOINT_BAD_OWN, "" },
	{ IAAS, "", 0, 0, 1, "", "", "iad", "https://169.254.169.254", "",
	  ENDPOINT_BAD_OWN, "" },
	/* Templates and values that are wrong. */
	{ "", "", 0, 0, 0, "", "", "iad", "", "", ENDPOINT_BAD_TEMPLATE, "" },
	{ "http://iaas.{region}.b", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_BAD_TEMPLATE, "" },
	{ "https://iaas.{region.b", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_BAD_TEMPLATE, "" },
	{ "https://iaas.{dualStack?a}.b", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_BAD_TEMPLATE, "" },
	{ "https://iaas.{other}.b", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_NO_VALUE, "" },
	{ "https://iaas.{}.b", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_NO_VALUE, "" },
	{ "https://{bad}.b.c", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_BAD_VALUE, "" },
	{ "https://{slash+Dot}b.c", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_BAD_VALUE, "" },
	{ "https://{long}.b.c", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_BAD_VALUE, "" },
	{ "https://a b.{region}.c", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_BAD_HOST, "" },
	{ "https://a.b/{region}", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_BAD_HOST, "" },
	{ "https://a.b:99", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_BAD_HOST, "" },
	{ "https://u@a.b", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_BAD_HOST, "" },
	{ "https://a}.b", "", 0, 0, 0, "", "", "iad", "", "", ENDPOINT_BAD_HOST,
	  "" },
	{ "https://a.b.", "", 0, 0, 0, "", "", "iad", "", "", ENDPOINT_BAD_HOST,
	  "" },
	{ "https://[::1]", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_BAD_HOST, "" },
	{ "https://alone", "", 0, 0, 0, "", "", "iad", "", "",
	  ENDPOINT_BAD_HOST, "" },
	/* Base paths. */
	{ IAAS, "", 0, 0, 0, "", "/a/b-c_d.e~f/1", "iad", "", "", ENDPOINT_OK,
	  "https://iaas.us-ashburn-1.oraclecloud.com/a/b-c_d.e~f/1" },
	{ IAAS, "", 0, 0, 0, "", "a", "iad", "", "", ENDPOINT_BAD_PATH, "" },
	{ IAAS, "", 0, 0, 0, "", "/", "iad", "", "", ENDPOINT_BAD_PATH, "" },
	{ IAAS, "", 0, 0, 0, "", "/a/", "iad", "", "", ENDPOINT_BAD_PATH, "" },
	{ IAAS, "", 0, 0, 0, "", "//a", "iad", "", "", ENDPOINT_BAD_PATH, "" },
	{ IAAS, "", 0, 0, 0, "", "/..", "iad", "", "", ENDPOINT_BAD_PATH, "" },
	{ IAAS, "", 0, 0, 0, "", "/a/./b", "iad", "", "", ENDPOINT_BAD_PATH,
	  "" },
	{ IAAS, "", 0, 0, 0, "", "/%2e", "iad", "", "", ENDPOINT_BAD_PATH, "" },
	{ IAAS, "", 0, 0, 0, "", "/a?b", "iad", "", "", ENDPOINT_BAD_PATH, "" },
};

static struct endpoint_request request_of(const struct row *row,
                                          struct region_resolved *region)
{
	struct region_sources any = { 0 };

	cr_assert_eq(region_resolve(span_str(row->region), &any, region),
	             REGION_OK);
	return (struct endpoint_request){
		.template = span_str(row->template),
		.realm_template = span_str(row->realm_template),
		.realm_specific = row->realm_specific,
		.dual_stack = row->dual_stack,
		.needs_own = row->needs_own,
		.service = span_str(row->service),
		.base_path = span_str(row->base_path),
		.region = region_view(region),
		.own = span_str(row->own),
		.override = span_str(row->override),
		.values = values,
		.n_values = ARRAY_LEN(values),
	};
}

Test(endpoint, urls)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct region_resolved region;
		struct endpoint_request r = request_of(&rows[i], &region);
		struct buf b = { .max = ENDPOINT_MAX };

		cr_assert_eq(endpoint_url(&r, &b), rows[i].error, "row %zu, %s",
		             i, rows[i].template);
		cr_assert(span_is(buf_span(&b), rows[i].url), "row %zu: %.*s",
		          i, SPAN_ARG(buf_span(&b)));
		buf_free(&b);
	}
	for (int i = 0; i < ENDPOINT_ERRORS_MAX; i++)
		cr_assert_not_null(endpoint_error((enum endpoint_error)i));
}

Test(endpoint, a_region_that_was_not_resolved_makes_no_host)
{
	static const struct region strange[] = {
		{ .identifier = { "", 0 } },
		{ .identifier = { "a/b", 3 }, .domain = { "b.c", 3 } },
		{ .identifier = { "a/b.c", 5 } },
		{ .identifier = { "a.b:1", 5 } },
		{ .identifier = { "x@a.b", 5 } },
		{ .identifier = { "a", 1 }, .domain = { "b.c/", 4 } },
		{ .identifier = { "a", 1 } },
	};

	for (size_t i = 0; i < ARRAY_LEN(strange); i++) {
		struct endpoint_request r = { .template = SPAN(IAAS),
			                      .region = strange[i] };
		struct buf b = { .max = ENDPOINT_MAX };

		cr_assert_neq(endpoint_url(&r, &b), ENDPOINT_OK, "%zu", i);
		cr_assert_eq(b.len, 0);
		buf_free(&b);
	}
}

Test(endpoint, limits)
{
	struct region_resolved region;
	struct endpoint_request r = request_of(&rows[0], &region);
	struct buf b = { .max = ENDPOINT_MAX }, small = { .max = 10 };
	char text[ENDPOINT_MAX];

	memset(text, 'a', sizeof(text));
	text[0] = '/';
	r.base_path = span_of(text, ENDPOINT_PATH_MAX);
	cr_assert_eq(endpoint_url(&r, &b), ENDPOINT_OK);
	r.base_path.len++;
	cr_assert_eq(endpoint_url(&r, &b), ENDPOINT_BAD_PATH);
	r.base_path.len = 2;
	memcpy(text, "https://", 8);
	r.template = span_of(text, ENDPOINT_TEMPLATE_MAX + 1);
	r.base_path.len = 0;
	cr_assert_eq(endpoint_url(&r, &b), ENDPOINT_BAD_TEMPLATE);
	r.template.len--;
	cr_assert_eq(endpoint_url(&r, &b), ENDPOINT_BAD_HOST);

	r = request_of(&rows[0], &region);
	cr_assert_eq(endpoint_url(&r, &small), ENDPOINT_FULL);
	cr_assert_eq(buf_err(&small), -ENOBUFS);
	memset(text, 'a', sizeof(text));
	memcpy(text, "https://a/", 10);
	r.override = span_of(text, sizeof(text));
	cr_assert_eq(endpoint_url(&r, &b), ENDPOINT_FULL);
	buf_free(&b);
}
