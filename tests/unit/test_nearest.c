#include "oci/nearest.h"

#include <criterion/criterion.h>

static struct span nearest_of(const char *word)
{
	static const char *const known[] = { "compartment_id", "instance_id",
		                             "display_name",   "limit",
		                             "offset",         "query" };
	struct nearest n = { .word = span_str(word) };

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		nearest_look(&n, span_str(known[i]));
	return n.best;
}

Test(nearest, words)
{
	static const struct {
		const char *word, *best;
	} cases[] = {
		{ "limit", "limit" },
		{ "limti", "limit" },
		{ "limits", "limit" },
		{ "LIMIT", "limit" },
		{ "compartmentId", "compartment_id" },
		{ "compartment-id", "compartment_id" },
		{ "compartment", "compartment_id" },
		{ "name", "display_name" },
		{ "instance", "instance_id" },
		{ "ofset", "offset" },
		{ "ids", "" },
		{ "x", "" },
		{ "", "" },
		{ "vcn_id", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct span best = nearest_of(cases[i].word);

		cr_expect(span_is(best, cases[i].best), "%s: %.*s",
		          cases[i].word, SPAN_ARG(best));
	}
}

Test(nearest, long_words_are_near_to_none)
{
	char word[NEAREST_WORD_MAX + 2];

	memset(word, 'a', sizeof(word));
	struct nearest n = { .word = span_of(word, NEAREST_WORD_MAX + 1) };

	nearest_look(&n, n.word);
	cr_expect_eq(n.best.len, 0);
	n.word.len = NEAREST_WORD_MAX;
	nearest_look(&n, n.word);
	cr_expect_eq(n.best.len, NEAREST_WORD_MAX);
	cr_expect_eq(n.steps, 0);
}
