#include "oci/errand.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/fixture_cloud.h"

TestSuite(errand, .init = fixture_cloud_start, .fini = fixture_cloud_stop);

static bool done;

static void on_done(struct errand *e)
{
	(void)e;
	done = true;
}

static void ask(struct errand *e, const char *path, struct errand_request r)
{
	static char url[256];

	snprintf(url, sizeof(url), "%s%s", fixture_cloud.url, path);
	r.url = span_str(url);
	if (!r.method.len)
		r.method = r.body.len ? SPAN("POST") : SPAN("GET");
	done = false;
	errand_start(e, &fixture_cloud.errands, &r, on_done, NULL);
	cr_assert_not(done);
	fixture_turn_until(&done);
}

Test(errand, an_answer_and_its_field)
{
	struct errand e = { 0 };

	fixture_cloud_answer("/a", 200, "x-next: here\r\n", "{\"k\":1}");
	ask(&e, "/a?b=c",
	    (struct errand_request){ .want = SPAN("X-Next"),
	                             .fields = SPAN("a: b\r\n") });
	cr_assert(errand_is_good(&e), "%s", e.sentence);
	cr_assert(span_is(buf_span(&e.answer), "{\"k\":1}"));
	cr_assert(span_is(buf_span(&e.field), "here"));
	cr_assert(strstr(fixture_cloud_request("/a"), "GET /a?b=c "));
	cr_assert(strstr(fixture_cloud_request("/a"), "\r\na: b\r\n"));
	errand_stop(&e);
}

Test(errand, which_outcomes_are_tried_again)
{
	static const struct {
		int status;
		bool missing_ok;
		unsigned times;
	} rows[] = {
		{ 200, false, 1 }, { 400, false, 1 }, { 401, false, 1 },
		{ 404, false, 1 }, { 404, true, 3 },  { 429, false, 3 },
		{ 500, false, 3 }, { 503, false, 3 }, { 0, false, 3 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct errand e = { 0 };
		char path[16];

		snprintf(path, sizeof(path), "/%zu", i);
		fixture_cloud_answer(path, rows[i].status, "",
		                     "{\"code\":\"Bad<x>\"}");
		ask(&e, path,
		    (struct errand_request){ .missing_ok =
		                                     rows[i].missing_ok });
		/* A kept connection that breaks is libcurl's to try too. */
		cr_assert_geq(fixture_cloud_asked(path), rows[i].times, "%zu",
		              i);
		cr_assert_eq(e.status, rows[i].status);
		if (rows[i].status)
			cr_assert(strstr(e.sentence, "Bad"), "%s", e.sentence);
		cr_assert_not(strstr(e.sentence, "<"));
		errand_stop(&e);
	}
}

Test(errand, a_later_try_may_be_good)
{
	struct errand e = { 0 };

	fixture_cloud_answer("/a", 503, "", "long text of an error");
	fixture_cloud_answer("/a", 200, "", "yes");
	ask(&e, "/a", (struct errand_request){ 0 });
	cr_assert(errand_is_good(&e));
	cr_assert(span_is(buf_span(&e.answer), "yes"));
	errand_stop(&e);
}

static int64_t fixed_clock(void)
{
	return 1672954300; /* Thu, 05 Jan 2023 21:31:40 GMT */
}

Test(errand, the_servers_clock_is_learned_from_a_401)
{
	struct errand e = { 0 };
	struct key *key = NULL;

	cr_assert_eq(key_generate(KEY_RS256, &key), 0);
	fixture_cloud.errands.utc_s = fixed_clock;
	fixture_cloud_answer("/a", 401,
	                     "date: Thu, 05 Jan 2023 22:31:40 GMT\r\n", "");
	fixture_cloud_answer("/a", 200, "", "yes");
	ask(&e, "/a",
	    (struct errand_request){
		    .key = key, .key_id = SPAN("a/b/c"), .body = SPAN("{}") });
	cr_assert(errand_is_good(&e), "%s", e.sentence);
	cr_assert_eq(e.skew_s, 3600);
	cr_assert_eq(errand_now_s(&e), fixed_clock() + 3600);
	cr_assert(strstr(fixture_cloud_request("/a"), "22:31:40 GMT"));
	cr_assert(strstr(fixture_cloud_request("/a"), "keyId=\"a/b/c\""));
	cr_assert_eq(fixture_cloud_asked("/a"), 2);
	errand_stop(&e);

	/* Only once: who stays at 401 means it. */
	fixture_cloud_answer("/b", 401,
	                     "date: Thu, 05 Jan 2023 20:31:40 GMT\r\n", "");
	ask(&e, "/b",
	    (struct errand_request){ .key = key, .key_id = SPAN("a/b/c") });
	cr_assert_eq(e.status, 401);
	cr_assert_eq(fixture_cloud_asked("/b"), 2);
	errand_stop(&e);
	key_free(key);
}

Test(errand, a_url_that_cannot_be_used)
{
	struct errand e = { 0 };
	const struct errand_request r = { .method = SPAN("GET"),
		                          .url = SPAN("ftp://x/") };

	done = false;
	errand_start(&e, &fixture_cloud.errands, &r, on_done, NULL);
	fixture_turn_until(&done);
	cr_assert_eq(e.err, -EINVAL);
	cr_assert(*e.sentence);
	errand_stop(&e);
}

Test(errand, stopped_in_the_middle)
{
	struct errand e = { 0 };
	bool never = true;
	char url[256];

	fixture_cloud_answer("/a", 503, "", "");
	fixture_cloud.errands.pause_ms = 1000;
	ask(&e, "/b", (struct errand_request){ 0 });
	done = false;
	/* Refused, then waiting for the next try. */
	snprintf(url, sizeof(url), "%s/a", fixture_cloud.url);
	errand_start(&e, &fixture_cloud.errands,
	             &(struct errand_request){ .method = SPAN("GET"),
	                                       .url = span_str(url) },
	             on_done, NULL);
	fixture_turn_until(&never);
	errand_stop(&e);
	errand_stop(&e);
	cr_assert_not(done);
}
