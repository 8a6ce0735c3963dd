#include "lib/lookup.h"

#include <criterion/criterion.h>
#include <netinet/in.h>

#define WAIT_MS 5000 /* nothing here takes longer, unless it fails */

static struct loop *loop;
static struct lookups *all;
static struct timer deadline;
static int left; /* answers until the loop stops */

static struct {
	int calls, err;
	size_t n;
	struct sockaddr_storage first;
} found;

static void on_found(void *owner, int err, const struct sockaddr_storage *at,
                     size_t n)
{
	cr_assert_eq(owner, &found);
	found.calls++;
	found.err = err;
	found.n = n;
	if (n)
		found.first = at[0];
	if (--left <= 0)
		loop_stop(loop);
}

static void begin(void)
{
	loop = loop_new();
	all = lookups_new(loop);
	cr_assert(loop && all);
}

static void end(void)
{
	lookups_free(all);
	loop_timer_stop(loop, &deadline);
	loop_free(loop);
}

TestSuite(lookup, .init = begin, .fini = end, .timeout = 20);

static void too_late(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

static void run(uint64_t for_ms)
{
	loop_timer(loop, &deadline, for_ms, too_late);
	cr_assert_eq(loop_run(loop), 0);
}

Test(lookup, one_by_one)
{
	static const struct {
		const char *host;
		int err, family;
	} cases[] = {
		{ "127.0.0.1", 0, AF_INET },
		{ "::1", 0, AF_INET6 },
		{ "localhost", 0, 0 },
		{ "no.such.host.invalid", -EHOSTUNREACH, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		found.calls = 0;
		cr_assert(lookup_start(all, span_str(cases[i].host), 81,
		                       on_found, &found));
		cr_assert_eq(found.calls, 0);
		run(WAIT_MS);
		cr_assert_eq(found.calls, 1);
		cr_expect_eq(found.err, cases[i].err);
		cr_expect_eq(found.n > 0, found.err == 0);
		if (cases[i].family)
			cr_expect_eq(found.first.ss_family, cases[i].family);
		if (found.first.ss_family == AF_INET && found.n)
			cr_expect_eq(
				((struct sockaddr_in *)&found.first)->sin_port,
				htons(81));
	}
	cr_expect_null(lookup_start(all, SPAN(""), 1, on_found, &found));
}

Test(lookup, many)
{
	struct lookup *some[40];

	left = 30;
	for (size_t i = 0; i < ARRAY_LEN(some); i++)
		some[i] = lookup_start(all, SPAN("127.0.0.1"), 1, on_found,
		                       &found);
	for (size_t i = 0; i < 10; i++)
		lookup_cancel(some[4 * i]);
	run(WAIT_MS);
	run(50);
	cr_expect_eq(found.calls, 30);
	/* And some that nobody waits for any more. */
	for (size_t i = 0; i < ARRAY_LEN(some); i++)
		cr_assert(lookup_start(all, SPAN("localhost"), 1, on_found,
		                       &found));
}
