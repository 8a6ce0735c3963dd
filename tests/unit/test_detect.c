#include "oci/detect.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/fixture_cloud.h"

TestSuite(detect, .init = fixture_cloud_start, .fini = fixture_cloud_stop);

static const struct credential any;

static void run(struct attempt *a, const struct credential *c)
{
	fixture_cloud_environment();
	fixture_attempt(a, CREDENTIAL_AUTO, c, NULL);
}

Test(detect, nothing_is_there)
{
	struct attempt a = { 0 };

	run(&a, &any);
	cr_assert_eq(a.err, -ENOENT);
	cr_assert(strstr(a.sentence, "OCI_CLI_AUTH"));
	cr_assert(strstr(a.sentence, "OCI_RESOURCE_PRINCIPAL_VERSION"));
	cr_assert(strstr(a.sentence, "/.oci/config"), "%s", a.sentence);
	cr_assert(strstr(a.sentence, "status 404"), "%s", a.sentence);
	cr_assert(strstr(a.sentence, "oci session authenticate"));
	cr_assert_eq(fixture_cloud_asked("/instance/region"), 1);
	attempt_stop(&a);
}

/* Which way was taken shows in the method, or in the way's own error. */
Test(detect, the_order)
{
	static const struct {
		const char *what;
		const char *name[3], *value[3];
		const char *config; /* lines of [DEFAULT]; NULL: no file */
		enum credential_method method;
	} rows[] = {
		{ "a variable says it",
		  { "OCI_CLI_AUTH", "OCI_RESOURCE_PRINCIPAL_VERSION" },
		  { "instance_principal", "2.2" },
		  "user=x\n",
		  CREDENTIAL_INSTANCE_PRINCIPAL },
		{ "auto goes on",
		  { "OCI_CLI_AUTH", "OCI_RESOURCE_PRINCIPAL_VERSION" },
		  { "auto", "2.2" },
		  "user=x\n",
		  CREDENTIAL_RESOURCE_PRINCIPAL },
		{ "a pod without a token in place",
		  { "OCI_RESOURCE_PRINCIPAL_VERSION", "KUBERNETES_SERVICE_HOST",
		    "OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_STRING" },
		  { "2.2", "127.0.0.1", "e30.e30.c" },
		  "user=x\n",
		  CREDENTIAL_WORKLOAD },
		{ "a pod with one",
		  { "OCI_RESOURCE_PRINCIPAL_VERSION", "KUBERNETES_SERVICE_HOST",
		    "OCI_RESOURCE_PRINCIPAL_RPST" },
		  { "2.2", "127.0.0.1", "/nowhere" },
		  "user=x\n",
		  CREDENTIAL_RESOURCE_PRINCIPAL },
		{ "a profile with a key",
		  { NULL },
		  { NULL },
		  "user=x\n",
		  CREDENTIAL_API_KEY },
		{ "a profile with a session",
		  { NULL },
		  { NULL },
		  "security_token_file=x\n",
		  CREDENTIAL_SECURITY_TOKEN },
		{ "a profile for the instance",
		  { NULL },
		  { NULL },
		  "authentication_type=instance_principal\n",
		  CREDENTIAL_INSTANCE_PRINCIPAL },
		{ "a profile for the instance, on behalf of a user",
		  { NULL },
		  { NULL },
		  "authentication_type=instance_principal\n"
		  "delegation_token_file=x\n",
		  CREDENTIAL_INSTANCE_OBO_USER },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct attempt a = { 0 };
		char text[512], path[128];

		for (int j = 0; j < 3 && rows[i].name[j]; j++)
			setenv(rows[i].name[j], rows[i].value[j], 1);
		snprintf(text, sizeof(text), "[DEFAULT]\n%s",
		         rows[i].config ? rows[i].config : "");
		if (rows[i].config)
			fixture_file(".oci/config", text, 0600);
		run(&a, &any);
		cr_assert_null(a.pass);
		cr_assert_eq(a.method, rows[i].method, "%s: %d %s",
		             rows[i].what, a.method, a.sentence);
		attempt_stop(&a);
		for (int j = 0; j < 3 && rows[i].name[j]; j++)
			unsetenv(rows[i].name[j]);
		snprintf(path, sizeof(path), "%s/.oci/config",
		         fixture_cloud.directory);
		remove(path);
	}
}

Test(detect, a_word_that_is_none)
{
	struct attempt a = { 0 };

	setenv("OCI_AUTH_METHOD", "magic", 1);
	run(&a, &any);
	cr_assert_eq(a.err, -EINVAL);
	cr_assert(strstr(a.sentence, "\"magic\""));
	cr_assert(strstr(a.sentence, "oke_workload_identity"));
	attempt_stop(&a);
}

Test(detect, a_named_profile_goes_before_all)
{
	struct attempt a = { 0 };
	const struct credential named = { .profile = SPAN("p") };

	setenv("OCI_CLI_AUTH", "instance_principal", 1);
	fixture_file(".oci/config", "[q]\nuser=x\n", 0600);
	run(&a, &named);
	cr_assert(strstr(a.sentence, "no profile [p]"), "%s", a.sentence);
	attempt_stop(&a);
}

Test(detect, a_metadata_service_that_answers)
{
	struct attempt a = { 0 };

	fixture_cloud_answer("/instance/region", 200, "", "fra");
	run(&a, &any);
	cr_assert_eq(a.method, CREDENTIAL_INSTANCE_PRINCIPAL);
	attempt_stop(&a);
}

Test(detect, a_renewal_goes_the_same_way)
{
	struct attempt a = { 0 };
	struct pass *old = pass_new(CREDENTIAL_RESOURCE_PRINCIPAL);

	fixture_cloud_environment();
	fixture_attempt(&a, CREDENTIAL_AUTO, &any, old);
	cr_assert_eq(a.method, CREDENTIAL_RESOURCE_PRINCIPAL);
	attempt_stop(&a);
	old->expires_s = 1; /* over: it is looked for anew */
	fixture_attempt(&a, CREDENTIAL_AUTO, &any, old);
	cr_assert_eq(a.method, CREDENTIAL_AUTO);
	attempt_stop(&a);
	pass_free(old);
}
