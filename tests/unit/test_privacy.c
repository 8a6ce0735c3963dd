#include "oci/privacy.h"

#include <criterion/criterion.h>

#define LONG   "anuwcljtabcdefghijklmnopqrstuvwxyz"
#define MASKED "anuw****uvwxyz"
#define HEAD   "ocid1.instance.oc1.iad."

static const struct {
	const char *in, *out;
} rows[] = {
	{ "", "" },
	{ "nothing to hide", "nothing to hide" },
	{ HEAD LONG, HEAD MASKED },
	{ "{\"id\":\"" HEAD LONG "\",\"n\":1}",
	  "{\"id\":\"" HEAD MASKED "\",\"n\":1}" },
	{ "{\"" HEAD LONG "\":\"a\\n" HEAD LONG "\\n\"}",
	  "{\"" HEAD MASKED "\":\"a\\n" HEAD MASKED "\\n\"}" },
	{ "**" HEAD LONG "** and [" HEAD LONG "](https://x/" HEAD LONG "?a).",
	  "**" HEAD MASKED "** and [" HEAD MASKED "](https://x/" HEAD MASKED
	  "?a)." },
	{ HEAD LONG " " HEAD LONG "," HEAD LONG,
	  HEAD MASKED " " HEAD MASKED "," HEAD MASKED },
	{ "ocid1.tenancy.oc1.." LONG, "ocid1.tenancy.oc1.." MASKED },
	{ "ocid1.key.oc1.iad." LONG "." LONG,
	  "ocid1.key.oc1.iad." MASKED "." MASKED },
	{ "ocid1.key.oc1.iad.short." LONG, "ocid1.key.oc1.iad.****." MASKED },
	{ "ocidv1:tenancy:oc1:phx:1460406592660:" LONG,
	  "ocidv1:tenancy:oc1:phx:1460****592660:" MASKED },
	{ "/logs/" HEAD LONG ".2026.01.02.gz",
	  "/logs/" HEAD MASKED ".****.****.****.****" },
	{ HEAD "a", HEAD "****" },
	{ HEAD "abcdefghij", HEAD "****" },
	{ HEAD "abcdefghijk", HEAD "abcd****fghijk" },
	{ "ocid1.instance.oc1.iad", "ocid1.instance.oc1.iad" },
	{ "begins with ocid1.instance.", "begins with ocid1.instance." },
	{ HEAD LONG HEAD LONG, HEAD "****.****.****.****." MASKED },
	{ HEAD "anc-cljtabcdefghijklmnopqrstuvwxyz", HEAD "anc-****uvwxyz" },
	{ HEAD "an_-cljtabcdefghijklmnopqrstuvwxyz", HEAD "an_-****uvwxyz" },
	{ HEAD ".." LONG, HEAD ".." MASKED },
	{ HEAD LONG "." MASKED, HEAD "anuw****uvwxyz.anuw****uvwxyz" },
};

static void check_mask(struct span in, struct span want)
{
	struct buf b = { .max = 4096 };

	privacy_mask(in, &b);
	cr_assert(span_eq(buf_span(&b), want), "%.*s -> %.*s", SPAN_ARG(in),
	          SPAN_ARG(buf_span(&b)));
	buf_free(&b);
}

Test(privacy, masks)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span in = span_str(rows[i].in);
		struct span out = span_str(rows[i].out);

		check_mask(in, out);
		check_mask(out, out);
		cr_assert_eq(privacy_touches(in), !span_eq(in, out));
		cr_assert_not(privacy_touches(out));
	}
}

Test(privacy, appends)
{
	struct buf b = { .max = 4096 };

	buf_puts(&b, "before ");
	privacy_mask(SPAN(HEAD LONG), &b);
	cr_assert(span_is(buf_span(&b), "before " HEAD MASKED));
	buf_free(&b);
}

/* Wherever a text ends, nothing behind it is read and no OCID of what is there
 * stays whole. */
Test(privacy, cut_at_every_byte)
{
	struct span whole = SPAN("x " HEAD LONG " y " HEAD LONG ".z");

	for (size_t cut = 0; cut <= whole.len; cut++) {
		char *copy = malloc(cut + 1);
		struct buf b = { .max = 4096 };

		memcpy(copy, whole.at, cut);
		privacy_mask(span_of(copy, cut), &b);
		cr_assert_eq(buf_err(&b), 0);
		cr_assert_null(b.len ? memmem(b.bytes, b.len, "anuwc", 5)
		                     : NULL);
		buf_free(&b);
		free(copy);
	}
}

Test(privacy, a_full_buffer_sticks)
{
	struct buf b = { .max = 20 };

	privacy_mask(SPAN(HEAD LONG), &b);
	cr_assert_eq(buf_err(&b), -ENOBUFS);
	buf_free(&b);
}
