#include "proxy/question.h"

#include <criterion/criterion.h>

#include "lib/scan.h"
#include "proxy/sealed.h"

#define CREATE "\"elicitation/create\""
#define SAMPLE "\"sampling/createMessage\""

Test(question, kinds)
{
	static const struct {
		const char *method, *params;
		enum question_kind kind;
	} rows[] = {
		{ CREATE, "{}", QUESTION_FORM },
		{ CREATE, "", QUESTION_FORM },
		{ CREATE, "[]", QUESTION_FORM },
		{ CREATE, "{\"mode\":\"form\"}", QUESTION_FORM },
		{ CREATE, "{\"mode\":1}", QUESTION_FORM },
		{ CREATE, "{\"mode\":\"url\"}", QUESTION_URL },
		{ CREATE, "{\"mod\\u0065\":\"\\u0075rl\"}", QUESTION_URL },
		{ "\"elicitation\\/create\"", "{}", QUESTION_FORM },
		{ SAMPLE, "{\"mode\":\"url\"}", QUESTION_SAMPLING },
		{ "\"roots/list\"", "", QUESTION_ROOTS },
		{ "\"roots/lis\"", "", QUESTION_KINDS },
		{ "\"roots/list \"", "", QUESTION_KINDS },
		{ "\"Roots/list\"", "", QUESTION_KINDS },
		{ "\"tools/call\"", "{}", QUESTION_KINDS },
		{ "\"ping\"", "{}", QUESTION_KINDS },
		{ "\"\"", "{}", QUESTION_KINDS },
		{ "", "{}", QUESTION_KINDS },
		{ "7", "{}", QUESTION_KINDS },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_expect_eq(question_kind(span_str(rows[i].method),
		                           span_str(rows[i].params)),
		             rows[i].kind, "%s %s", rows[i].method,
		             rows[i].params);
}

/* Each kind needs its own ability and no other. */
Test(question, abilities)
{
	static const uint32_t needs[QUESTION_KINDS + 1] = {
		[QUESTION_FORM] = CLIENT_FORM,
		[QUESTION_URL] = CLIENT_URL,
		[QUESTION_SAMPLING] = CLIENT_SAMPLING,
		[QUESTION_ROOTS] = CLIENT_ROOTS,
	};

	for (int kind = 0; kind <= QUESTION_KINDS; kind++)
		for (uint32_t can = 0; can <= CLIENT_MASK; can++)
			cr_expect_eq(question_allowed((enum question_kind)kind,
			                              SPAN("{}"), can),
			             (can & needs[kind]) != 0, "%d %x", kind,
			             can);
}

Test(question, sampling_with_tools)
{
	static const struct {
		const char *params;
		bool tools;
	} rows[] = {
		{ "{\"tools\":[]}", true },
		{ "{\"toolChoice\":{}}", true },
		{ "{\"tool\\u0073\":null}", true },
		{ "{\"x\":{\"tools\":[]}}", false },
		{ "{}", false },
		{ "", false },
		{ "[\"tools\"]", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span params = span_str(rows[i].params);

		cr_expect_eq(question_allowed(QUESTION_SAMPLING, params,
		                              CLIENT_SAMPLING),
		             !rows[i].tools, "%s", rows[i].params);
		cr_expect(question_allowed(QUESTION_SAMPLING, params,
		                           CLIENT_SAMPLING | CLIENT_TOOLS));
		cr_expect_not(question_allowed(QUESTION_SAMPLING, params,
		                               CLIENT_TOOLS));
		/* Of no other kind that matters. */
		cr_expect(
			question_allowed(QUESTION_ROOTS, params, CLIENT_ROOTS));
	}
}

/* Which members each revision has, by kind; the others stay as they are. */
#define ALL                                                                \
	"{\"mode\":\"m\", \"task\":{},\"elicitationId\":\"e\",\"_meta\":1" \
	",\"x\" : [1, 2] }"

Test(question, params_of_every_kind_and_revision)
{
	static const char *const old_elicitation =
		"{\"elicitationId\":\"e\",\"_meta\":1,\"x\":[1, 2]}";
	static const char *const old_other =
		"{\"mode\":\"m\",\"elicitationId\":\"e\",\"_meta\":1,"
		"\"x\":[1, 2]}";
	static const char *const all =
		"{\"mode\":\"m\",\"task\":{},\"elicitationId\":\"e\","
		"\"_meta\":1,\"x\":[1, 2]}";
	static const char *const modern_elicitation =
		"{\"mode\":\"m\",\"x\":[1, 2]}";
	const char *const wants[REVISIONS][2] = {
		[REVISION_2025_03_26] = { old_elicitation, old_other },
		[REVISION_2025_06_18] = { old_elicitation, old_other },
		[REVISION_2025_11_25] = { all, all },
		[REVISION_2026_07_28] = { modern_elicitation, old_other },
	};

	for (int kind = 0; kind < QUESTION_KINDS; kind++)
		for (int revision = 0; revision < REVISIONS; revision++) {
			bool other = kind == QUESTION_SAMPLING ||
			             kind == QUESTION_ROOTS;
			const char *want = wants[revision][other];
			struct buf out = { .max = 4096 };

			question_params((enum question_kind)kind, SPAN(ALL),
			                (enum revision)revision, SPAN("own"),
			                &out);
			cr_expect(span_is(buf_span(&out), want), "%d %d: %.*s",
			          kind, revision, SPAN_ARG(buf_span(&out)));
			buf_free(&out);
		}
}

Test(question, keys_with_escapes_are_the_same_keys)
{
	struct buf out = { .max = 4096 };

	question_params(QUESTION_FORM,
	                SPAN("{\"\\u0074ask\":1,\"_met\\u0061\":2,"
	                     "\"a\\\"b\":\"c\\u0064\"}"),
	                REVISION_2026_07_28, SPAN(""), &out);
	cr_expect(span_is(buf_span(&out), "{\"a\\\"b\":\"c\\u0064\"}"), "%.*s",
	          SPAN_ARG(buf_span(&out)));
	buf_free(&out);
}

Test(question, an_id_for_a_url)
{
	static const struct {
		enum question_kind kind;
		enum revision revision;
		const char *params, *id, *want;
	} rows[] = {
		{ QUESTION_URL, REVISION_2025_11_25, "{}", "a\"b",
		  "{\"elicitationId\":\"a\\\"b\"}" },
		{ QUESTION_URL, REVISION_2025_11_25, "", "i",
		  "{\"elicitationId\":\"i\"}" },
		{ QUESTION_URL, REVISION_2025_11_25, "[1]", "i",
		  "{\"elicitationId\":\"i\"}" },
		{ QUESTION_URL, REVISION_2025_11_25, "{\"a\":1}", "i",
		  "{\"a\":1,\"elicitationId\":\"i\"}" },
		{ QUESTION_URL, REVISION_2025_11_25, "{\"a\":1}", "",
		  "{\"a\":1}" },
		{ QUESTION_URL, REVISION_2025_11_25,
		  "{\"elicitation\\u0049d\":\"own\"}", "i",
		  "{\"elicitation\\u0049d\":\"own\"}" },
		{ QUESTION_URL, REVISION_2026_07_28, "{}", "i", "{}" },
		{ QUESTION_URL, REVISION_2025_06_18, "{}", "i", "{}" },
		{ QUESTION_FORM, REVISION_2025_11_25, "{}", "i", "{}" },
		{ QUESTION_ROOTS, REVISION_2025_11_25, "", "i", "{}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = { .max = 4096 };
		struct scan_error why;

		question_params(rows[i].kind, span_str(rows[i].params),
		                rows[i].revision, span_str(rows[i].id), &out);
		cr_expect(span_is(buf_span(&out), rows[i].want), "%zu: %.*s", i,
		          SPAN_ARG(buf_span(&out)));
		cr_expect_eq(scan_document(buf_span(&out), NULL, 0, NULL, &why),
		             SCAN_OK);
		buf_free(&out);
	}
}

Test(question, results_of_sampling)
{
	static const struct {
		const char *result, *want; /* NULL: it cannot be said */
	} rows[] = {
		{ "{\"content\":{\"a\":1}}", "{\"content\":{\"a\":1}}" },
		{ "{\"content\":[{\"a\":1}]}", "{\"content\":{\"a\":1}}" },
		{ "{\"m\":0, \"content\" : [ {\"a\":1} ] , \"n\":[] }",
		  "{\"m\":0, \"content\" : {\"a\":1} , \"n\":[] }" },
		{ "{\"content\":[[1,2]]}", "{\"content\":[1,2]}" },
		{ "{\"content\":[]}", NULL },
		{ "{\"content\":[{},{}]}", NULL },
		{ "{\"content\":[1,2,3]}", NULL },
		{ "{}", "{}" },
		{ "{\"x\":{\"content\":[1,2]}}",
		  "{\"x\":{\"content\":[1,2]}}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (int r = 0; r < REVISION_2026_07_28; r++) {
			bool old = r < REVISION_2025_11_25;
			struct span result = span_str(rows[i].result);
			struct span want =
				span_str(old && rows[i].want ? rows[i].want
			                                     : rows[i].result);
			struct buf out = { .max = 4096 };

			cr_expect_eq(question_result(QUESTION_SAMPLING, result,
			                             (enum revision)r, &out),
			             !old || rows[i].want, "%zu %d", i, r);
			if (!old || rows[i].want)
				cr_expect(span_eq(buf_span(&out), want),
				          "%zu: %.*s", i,
				          SPAN_ARG(buf_span(&out)));
			buf_free(&out);
		}
}

/* An array there is the user's data. */
Test(question, results_of_the_others)
{
	static const char result[] = "{\"content\":[1,2]}";

	for (int kind = 0; kind < QUESTION_KINDS; kind++) {
		struct buf out = { .max = 4096 };

		if (kind == QUESTION_SAMPLING)
			continue;
		cr_expect(question_result((enum question_kind)kind,
		                          span_str(result), REVISION_2025_03_26,
		                          &out));
		cr_expect(span_is(buf_span(&out), result));
		buf_free(&out);
	}
}

Test(question, what_is_said_for_a_client)
{
	cr_expect(span_is(question_declined(QUESTION_FORM),
	                  "{\"action\":\"cancel\"}"));
	cr_expect(span_is(question_declined(QUESTION_URL),
	                  "{\"action\":\"cancel\"}"));
	cr_expect_eq(question_declined(QUESTION_SAMPLING).len, 0u);
	cr_expect_eq(question_declined(QUESTION_ROOTS).len, 0u);
	cr_expect(span_is(question_method(QUESTION_URL), "elicitation/create"));
	cr_expect(span_is(question_method(QUESTION_ROOTS), "roots/list"));
}
