#include "oci/federation.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/unit/fixture_cloud.h"

#define TENANCY "ocid1.tenancy.oc1..t"

static const struct credential any;

static void start(void)
{
	fixture_cloud_start();
	fixture_cloud_answer("/identity/intermediate.pem", 200, "",
	                     fixture_certificate(1, "x"));
	fixture_cloud_answer("/instance/regionInfo", 200, "",
	                     "{\"realmKey\":\"OC1\",\"realmDomainComponent\":"
	                     "\"oraclecloud.com\",\"regionKey\":\"FRA\","
	                     "\"regionIdentifier\":\"eu-frankfurt-1\"}");
	setenv("OCI_CLI_FEDERATION_ENDPOINT", fixture_cloud.url, 1);
	fixture_cloud_environment();
}

TestSuite(federation, .init = start, .fini = fixture_cloud_stop);

static void have_leaf(int certificate, int key)
{
	fixture_cloud_answer("/identity/cert.pem", 200, "",
	                     fixture_certificate(certificate, TENANCY));
	fixture_cloud_answer("/identity/key.pem", 200, "",
	                     fixture_key_pem(key));
}

static void have_token(const char *more)
{
	fixture_cloud_answer("/v1/x509", 200, "",
	                     fixture_token_answer(fixture_token_hour(more)));
}

Test(federation, an_instance_gets_a_token)
{
	struct attempt a = { 0 };
	const char *asked;

	have_leaf(0, 0);
	have_token("");
	fixture_attempt(&a, CREDENTIAL_INSTANCE_PRINCIPAL, &any, NULL);
	cr_assert(a.pass, "%s", a.sentence);
	cr_assert_str_eq(a.pass->tenancy, TENANCY);
	cr_assert_str_eq(a.pass->subject, "ocid1.instance.oc1.iad.i");
	cr_assert_str_eq(a.pass->region, "eu-frankfurt-1");
	cr_assert_str_eq(a.pass->domain, "oraclecloud.com");
	cr_assert(span_starts(buf_span(&a.pass->key_id), SPAN("ST$ey")));
	cr_assert_eq(a.pass->expires_s - a.pass->renew_s, PASS_MARGIN_S);

	asked = fixture_cloud_request("/identity/cert.pem");
	cr_assert(strcasestr(asked, "authorization: Bearer Oracle\r\n"));
	asked = fixture_cloud_request("/v1/x509");
	cr_assert(strstr(asked, TENANCY "/fed-x509-sha256/"));
	cr_assert(strstr(asked, "\"date (request-target) content-length "
	                        "content-type x-content-sha256\""),
	          "%s", asked);
	cr_assert(strstr(asked, "\"purpose\":\"DEFAULT\""));
	cr_assert(strstr(asked, "\"intermediateCertificates\":[\"MII"));
	cr_assert_not(strstr(asked, "\\n"));
	attempt_stop(&a);
}

Test(federation, certificate_and_key_are_read_until_they_match)
{
	struct attempt a = { 0 };

	fixture_cloud_answer("/identity/cert.pem", 200, "",
	                     fixture_certificate(0, TENANCY));
	fixture_cloud_answer("/identity/key.pem", 200, "", fixture_key_pem(1));
	have_leaf(2, 2);
	have_token("");
	fixture_attempt(&a, CREDENTIAL_INSTANCE_PRINCIPAL, &any, NULL);
	cr_assert(a.pass, "%s", a.sentence);
	cr_assert_eq(fixture_cloud_asked("/identity/cert.pem"), 2);
	attempt_stop(&a);
}

Test(federation, they_never_match)
{
	struct attempt a = { 0 };

	have_leaf(0, 1);
	fixture_attempt(&a, CREDENTIAL_INSTANCE_PRINCIPAL, &any, NULL);
	cr_assert_eq(a.err, -EIO);
	cr_assert(strstr(a.sentence, "not that of its certificate"));
	cr_assert_eq(fixture_cloud_asked("/identity/cert.pem"),
	             FEDERATION_READS_MAX);
	attempt_stop(&a);
}

Test(federation, another_tenancy_is_refused)
{
	struct attempt a = { 0 };
	struct pass *old = pass_new(CREDENTIAL_INSTANCE_PRINCIPAL);

	strcpy(old->tenancy, "ocid1.tenancy.oc1..before");
	have_leaf(0, 0);
	have_token("");
	fixture_attempt(&a, CREDENTIAL_INSTANCE_PRINCIPAL, &any, old);
	cr_assert_null(a.pass);
	cr_assert(strstr(a.sentence, "another tenancy"), "%s", a.sentence);
	attempt_stop(&a);
	strcpy(old->tenancy, TENANCY);
	fixture_attempt(&a, CREDENTIAL_INSTANCE_PRINCIPAL, &any, old);
	cr_assert(a.pass);
	attempt_stop(&a);
	pass_free(old);
}

Test(federation, errors_name_what_was_asked)
{
	struct attempt a = { 0 };

	fixture_attempt(&a, CREDENTIAL_INSTANCE_PRINCIPAL, &any, NULL);
	cr_assert_eq(a.err, -EIO);
	cr_assert(strstr(a.sentence, "certificate of this instance"));
	cr_assert(strstr(a.sentence, fixture_cloud.host), "%s", a.sentence);
	cr_assert_geq(fixture_cloud_asked("/identity/cert.pem"), 2);
	attempt_stop(&a);

	have_leaf(0, 0);
	fixture_cloud_answer("/v1/x509", 401, "",
	                     "{\"code\":\"NotAuthenticated\"}");
	fixture_attempt(&a, CREDENTIAL_INSTANCE_PRINCIPAL, &any, NULL);
	cr_assert(strstr(a.sentence, "401 NotAuthenticated"), "%s", a.sentence);
	cr_assert_eq(fixture_cloud_asked("/v1/x509"), 1);
	attempt_stop(&a);
}

Test(federation, a_token_for_another_key)
{
	struct attempt a = { 0 };
	char claim[1024];

	have_leaf(0, 0);
	snprintf(claim, sizeof(claim), ",\"jwk\":%s", fixture_jwk(2));
	have_token(claim);
	fixture_attempt(&a, CREDENTIAL_INSTANCE_PRINCIPAL, &any, NULL);
	cr_assert_null(a.pass);
	cr_assert(strstr(a.sentence, "another key"), "%s", a.sentence);
	attempt_stop(&a);
}

Test(federation, on_behalf_of_a_user)
{
	struct attempt a = { 0 };

	have_leaf(0, 0);
	have_token("");
	fixture_attempt(&a, CREDENTIAL_INSTANCE_OBO_USER, &any, NULL);
	cr_assert_null(a.pass);
	cr_assert(strstr(a.sentence, "OCI_CLI_DELEGATION_TOKEN_FILE"));
	attempt_stop(&a);

	setenv("OCI_CLI_DELEGATION_TOKEN_FILE",
	       fixture_file("obo", "opaque-token\n", 0600), 1);
	fixture_cloud_environment();
	fixture_attempt(&a, CREDENTIAL_INSTANCE_OBO_USER, &any, NULL);
	cr_assert(a.pass, "%s", a.sentence);
	cr_assert(span_is(buf_span(&a.pass->delegate), "opaque-token"));
	cr_assert_eq(a.pass->method, CREDENTIAL_INSTANCE_OBO_USER);
	attempt_stop(&a);
}

/* The clock is two hours ahead: by it, the token is over when it comes. */
static int64_t ahead_s(void)
{
	return (int64_t)time(NULL) + 7200;
}

Test(federation, a_token_that_seems_over_tells_the_time)
{
	struct attempt a = { 0 };

	have_leaf(0, 0);
	have_token("");
	fixture_cloud.errands.utc_s = ahead_s;
	fixture_attempt(&a, CREDENTIAL_INSTANCE_PRINCIPAL, &any, NULL);
	cr_assert(a.pass, "%s", a.sentence);
	cr_assert_leq(llabs(attempt_now_s(&a) - (int64_t)time(NULL)), 10);
	attempt_stop(&a);
}
