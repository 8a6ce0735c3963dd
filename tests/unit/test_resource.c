#include "oci/resource.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/fixture_cloud.h"

TestSuite(resource, .init = fixture_cloud_start, .fini = fixture_cloud_stop);

#define HEAD "OCI_RESOURCE_PRINCIPAL_"

static const struct credential any;

static void run(struct attempt *a)
{
	fixture_cloud_environment();
	fixture_attempt(a, CREDENTIAL_RESOURCE_PRINCIPAL, &any, NULL);
}

/* A token of a resource, for the n-th key. */
static const char *token_for(int n)
{
	char more[2048];

	snprintf(more, sizeof(more),
	         ",\"res_id\":\"ocid1.fnfunc.oc1..f\",\"res_tenant\":"
	         "\"ocid1.tenancy.oc1..t\",\"jwk\":%s",
	         fixture_jwk(n));
	return fixture_token_hour(more);
}

static void set_tail(const char *rest, const char *tail, const char *value)
{
	char name[128];

	snprintf(name, sizeof(name), HEAD "%s%s", rest, tail);
	setenv(name, value, 1);
}

static void in_place(const char *tail)
{
	set_tail("VERSION", tail, "2.2");
	set_tail("REGION", tail, "fra");
	set_tail("RPST", tail, fixture_file("rpst", token_for(0), 0600));
	set_tail("PRIVATE_PEM", tail,
	         fixture_file("rp.pem", fixture_key_pem(0), 0600));
}

static void check_pass(const struct attempt *a)
{
	cr_assert(a->pass, "%s", a->sentence);
	cr_assert_str_eq(a->pass->subject, "ocid1.fnfunc.oc1..f");
	cr_assert_str_eq(a->pass->tenancy, "ocid1.tenancy.oc1..t");
	cr_assert_str_eq(a->pass->region, "eu-frankfurt-1");
}

Test(resource, token_and_key_in_files)
{
	struct attempt a = { 0 };

	in_place("");
	run(&a);
	check_pass(&a);
	cr_assert_lt(a.pass->renew_s, a.pass->expires_s);
	attempt_stop(&a);
}

Test(resource, token_and_key_as_values)
{
	struct attempt a = { 0 };

	in_place("");
	set_tail("RPST", "", token_for(0));
	set_tail("PRIVATE_PEM", "", fixture_key_pem(0));
	run(&a);
	check_pass(&a);
	cr_assert_eq(a.pass->renew_s, a.pass->expires_s);
	cr_assert_null(getenv(HEAD "PRIVATE_PEM"));
	attempt_stop(&a);
}

Test(resource, what_is_wrong_is_said)
{
	static const struct {
		const char *rest, *value, *why;
	} rows[] = {
		{ "VERSION", "", "is not set" },
		{ "VERSION", "9", "must be 2.2" },
		{ "RPST", "", "RPST, which is not set" },
		{ "PRIVATE_PEM", "", "PRIVATE_PEM, which is not set" },
		{ "PRIVATE_PEM", "/nowhere", "No such file" },
		{ "PRIVATE_PEM", "x", "no PEM block" },
		{ "RPST", "nonsense", "not a JSON Web Token" },
		{ "RPST", "e30.eyJleHAiOjF9.c", "has expired" },
		{ "REGION", "no region!", "region" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct attempt a = { 0 };

		in_place("");
		set_tail(rows[i].rest, "", rows[i].value);
		run(&a);
		cr_assert_null(a.pass);
		cr_assert(strstr(a.sentence, rows[i].why), "row %zu: %s", i,
		          a.sentence);
		attempt_stop(&a);
	}
}

Test(resource, a_key_that_is_not_the_tokens)
{
	struct attempt a = { 0 };

	in_place("");
	set_tail("PRIVATE_PEM", "", fixture_key_pem(1));
	run(&a);
	cr_assert(strstr(a.sentence, "not the one its token names"), "%s",
	          a.sentence);
	attempt_stop(&a);
}

/* --- by a service ----------------------------------------------------------
 */

static void have_service(const char *path)
{
	set_tail("RPT_ENDPOINT", "", fixture_cloud.url);
	fixture_cloud_answer(path, 200, "",
	                     "{\"resourcePrincipalToken\":\"rpt\","
	                     "\"servicePrincipalSessionToken\":\"spst\"}");
	fixture_cloud_answer(
		"/v1/resourcePrincipalSessionToken", 200, "",
		fixture_token_answer(fixture_token_hour(
			",\"res_id\":\"ocid1.fnfunc.oc1..f\",\"res_tenant\":"
			"\"ocid1.tenancy.oc1..t\"")));
}

Test(resource, an_instance_asks_for_it)
{
	static const char path[] =
		"/20180711/resourcePrincipalToken/ocid1.instance.oc1.iad.i";
	struct attempt a = { 0 };
	const char *asked;

	fixture_cloud_answer("/identity/cert.pem", 200, "",
	                     fixture_certificate(0, "ocid1.tenancy.oc1..t"));
	fixture_cloud_answer("/identity/key.pem", 200, "", fixture_key_pem(0));
	fixture_cloud_answer("/identity/intermediate.pem", 200, "",
	                     fixture_certificate(1, "x"));
	fixture_cloud_answer("/instance/region", 200, "", "fra\n");
	fixture_cloud_answer("/v1/x509", 200, "",
	                     fixture_token_answer(fixture_token_hour("")));
	setenv("OCI_CLI_ENDPOINT", fixture_cloud.url, 1);
	set_tail("VERSION", "", "1.1");
	have_service(path);
	run(&a);
	check_pass(&a);
	asked = fixture_cloud_request("/v1/resourcePrincipalSessionToken");
	cr_assert(strstr(asked, "{\"resourcePrincipalToken\":\"rpt\","
	                        "\"servicePrincipalSessionToken\":\"spst\","
	                        "\"sessionPublicKey\":\"MII"),
	          "%s", asked);
	cr_assert(strstr(fixture_cloud_request(path), "keyId=\"ST$ey"));
	attempt_stop(&a);
}

Test(resource, it_asks_with_its_own_key)
{
	static const struct {
		const char *version, *path, *own_path, *key_id;
	} rows[] = {
		{ "2.1", "/20180711/resourcePrincipalTokenV2/rid", "",
		  "\"resource/v2.1/rid\"" },
		{ "2.1.1", "/20180711/resourcePrincipalTokenV2/rid", "",
		  "\"resource/v2.1.1/ocid1.tenancy.oc1..t/rid\"" },
		{ "2.1.2", "/20180711/resourcePrincipalTokenV212/rid", "",
		  "\"resource/v2.1.2/ocid1.tenancy.oc1..t/rid\"" },
		{ "2.1.2", "/own/rid", "/own/{}", "\"resource/v2.1.2/" },
		{ "2.1.2", "/behind/rid", "/behind", "\"resource/v2.1.2/" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct attempt a = { 0 };

		in_place("");
		set_tail("VERSION", "", rows[i].version);
		set_tail("RESOURCE_ID", "", "rid");
		set_tail("TENANCY_ID", "", "ocid1.tenancy.oc1..t");
		set_tail("SECURITY_CONTEXT", "", "ctx");
		set_tail("RPT_PATH", "", rows[i].own_path);
		set_tail("RPST_ENDPOINT", "", fixture_cloud.url);
		have_service(rows[i].path);
		run(&a);
		check_pass(&a);
		const char *asked = fixture_cloud_request(rows[i].path);
		cr_assert(strstr(asked, rows[i].key_id), "%s", asked);
		cr_assert_eq(strstr(asked, "security-context: ctx") != NULL,
		             strcmp(rows[i].version, "2.1.2") == 0);
		attempt_stop(&a);
	}
}

Test(resource, leaf_and_parents)
{
	struct attempt a = { 0 };
	char next[1024], fields[1200];

	in_place("_FOR_LEAF_RESOURCE");
	set_tail("VERSION", "", "3.0");
	snprintf(next, sizeof(next), "%s/parent/1", fixture_cloud.url);
	set_tail("RPT_URL_FOR_PARENT_RESOURCE", "", next);
	set_tail("RPST_ENDPOINT_FOR_PARENT_RESOURCE", "", fixture_cloud.url);
	have_service("/parent/2");
	snprintf(fields, sizeof(fields), "opc-parent-rpt-url: %s/parent/2\r\n",
	         fixture_cloud.url);
	fixture_cloud_answer("/parent/1", 200, fields,
	                     "{\"resourcePrincipalToken\":\"rpt1\","
	                     "\"servicePrincipalSessionToken\":\"spst1\"}");
	run(&a);
	check_pass(&a);
	cr_assert_eq(fixture_cloud_asked("/parent/1"), 1);
	cr_assert_eq(fixture_cloud_asked("/parent/2"), 1);
	cr_assert_eq(fixture_cloud_asked("/v1/resourcePrincipalSessionToken"),
	             2);
	attempt_stop(&a);
}

Test(resource, no_parent_outside_of_the_cloud)
{
	struct attempt a = { 0 };
	char next[1024];

	in_place("_FOR_LEAF_RESOURCE");
	set_tail("VERSION", "", "3.0");
	snprintf(next, sizeof(next), "%s/parent/1", fixture_cloud.url);
	set_tail("RPT_URL_FOR_PARENT_RESOURCE", "", next);
	set_tail("RPST_ENDPOINT_FOR_PARENT_RESOURCE", "", fixture_cloud.url);
	fixture_cloud_answer("/parent/1", 200,
	                     "opc-parent-rpt-url: https://evil.example/\r\n",
	                     "{\"resourcePrincipalToken\":\"rpt1\","
	                     "\"servicePrincipalSessionToken\":\"spst1\"}");
	run(&a);
	cr_assert_eq(a.err, -EACCES);
	attempt_stop(&a);
}

Test(resource, a_ring_of_parents_ends)
{
	struct attempt a = { 0 };
	char next[1024], one[1200], two[1200];

	in_place("_FOR_LEAF_RESOURCE");
	set_tail("VERSION", "", "3.0");
	snprintf(next, sizeof(next), "%s/parent/1", fixture_cloud.url);
	set_tail("RPT_URL_FOR_PARENT_RESOURCE", "", next);
	set_tail("RPST_ENDPOINT_FOR_PARENT_RESOURCE", "", fixture_cloud.url);
	have_service("/unused");
	snprintf(one, sizeof(one), "opc-parent-rpt-url: %s/parent/1\r\n",
	         fixture_cloud.url);
	snprintf(two, sizeof(two), "opc-parent-rpt-url: %s/parent/2\r\n",
	         fixture_cloud.url);
	fixture_cloud_answer("/parent/1", 200, two,
	                     "{\"resourcePrincipalToken\":\"rpt1\","
	                     "\"servicePrincipalSessionToken\":\"spst1\"}");
	fixture_cloud_answer("/parent/2", 200, one,
	                     "{\"resourcePrincipalToken\":\"rpt1\","
	                     "\"servicePrincipalSessionToken\":\"spst1\"}");
	run(&a);
	cr_assert_null(a.pass);
	cr_assert(strstr(a.sentence, "more than 10 parents"), "%s", a.sentence);
	attempt_stop(&a);
}
