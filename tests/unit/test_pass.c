#include "oci/pass.h"

#include <criterion/criterion.h>

#include "lib/crypto.h"

static void start(void)
{
	cr_assert_eq(crypto_init(), 0);
}

TestSuite(pass, .init = start);

Test(pass, generations_differ)
{
	struct pass *a = pass_new(CREDENTIAL_API_KEY);
	struct pass *b = pass_new(CREDENTIAL_API_KEY);

	cr_assert_neq(a->generation, 0);
	cr_assert_neq(a->generation, b->generation);
	pass_free(a);
	pass_free(b);
	pass_free(NULL);
}

Test(pass, the_key_id_of_a_token)
{
	struct pass *pass = pass_new(CREDENTIAL_WORKLOAD);

	pass_set_token(pass, SPAN("abc"));
	cr_assert(span_is(buf_span(&pass->key_id), "ST$abc"));
	buf_reset(&pass->key_id);
	pass_set_token(pass, SPAN("ST$abc"));
	cr_assert(span_is(buf_span(&pass->key_id), "ST$abc"));
	pass_free(pass);
}

Test(pass, when_it_is_renewed)
{
	static const struct {
		int64_t issued_s, expires_s, now_s, renew_s;
	} rows[] = {
		{ 1000, 2200, 1100, 1900 }, /* the margin before the end */
		{ 1000, 1400, 1100, 1200 }, /* half of a short life */
		{ 0, 1400, 1000, 1200 },    /* which begins now */
		{ 1000, 900, 1000, 900 },   /* over before it began */
		{ 1000, 0, 1000, 0 },       /* for ever */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pass *pass = pass_new(CREDENTIAL_WORKLOAD);
		struct claims claims = { .issued_s = rows[i].issued_s,
			                 .expires_s = rows[i].expires_s };

		pass_set_claims(pass, &claims, rows[i].now_s);
		cr_assert_eq(pass->expires_s, rows[i].expires_s);
		cr_assert_eq(pass->renew_s, rows[i].renew_s, "row %zu: %lld", i,
		             (long long)pass->renew_s);
		pass_free(pass);
	}
}

Test(pass, words_are_kept_or_replaced_and_cut)
{
	struct pass *pass = pass_new(CREDENTIAL_WORKLOAD);
	struct claims claims = { .subject = "s" };
	char small[4];

	pass_set_word(pass->tenancy, sizeof(pass->tenancy), SPAN("t"));
	pass_set_claims(pass, &claims, 0);
	cr_assert_str_eq(pass->tenancy, "t");
	cr_assert_str_eq(pass->subject, "s");
	pass_set_word(small, sizeof(small), SPAN("abcdef"));
	cr_assert_str_eq(small, "abc");
	pass_set_word(small, sizeof(small), (struct span){ 0 });
	cr_assert_str_eq(small, "");
	pass_free(pass);
}
