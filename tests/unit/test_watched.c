#include "proxy/watched.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct watched_set set;

static void end(void)
{
	while (watched_next(&set, NULL))
		watched_remove(watched_next(&set, NULL));
	cr_assert_eq(set.n, 0u);
}

TestSuite(watched, .fini = end);

static struct watched *add(const char *uri)
{
	return watched_add(&set, WATCH_RESOURCE, span_str(uri));
}

static struct watched *find(const char *uri)
{
	return watched_find(&set, WATCH_RESOURCE, span_str(uri));
}

Test(watched, each_is_there_once)
{
	struct watched *a = add("a:1"), *b = add("a:2");

	cr_assert_not_null(a);
	cr_expect_neq(a, b);
	cr_expect_eq(add("a:1"), a);
	cr_expect_eq(find("a:2"), b);
	cr_expect_null(find("a:3"));
	cr_expect(span_is(watched_uri(b), "a:2"));
	watched_remove(a);
	cr_expect_null(find("a:1"));
	cr_expect_eq(find("a:2"), b);
}

Test(watched, a_task_is_no_resource_of_the_same_name)
{
	struct watched *task = watched_add(&set, WATCH_TASK, SPAN("a:1"));
	struct watched *resource = add("a:1");

	cr_assert_not_null(task);
	cr_expect_neq(task, resource);
	cr_expect_eq(task->kind, WATCH_TASK);
	cr_expect_eq(watched_find(&set, WATCH_TASK, SPAN("a:1")), task);
	cr_expect_eq(find("a:1"), resource);
	watched_remove(resource);
	cr_expect_null(find("a:1"));
	cr_expect_null(watched_find_whole(&set, SPAN("a:1/part")));
	cr_expect_eq(watched_find(&set, WATCH_TASK, SPAN("a:1")), task);
}

Test(watched, a_part_belongs_to_the_longest_whole)
{
	static const struct {
		const char *uri, *whole;
	} rows[] = {
		{ "f:/a", "f:/a" },     { "f:/a/b/c", "f:/a/b" },
		{ "f:/a/x", "f:/a" },   { "f:/ab", NULL },
		{ "f:/a/b", "f:/a/b" }, { "g:/d/", "g:/d/" },
		{ "g:/d/e", "g:/d/" },  { "g:/d", NULL },
		{ "", NULL },           { "/", NULL },
		{ "f:/a//b", "f:/a" },
	};

	add("f:/a");
	add("f:/a/b");
	add("g:/d/");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct watched *u =
			watched_find_whole(&set, span_str(rows[i].uri));

		if (rows[i].whole)
			cr_expect(u && span_is(watched_uri(u), rows[i].whole),
			          "%s", rows[i].uri);
		else
			cr_expect_null(u, "%s", rows[i].uri);
	}
}

Test(watched, as_many_as_may_be_and_all_are_met)
{
	char uri[32];
	unsigned met = 0;

	for (unsigned i = 0; i < WATCH_URIS_MAX; i++) {
		snprintf(uri, sizeof(uri), "x:%u", i);
		cr_assert_not_null(add(uri));
	}
	cr_expect_null(add("x:more"));
	cr_expect_not_null(add("x:7"));
	for (struct watched *u = watched_next(&set, NULL); u;
	     u = watched_next(&set, u))
		met++;
	cr_expect_eq(met, (unsigned)WATCH_URIS_MAX);
}
