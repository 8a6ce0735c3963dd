#include "oci/census.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "lib/buf.h"

static void is(const struct census *c, const char *json)
{
	struct buf b = { .max = 4096 };
	struct output o;

	output_init(&o, &b);
	census_write(c, &o, NULL);
	buf_putc(&b, '\0');
	cr_assert_str_eq(b.bytes, json);
	buf_free(&b);
}

Test(census, counts_words)
{
	struct census c = { 0 };

	is(&c, "{}");
	census_add(&c, SPAN("RUNNING"));
	census_add(&c, SPAN("STOPPED"));
	census_add(&c, SPAN("RUNNING"));
	census_add(&c, SPAN(""));
	is(&c, "{\"RUNNING\":2,\"STOPPED\":1,\"unknown\":1}");
	cr_assert_eq(census_count(&c, "RUNNING"), 2);
	cr_assert_eq(census_count(&c, "STARTING"), 0);
	cr_assert_eq(c.total, 4);
}

Test(census, further_words_are_other)
{
	struct census c = { 0 };
	char words[CENSUS_WORDS_MAX + 3][16];

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		snprintf(words[i], sizeof(words[i]), "w%zu", i);
		census_add(&c, span_str(words[i]));
	}
	cr_assert_eq(c.n, CENSUS_WORDS_MAX);
	cr_assert_eq(c.other, 3);
	cr_assert_eq(c.total, CENSUS_WORDS_MAX + 3);
}
