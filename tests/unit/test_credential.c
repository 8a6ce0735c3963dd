#include "oci/credential.h"

#include <criterion/criterion.h>

#include "lib/crypto.h"

Test(credential, words)
{
	static const struct {
		const char *word;
		bool good;
		enum credential_method method;
		const char *reported;
	} rows[] = {
		{ "auto", true, CREDENTIAL_AUTO, "auto" },
		{ "API_KEY", true, CREDENTIAL_API_KEY, "config_file" },
		{ "config_file", true, CREDENTIAL_API_KEY, "config_file" },
		{ "security_token", true, CREDENTIAL_SECURITY_TOKEN,
		  "security_token" },
		{ "instance_principal", true, CREDENTIAL_INSTANCE_PRINCIPAL,
		  "instance_principal" },
		{ "resource", true, CREDENTIAL_RESOURCE_PRINCIPAL,
		  "resource_principal" },
		{ "resource_principals", true, CREDENTIAL_RESOURCE_PRINCIPAL,
		  "resource_principal" },
		{ "oke_workload_identity", true, CREDENTIAL_WORKLOAD,
		  "oke_workload_identity" },
		{ "instance_obo_user", true, CREDENTIAL_INSTANCE_OBO_USER,
		  "instance_obo_user" },
		{ "", false, CREDENTIAL_AUTO, "auto" },
		{ "none", false, CREDENTIAL_AUTO, "auto" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum credential_method method = CREDENTIAL_AUTO;

		cr_assert_eq(
			credential_method_of(span_str(rows[i].word), &method),
			rows[i].good);
		cr_assert_eq(method, rows[i].method, "%s", rows[i].word);
		cr_assert_str_eq(credential_method_word(method),
		                 rows[i].reported);
	}
}

Test(credential, ids_differ_by_every_setting_and_stay)
{
	const struct credential rows[] = {
		{ 0 },
		{ .method = CREDENTIAL_API_KEY },
		{ .config_file = SPAN("ab") },
		{ .profile = SPAN("ab") },
		{ .config_file = SPAN("a"), .profile = SPAN("b") },
		{ .region = SPAN("ab") },
		{ .tenancy = SPAN("ab") },
		{ .endpoint = SPAN("ab") },
	};

	cr_assert_eq(crypto_init(), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t id = credential_id(&rows[i]);

		cr_assert_neq(id, 0);
		cr_assert_eq(id, credential_id(&rows[i]));
		for (size_t j = 0; j < i; j++)
			cr_assert_neq(id, credential_id(&rows[j]));
	}
}
