#include "oci/region.h"

#include <criterion/criterion.h>

#define SYDNEY                                                          \
	"{\"realmKey\":\"OC77\",\"realmDomainComponent\":\"Sim.Test\"," \
	"\"regionKey\":\"XSY\",\"regionIdentifier\":\"XX-Sydney-9\"}"
#define OSLO                                                              \
	"{\"realmKey\":\"oc78\",\"realmDomainComponent\":\"other.test\"," \
	"\"regionKey\":\"osl\",\"regionIdentifier\":\"eu-oslo-1\"}"

static void check_span(struct span got, const char *want)
{
	cr_assert(span_is(got, want), "\"%.*s\" != \"%s\"", SPAN_ARG(got),
	          want);
}

Test(region, table_is_whole_and_has_no_name_twice)
{
	cr_assert_eq(region_count, 85);
	cr_assert_eq(region_realm_count, 20);
	for (size_t i = 0; i < region_count; i++) {
		const struct region *r = &region_table[i];

		cr_assert_eq(r->key.len, 3);
		cr_assert(span_eq(r->domain, region_realm_domain(r->realm)));
		cr_assert_eq(region_find(r->key), r);
		cr_assert_eq(region_find(r->identifier), r);
	}
}

static const struct {
	const char *name, *identifier, *key, *realm, *domain;
} known[] = {
	{ "eu-frankfurt-1", "eu-frankfurt-1", "fra", "oc1", "oraclecloud.com" },
	{ "FRA", "eu-frankfurt-1", "fra", "oc1", "oraclecloud.com" },
	{ "Us-Ashburn-1", "us-ashburn-1", "iad", "oc1", "oraclecloud.com" },
	{ "phx", "us-phoenix-1", "phx", "oc1", "oraclecloud.com" },
	{ "hnw", "sa-riodejaneiro-1", "hnw", "oc52", "oraclecloud52.com" },
};

Test(region, known_names)
{
	struct region_resolved r;

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct region view;

		cr_assert_eq(region_resolve(span_str(known[i].name), NULL, &r),
		             REGION_OK);
		view = region_view(&r);
		check_span(view.identifier, known[i].identifier);
		check_span(view.key, known[i].key);
		check_span(view.realm, known[i].realm);
		check_span(view.domain, known[i].domain);
	}
	cr_assert_null(region_find(SPAN("eu-frankfurt-9")));
	cr_assert_null(region_find((struct span){ 0 }));
}

/* Names that are not in the table, and what the sources make of them. */
static const struct {
	const char *name, *config, *metadata, *instance, *realm;
	bool strict, no_domain;
	enum region_error error;
	const char *identifier, *key, *realm_is, *domain;
} others[] = {
	{ "xx-new-1", "", "", "", "", false, false, REGION_OK, "xx-new-1", "",
	  "oc1", "oraclecloud.com" },
	{ "XX-New-1", "", "", "", "", false, false, REGION_OK, "xx-new-1", "",
	  "oc1", "oraclecloud.com" },
	{ "xx-new-1", "", "", "", "oc19", false, false, REGION_OK, "xx-new-1",
	  "", "oc19", "oraclecloud.eu" },
	{ "xx-new-1", "", "", "", "oraclecloud8.com", false, false, REGION_OK,
	  "xx-new-1", "", "oc8", "oraclecloud8.com" },
	{ "xx-new-1", "", "", "", "Own.Test", false, false, REGION_OK,
	  "xx-new-1", "", "", "own.test" },
	{ "xx-new-1", "", "", "", "oc999", false, false, REGION_BAD_REALM, "",
	  "", "", "" },
	{ "xx-new-1", "", "", "", "a..b", false, false, REGION_BAD_REALM, "",
	  "", "", "" },
	{ "xx-new-1", "", "", "", "", true, false, REGION_UNKNOWN, "", "", "",
	  "" },
	{ "xx-sydney-9", "[" OSLO "," SYDNEY "]", "", "", "", true, true,
	  REGION_OK, "xx-sydney-9", "xsy", "oc77", "sim.test" },
	{ "xsy", "[" SYDNEY "]", OSLO, "", "", true, true, REGION_OK,
	  "xx-sydney-9", "xsy", "oc77", "sim.test" },
	{ "OSL", "[" SYDNEY "]", OSLO, "", "", true, true, REGION_OK,
	  "eu-oslo-1", "osl", "oc78", "other.test" },
	{ "osl", "[]", SYDNEY, OSLO, "", true, true, REGION_OK, "eu-oslo-1",
	  "osl", "oc78", "other.test" },
	{ "osl", "[]", SYDNEY, SYDNEY, "", true, true, REGION_UNKNOWN, "", "",
	  "", "" },
	/* The first source that knows it; a later one is not looked at. */
	{ "xsy", "[" SYDNEY "]", "broken", "", "", false, false, REGION_OK,
	  "xx-sydney-9", "xsy", "oc77", "sim.test" },
	{ "osl", "{}", "", "", "", false, false, REGION_BAD_CONFIG, "", "", "",
	  "" },
	{ "osl", "[", "", "", "", false, false, REGION_BAD_CONFIG, "", "", "",
	  "" },
	{ "osl", "[{}]", "", "", "", false, false, REGION_BAD_CONFIG, "", "",
	  "", "" },
	{ "osl", "", "[" OSLO "]", "", "", false, false, REGION_BAD_METADATA,
	  "", "", "", "" },
	{ "osl", "", "", "null", "", false, false, REGION_BAD_METADATA, "", "",
	  "", "" },
	{ "osl", "",
	  "{\"realmKey\":\"a\",\"realmDomainComponent\":\"a b\","
	  "\"regionKey\":\"a\",\"regionIdentifier\":\"a\"}",
	  "", "", false, false, REGION_BAD_METADATA, "", "", "", "" },
	{ "us.Example.com", "", "", "", "", true, false, REGION_OK,
	  "us.example.com", "", "", "" },
	{ "us.example.com", "", "", "", "", false, true, REGION_UNKNOWN, "", "",
	  "", "" },
	{ "", "", "", "", "", false, false, REGION_EMPTY, "", "", "", "" },
	{ "a b", "", "", "", "", false, false, REGION_BAD_NAME, "", "", "",
	  "" },
	{ "1a", "", "", "", "", false, false, REGION_BAD_NAME, "", "", "", "" },
	{ "a/b", "", "", "", "", false, false, REGION_BAD_NAME, "", "", "",
	  "" },
	{ "evil.com/", "", "", "", "", false, false, REGION_BAD_NAME, "", "",
	  "", "" },
	{ "evil.com:1", "", "", "", "", false, false, REGION_BAD_NAME, "", "",
	  "", "" },
	{ "u@evil.com", "", "", "", "", false, false, REGION_BAD_NAME, "", "",
	  "", "" },
	{ "a..b", "", "", "", "", false, false, REGION_BAD_NAME, "", "", "",
	  "" },
	{ "[::1]", "", "", "", "", false, false, REGION_BAD_NAME, "", "", "",
	  "" },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "", "", "", "", false, false, REGION_BAD_NAME, "", "", "", "" },
};

Test(region, names_that_the_table_does_not_have)
{
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		struct region_sources from = {
			.config = span_str(others[i].config),
			.metadata = span_str(others[i].metadata),
			.instance = span_str(others[i].instance),
			.realm = span_str(others[i].realm),
			.strict = others[i].strict,
			.no_domain = others[i].no_domain,
		};
		struct region_resolved r;

		cr_assert_eq(
			region_resolve(span_str(others[i].name), &from, &r),
			others[i].error, "row %zu, %s", i, others[i].name);
		cr_assert_str_eq(r.identifier, others[i].identifier, "%zu", i);
		cr_assert_str_eq(r.key, others[i].key, "%zu", i);
		cr_assert_str_eq(r.realm, others[i].realm_is, "%zu", i);
		cr_assert_str_eq(r.domain, others[i].domain, "%zu", i);
	}
}

Test(region, without_sources_only_the_table_counts)
{
	struct region_resolved r;

	cr_assert_eq(region_resolve(SPAN("xx-new-1"), NULL, &r),
	             REGION_UNKNOWN);
	cr_assert_eq(region_resolve(SPAN("evil.com"), NULL, &r),
	             REGION_UNKNOWN);
}

static const struct {
	const char *host;
	bool owned;
} hosts[] = {
	{ "iaas.us-ashburn-1.oraclecloud.com", true },
	{ "IAAS.us-ashburn-1.OracleCloud.com", true },
	{ "oraclecloud.com", true },
	{ "x.oraclecloud.eu", true },
	{ "objectstorage.us-ashburn-1.oci.customer-oci.com", true },
	{ "eviloraclecloud.com", false },
	{ "oraclecloud.com.evil.com", false },
	{ "oraclecloud.co", false },
	{ "com", false },
	{ "", false },
};

Test(region, hosts_of_the_cloud)
{
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		cr_assert_eq(region_owns_host(span_str(hosts[i].host)),
		             hosts[i].owned, "%s", hosts[i].host);
}

static const struct {
	const char *name;
	const char *nearest; /* the first; NULL: none */
} guesses[] = {
	{ "eu-frankfurt", "eu-frankfurt-1" },
	{ "frankfurt", "eu-frankfurt-1" },
	{ "eu-frnakfurt-1", "eu-frankfurt-1" },
	{ "EU_FRANKFURT_1", "eu-frankfurt-1" },
	{ "us-ashburn1", "us-ashburn-1" },
	{ "uk-london-2", "uk-london-1" },
	{ "frra", "eu-frankfurt-1" },
	{ "completely-else", NULL },
	{ "", NULL },
};

Test(region, nearest_names)
{
	for (size_t i = 0; i < ARRAY_LEN(guesses); i++) {
		const struct region *near[REGION_NEAREST_MAX];
		size_t n = region_nearest(span_str(guesses[i].name), near);

		cr_assert_eq(n > 0, guesses[i].nearest != NULL, "%s",
		             guesses[i].name);
		if (n > 0)
			check_span(near[0]->identifier, guesses[i].nearest);
	}
}

static const struct {
	enum region_error error;
	const char *name, *sentence;
} sentences[] = {
	{ REGION_UNKNOWN, "eu-frankfrt-1",
	  "there is no such region: eu-frankfrt-1; did you mean "
	  "eu-frankfurt-1 (fra) or eu-frankfurt-2 (str)?" },
	{ REGION_UNKNOWN, "us-ashburn",
	  "there is no such region: us-ashburn; did you mean "
	  "us-ashburn-1 (iad) or us-ashburn-2 (yxj)?" },
	{ REGION_UNKNOWN, "nowhere-at-all",
	  "there is no such region: nowhere-at-all" },
	{ REGION_BAD_NAME, "\x01",
	  "the region is not a name like eu-frankfurt-1 or fra" },
	{ REGION_EMPTY, "", "no region is given" },
};

Test(region, sentences)
{
	for (size_t i = 0; i < ARRAY_LEN(sentences); i++) {
		struct buf b = { .max = 1024 };

		region_explain(sentences[i].error, span_str(sentences[i].name),
		               &b);
		check_span(buf_span(&b), sentences[i].sentence);
		buf_free(&b);
	}
}
