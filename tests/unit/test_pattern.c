#include "oci/pattern.h"

#include <criterion/criterion.h>

Test(pattern, what_is_one)
{
	static const struct {
		const char *pattern;
		bool valid;
	} cases[] = {
		{ "^$", true },
		{ "^a$", true },
		{ "^[a-z]+$", true },
		{ "^[A-Za-z][A-Za-z0-9_.:-]*$", true },
		{ "^[-a]$", true },
		{ "^\\d+\\.\\w?$", true },
		{ "^[\\d\\]\\-]$", true },
		{ "", false },
		{ "^", false },
		{ "a", false },
		{ "^a", false },
		{ "a$", false },
		{ "^a\\$", false },
		{ "^a|b$", false },
		{ "^(a)$", false },
		{ "^a{2}$", false },
		{ "^.$", false },
		{ "^*$", false },
		{ "^a**$", false },
		{ "^[]$", false },
		{ "^[^a]$", false },
		{ "^[z-a]$", false },
		{ "^[a$", false },
		{ "^[\\d-z]$", false },
		{ "^\\n$", false },
		{ "^\xc3\xa9$", false },
		{ "^]$", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		cr_expect_eq(pattern_valid(span_str(cases[i].pattern)),
		             cases[i].valid, "%s", cases[i].pattern);
}

Test(pattern, what_matches)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{ "^$", "", true },
		{ "^$", "a", false },
		{ "^ab$", "ab", true },
		{ "^ab$", "abc", false },
		{ "^ab$", "a", false },
		{ "^a*$", "", true },
		{ "^a*$", "aaaa", true },
		{ "^a+$", "", false },
		{ "^a+$", "aaa", true },
		{ "^ab?c$", "ac", true },
		{ "^ab?c$", "abc", true },
		{ "^ab?c$", "abbc", false },
		{ "^a*a$", "aaa", true },
		{ "^a?a?a?aaa$", "aaa", true },
		{ "^[1-9][0-9]*[mhdw]$", "60m", true },
		{ "^[1-9][0-9]*[mhdw]$", "060m", false },
		{ "^[1-9][0-9]*[mhdw]$", "60m\n", false },
		{ "^[A-Za-z][A-Za-z0-9_]*$", "CpuUtilization", true },
		{ "^[A-Za-z][A-Za-z0-9_]*$", "Cpu[1m]", false },
		{ "^[A-Za-z][A-Za-z0-9_]*$", "Cpu\xc3\xa9", false },
		{ "^\\w+\\.\\d$", "a_9.0", true },
		{ "^\\w+\\.\\d$", "a_9x0", false },
		{ "^[a-]$", "-", true },
		{ "^[$]$", "$", true },
		{ "broken", "broken", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		cr_expect_eq(pattern_matches(span_str(cases[i].pattern),
		                             span_str(cases[i].text)),
		             cases[i].matches, "%s %s", cases[i].pattern,
		             cases[i].text);
}

Test(pattern, takes_as_many_items_as_it_says)
{
	char pattern[PATTERN_ITEMS_MAX + 4] = "^", text[PATTERN_ITEMS_MAX + 2];

	memset(pattern + 1, 'a', PATTERN_ITEMS_MAX);
	memset(text, 'a', sizeof(text));
	pattern[PATTERN_ITEMS_MAX + 1] = '$';
	cr_expect(pattern_matches(span_of(pattern, PATTERN_ITEMS_MAX + 2),
	                          span_of(text, PATTERN_ITEMS_MAX)));
	memcpy(pattern + PATTERN_ITEMS_MAX + 1, "a$", 2);
	cr_expect_not(pattern_valid(span_of(pattern, PATTERN_ITEMS_MAX + 3)));
}

/* Backtracking would not come back from this one. */
Test(pattern, time_grows_with_the_text_only, .timeout = 5)
{
	static char text[1 << 16];

	memset(text, 'a', sizeof(text));
	cr_expect_not(
		pattern_matches(SPAN("^a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b$"),
	                        span_of(text, sizeof(text))));
}
