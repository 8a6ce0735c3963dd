#include "oci/attempt.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/fixture_cloud.h"

static struct attempt a;
static struct credential settings;

static void on_done(struct attempt *attempt)
{
	(void)attempt;
}

/* An attempt that is running, with the environment as it is. */
static void begin(void)
{
	attempt_stop(&a);
	fixture_cloud_environment();
	attempt_start_with(&a, CREDENTIAL_AUTO, &fixture_cloud.errands,
	                   &settings, NULL, on_done, NULL);
}

static void start(void)
{
	fixture_cloud_start();
	memset(&settings, 0, sizeof(settings));
	/* Auto then waits for its probe, and nothing else happens. */
}

static void stop(void)
{
	attempt_stop(&a);
	fixture_cloud_stop();
}

TestSuite(attempt, .init = start, .fini = stop);

Test(attempt, the_service_that_gives_out_tokens)
{
	static const struct {
		const char *name, *value, *region, *url;
	} rows[] = {
		{ NULL, NULL, "fra",
		  "https://auth.eu-frankfurt-1.oraclecloud.com/v1/x509" },
		{ NULL, NULL, "us-gov-ashburn-1",
		  "https://auth.us-gov-ashburn-1.oraclegovcloud.com/v1/x509" },
		{ NULL, NULL, "cloud.example",
		  "https://auth.cloud.example/v1/x509" },
		{ "OCI_CLI_ENDPOINT", "http://127.0.0.1:1/", "fra",
		  "http://127.0.0.1:1/v1/x509" },
		{ "OCI_SDK_AUTH_CLIENT_REGION_URL", "https://a.example", "fra",
		  "https://a.example/v1/x509" },
		{ "OCI_CLI_FEDERATION_ENDPOINT", "https://b.example/v1/x509",
		  "fra", "https://b.example/v1/x509" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct region_resolved region;
		char url[ATTEMPT_URL_MAX];

		if (rows[i].name)
			setenv(rows[i].name, rows[i].value, 1);
		begin();
		cr_assert(
			attempt_region(&a, span_str(rows[i].region), &region));
		cr_assert(attempt_auth_url(&a, &region, "/v1/x509", url));
		cr_assert_str_eq(url, rows[i].url);
	}
}

Test(attempt, an_endpoint_that_is_no_url)
{
	struct region_resolved region = { 0 };
	char url[ATTEMPT_URL_MAX];

	setenv("OCI_CLI_ENDPOINT", "nonsense", 1);
	begin();
	cr_assert_not(attempt_auth_url(&a, &region, "/", url));
	cr_assert(strstr(a.sentence, "not a URL: nonsense"));
}

Test(attempt, regions_that_the_table_does_not_have)
{
	struct region_resolved region;

	fixture_file(".oci/regions-config.json",
	             "[{\"realmKey\":\"OC99\",\"realmDomainComponent\":"
	             "\"cloud99.example\",\"regionKey\":\"XYZ\","
	             "\"regionIdentifier\":\"xx-new-1\"}]",
	             0600);
	begin();
	cr_assert(attempt_region(&a, SPAN("xyz"), &region));
	cr_assert_str_eq(region.identifier, "xx-new-1");
	cr_assert_str_eq(region.domain, "cloud99.example");
}

Test(attempt, files)
{
	struct buf b = { 0 };

	begin();
	cr_assert(attempt_read_named(&a, "it", true, SPAN("~/f"), &b) == false);
	cr_assert(strstr(a.sentence, "/f: No such file"), "%s", a.sentence);
	fixture_file("f", " \n a b \r\n", 0644);
	begin();
	cr_assert(attempt_read_named(&a, "it", true, SPAN("~/f"), &b));
	cr_assert(span_is(buf_span(&b), "a b"));
	cr_assert(attempt_read_named(&a, "it", true, SPAN("~/f"), &b));
	cr_assert(span_is(buf_span(&b), "a ba b"));
	fixture_file("f", " \n", 0600);
	cr_assert_not(attempt_read_named(&a, "it", true, SPAN("~/f"), &b));
	cr_assert(strstr(a.sentence, "is empty"));
	begin();
	cr_assert_not(attempt_read_named(&a, "it", true, SPAN("~u/f"), &b));
	cr_assert(strstr(a.sentence, "write the whole path"));
	buf_free(&b);
}

Test(attempt, where_the_configuration_file_is)
{
	char path[PROFILE_PATH_MAX], expected[PROFILE_PATH_MAX];
	char old[512];

	begin();
	cr_assert(attempt_config_path(&a, path));
	snprintf(expected, sizeof(expected), "%s/.oci/config",
	         fixture_cloud.directory);
	cr_assert_str_eq(path, expected);

	snprintf(old, sizeof(old), "mkdir '%s/.oraclebmc'",
	         fixture_cloud.directory);
	cr_assert_eq(system(old), 0);
	fixture_file(".oraclebmc/config", "", 0600);
	cr_assert(attempt_config_path(&a, path));
	cr_assert(strstr(path, "/.oraclebmc/config"));
	fixture_file(".oci/config", "", 0600);
	cr_assert(attempt_config_path(&a, path));
	cr_assert_str_eq(path, expected);

	setenv("OCI_CLI_CONFIG_FILE", "/b", 1);
	begin();
	cr_assert(attempt_config_path(&a, path));
	cr_assert_str_eq(path, "/b");
	setenv("OCI_CONFIG_FILE", "/a", 1);
	begin();
	cr_assert(attempt_config_path(&a, path));
	cr_assert_str_eq(path, "/a");
	settings.config_file = SPAN("~/c");
	cr_assert(attempt_config_path(&a, path));
	cr_assert(strstr(path, "/c"));
	cr_assert(attempt_is_explicit(&a));
}

Test(attempt, a_tenancy_that_is_none)
{
	struct pass *pass = pass_new(CREDENTIAL_API_KEY);

	setenv("OCI_TENANCY_OCID", "mine", 1);
	begin();
	cr_assert_not(attempt_place(&a, pass, SPAN("fra")));
	cr_assert(strstr(a.sentence, "OCI_TENANCY_OCID"));
	pass_free(pass);
}
