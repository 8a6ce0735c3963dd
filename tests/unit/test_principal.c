#include "oci/principal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/unit/fixture_cloud.h"

#define HEAD "OCI_RESOURCE_PRINCIPAL_"

static int64_t now_s;
static unsigned news;
static bool told;

static int64_t clock_s(void)
{
	return now_s;
}

static void on_news(void *owner, struct principal *p)
{
	(void)owner;
	(void)p;
	news++;
	told = true;
}

static const char *token_at(int64_t begun_s, int64_t expires_s)
{
	char claims[256];

	snprintf(claims, sizeof(claims),
	         "{\"res_id\":\"r\",\"res_tenant\":\"t\",\"iat\":%lld,"
	         "\"exp\":%lld}",
	         (long long)begun_s, (long long)expires_s);
	return fixture_token(claims);
}

static void start(void)
{
	fixture_cloud_start();
	now_s = (int64_t)time(NULL);
	fixture_cloud.errands.utc_s = clock_s;
	setenv(HEAD "VERSION", "2.2", 1);
	setenv(HEAD "REGION", "fra", 1);
	setenv(HEAD "RPST",
	       fixture_file("rpst", token_at(now_s, now_s + 1200), 0600), 1);
	setenv(HEAD "PRIVATE_PEM",
	       fixture_file("rp.pem", fixture_key_pem(0), 0600), 1);
	fixture_cloud_environment();
}

TestSuite(principal, .init = start, .fini = fixture_cloud_stop);

static struct principal *make(enum credential_method method)
{
	const struct credential settings = { .method = method,
		                             .region = SPAN("iad") };
	struct principal *p =
		principal_new(&fixture_cloud.errands, &settings, on_news, NULL);

	cr_assert(p);
	return p;
}

static void await_news(void)
{
	told = false;
	fixture_turn_until(&told);
}

static const char *error_of(const struct principal *p)
{
	const char *sentence;
	int err = principal_error(p, &sentence);

	cr_assert_eq(err == 0, *sentence == '\0');
	return sentence;
}

Test(principal, a_pass_is_looked_for_once)
{
	struct principal *p = make(CREDENTIAL_RESOURCE_PRINCIPAL);

	cr_assert_null(principal_pass(p));
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_COMING);
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_COMING);
	await_news();
	cr_assert_eq(news, 1);
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_READY, "%s", error_of(p));
	cr_assert_neq(principal_pass(p)->generation, 0);
	cr_assert_str_eq(principal_pass(p)->region, "us-ashburn-1");
	cr_assert_str_eq(error_of(p), "");
	cr_assert(span_is(principal_settings(p)->region, "iad"));
	principal_free(p);
}

Test(principal, a_pass_that_is_over_is_none)
{
	struct principal *p = make(CREDENTIAL_RESOURCE_PRINCIPAL);

	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_COMING);
	await_news();
	now_s += 1199;
	cr_assert(principal_pass(p));
	now_s += 1;
	cr_assert_null(principal_pass(p));
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_COMING);
	await_news();
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_FAILED);
	cr_assert(strstr(error_of(p), "expired"), "%s", error_of(p));
	principal_free(p);
}

Test(principal, it_is_renewed_before_its_end)
{
	struct principal *p;
	uint64_t first;

	/* Its life is 4 s; half of it is over in 1 s. */
	fixture_file("rpst", token_at(now_s - 1, now_s + 3), 0600);
	p = make(CREDENTIAL_RESOURCE_PRINCIPAL);
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_COMING);
	await_news();
	first = principal_pass(p)->generation;
	fixture_file("rpst", token_at(now_s, now_s + 1200), 0600);
	now_s += 2;
	await_news();
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_READY);
	cr_assert_neq(principal_pass(p)->generation, first);
	cr_assert_gt(principal_pass(p)->expires_s, now_s + 1000);
	principal_free(p);
}

Test(principal, the_old_pass_serves_while_the_next_fails)
{
	struct principal *p;

	fixture_file("rpst", token_at(now_s - 1, now_s + 3), 0600);
	p = make(CREDENTIAL_RESOURCE_PRINCIPAL);
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_COMING);
	await_news();
	fixture_file("rpst", "nonsense", 0600);
	now_s += 2;
	await_news();
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_READY);
	cr_assert(strstr(error_of(p), "not a JSON Web Token"));
	now_s += 1;
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_FAILED);
	principal_free(p);
}

Test(principal, a_refused_pass_is_replaced_once)
{
	struct principal *p = make(CREDENTIAL_RESOURCE_PRINCIPAL);
	uint64_t first, second;

	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_COMING);
	await_news();
	first = principal_pass(p)->generation;
	cr_assert_eq(principal_ask(p, first + 1), PRINCIPAL_READY);
	cr_assert_eq(principal_ask(p, first), PRINCIPAL_COMING);
	/* Others go on with the old one. */
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_READY);
	cr_assert_eq(principal_ask(p, first), PRINCIPAL_COMING);
	await_news();
	second = principal_pass(p)->generation;
	cr_assert_neq(second, first);
	cr_assert_eq(principal_ask(p, first), PRINCIPAL_READY);
	/* Not again at once, whoever says so. */
	cr_assert_eq(principal_ask(p, second), PRINCIPAL_READY);
	cr_assert_eq(news, 2);
	principal_free(p);
}

Test(principal, after_a_failure_there_is_a_pause)
{
	struct principal *p = make(CREDENTIAL_RESOURCE_PRINCIPAL);
	bool done = true;

	fixture_file("rpst", "nonsense", 0600);
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_COMING);
	await_news();
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_FAILED);
	int err = principal_error(p, &(const char *){ NULL });
	cr_assert_eq(err, -EINVAL);
	fixture_file("rpst", token_at(now_s, now_s + 1200), 0600);
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_FAILED);
	struct timespec wait = { .tv_sec = 1, .tv_nsec = 50000000 };
	nanosleep(&wait, NULL);
	fixture_turn_until(&done);
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_COMING);
	await_news();
	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_READY);
	principal_free(p);
}

Test(principal, freed_in_the_middle)
{
	struct principal *p = make(CREDENTIAL_INSTANCE_PRINCIPAL);
	bool done = true;

	cr_assert_eq(principal_ask(p, 0), PRINCIPAL_COMING);
	fixture_turn_until(&done);
	principal_free(p);
	fixture_turn_until(&done);
	cr_assert_eq(news, 0);
	principal_free(NULL);
}
