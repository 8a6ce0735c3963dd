#include "oci/hosts.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>

#define WAIT_MS 5000 /* nothing here takes longer, unless it fails */

static struct loop *loop;
static struct lookups *lookups;
static struct hosts *hosts;
static unsigned news, awaited;

static void on_news(void *owner)
{
	cr_expect_eq(owner, &news);
	if (++news == awaited)
		loop_stop(loop);
}

static void begin(void)
{
	loop = loop_new();
	lookups = lookups_new(loop);
	hosts = hosts_new(loop, lookups, on_news, &news);
	cr_assert(loop && lookups && hosts);
	news = 0;
}

static void end(void)
{
	hosts_free(hosts);
	lookups_free(lookups);
	loop_free(loop);
}

TestSuite(hosts, .init = begin, .fini = end, .timeout = 60);

static void on_late(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

/* Turn until there have been so many news, or for so long. */
static void turn(unsigned until, uint64_t ms)
{
	struct timer t = { 0 };

	awaited = until;
	loop_timer(loop, &t, ms, on_late);
	cr_assert_eq(loop_run(loop), 0);
	loop_timer_stop(loop, &t);
}

static in_port_t port_of(const struct sockaddr_storage *at)
{
	if (at->ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)at)->sin_port);
	return ntohs(((const struct sockaddr_in6 *)at)->sin6_port);
}

Test(hosts, what_needs_no_looking_up)
{
	static const struct {
		const char *authority;
		enum hosts_state state;
	} rows[] = {
		{ "127.0.0.1", HOSTS_KNOWN },
		{ "169.254.169.254", HOSTS_KNOWN },
		{ "127.0.0.1:8080", HOSTS_KNOWN },
		{ "[::1]", HOSTS_KNOWN },
		{ "[::1]:443", HOSTS_KNOWN },
		{ "", HOSTS_UNKNOWN },
		{ "a b", HOSTS_UNKNOWN },
		{ "host:port", HOSTS_UNKNOWN },
		{ "[::1", HOSTS_UNKNOWN },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct hosts_place place;

		place.n = 7;
		cr_expect_eq(
			hosts_find(hosts, span_str(rows[i].authority), &place),
			rows[i].state, "%s", rows[i].authority);
		cr_expect_eq(place.n, 0);
	}
	turn(1, 20);
	cr_expect_eq(news, 0);
}

Test(hosts, a_name_is_looked_up_once)
{
	struct hosts_place place;

	cr_expect_eq(hosts_find(hosts, SPAN("localhost:81"), &place),
	             HOSTS_COMING);
	cr_expect_eq(hosts_find(hosts, SPAN("LocalHost:81"), &place),
	             HOSTS_COMING);
	turn(1, WAIT_MS);
	cr_expect_eq(news, 1);
	cr_expect_eq(hosts_find(hosts, SPAN("LOCALHOST:81"), &place),
	             HOSTS_KNOWN);
	cr_assert_gt(place.n, 0);
	cr_expect_eq(port_of(&place.at[0]), 81);
	/* Another port is another place. */
	cr_expect_eq(hosts_find(hosts, SPAN("localhost"), &place),
	             HOSTS_COMING);
	turn(2, WAIT_MS);
	cr_expect_eq(hosts_find(hosts, SPAN("localhost"), &place), HOSTS_KNOWN);
	cr_expect_eq(port_of(&place.at[0]), 443);
	turn(3, 20);
	cr_expect_eq(news, 2);
}

Test(hosts, a_name_that_is_not_found)
{
	struct span name = SPAN("no.such.host.invalid");
	struct hosts_place place;

	cr_expect_eq(hosts_find(hosts, name, &place), HOSTS_COMING);
	turn(1, WAIT_MS);
	cr_expect_eq(news, 1);
	cr_expect_eq(hosts_find(hosts, name, &place), HOSTS_UNKNOWN);
	cr_expect_eq(place.n, 0);
	/* After a while it is tried again. */
	turn(2, HOSTS_RETRY_MS + 50);
	cr_expect_eq(hosts_find(hosts, name, &place), HOSTS_COMING);
	turn(2, WAIT_MS);
	cr_expect_eq(news, 2);
}

static enum hosts_state find_numbered(unsigned i)
{
	struct hosts_place place;
	char name[32];

	snprintf(name, sizeof(name), "localhost:%u", 1000 + i);
	return hosts_find(hosts, span_str(name), &place);
}

Test(hosts, the_oldest_makes_room)
{
	for (unsigned i = 0; i < HOSTS_MAX; i++)
		cr_assert_eq(find_numbered(i), HOSTS_COMING);
	turn(HOSTS_MAX, 4 * WAIT_MS);
	cr_assert_eq(news, HOSTS_MAX);
	turn(0, 5);
	for (unsigned i = 1; i < HOSTS_MAX; i++)
		cr_assert_eq(find_numbered(i), HOSTS_KNOWN);
	turn(0, 5);
	cr_expect_eq(find_numbered(HOSTS_MAX), HOSTS_COMING);
	for (unsigned i = 1; i < HOSTS_MAX; i++)
		cr_assert_eq(find_numbered(i), HOSTS_KNOWN);
	turn(HOSTS_MAX + 1, WAIT_MS);
	cr_expect_eq(find_numbered(0), HOSTS_COMING, "it was forgotten");
}

/* Those that are under way are forgotten with it. */
Test(hosts, more_at_once_than_there_is_room)
{
	for (unsigned i = 0; i < 2 * HOSTS_MAX; i++)
		cr_assert_eq(find_numbered(i), HOSTS_COMING);
	turn(0, 50);
}

Test(hosts, it_goes_while_names_are_looked_up)
{
	for (unsigned i = 0; i < 20; i++)
		find_numbered(i);
	hosts_free(hosts);
	hosts = NULL;
	turn(1, 50);
	cr_expect_eq(news, 0);
}
