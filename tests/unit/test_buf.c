#include "lib/buf.h"

#include <criterion/criterion.h>

#include "lib/scan.h"
#include "lib/value.h"

#define IS(b, literal)                                         \
	cr_assert(span_eq(buf_span(b), SPAN(literal)), "%.*s", \
	          SPAN_ARG(buf_span(b)))

Test(buf, appends_in_order)
{
	struct buf b = { .max = 64 };

	buf_add(&b, "ab", 2);
	buf_add(&b, NULL, 0);
	buf_putc(&b, 'c');
	buf_puts(&b, "de");
	buf_puts(&b, "");
	buf_add_span(&b, SPAN("fg"));
	buf_add_span(&b, (struct span){ 0 });
	buf_addf(&b, "%d-%s", 7, "h");
	cr_assert_eq(buf_err(&b), 0);
	IS(&b, "abcdefg7-h");
	buf_free(&b);
}

Test(buf, is_empty_before_the_first_append)
{
	struct buf b = { .max = 1 };

	cr_assert_eq(buf_err(&b), 0);
	cr_assert_eq(buf_span(&b).len, 0);
	buf_consume(&b, 0);
	buf_free(&b);
}

/* The limit is a number of bytes, neither one more nor one less. */
Test(buf, holds_max_bytes_and_no_more)
{
	static const size_t limits[] = { 1, 2, 255, 256, 257, 512, 513, 5000 };

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		struct buf b = { .max = limits[i] };

		for (size_t n = 0; n < limits[i]; n++)
			buf_putc(&b, (char)n);
		cr_assert_eq(buf_err(&b), 0);
		cr_assert_eq(b.len, limits[i]);
		for (size_t n = 0; n < limits[i]; n++)
			cr_assert_eq(b.bytes[n], (char)n);
		buf_putc(&b, 'x');
		cr_assert_eq(buf_err(&b), -ENOBUFS);
		cr_assert_eq(b.len, 0);
		buf_free(&b);
	}
}

Test(buf, failure_sticks_until_it_is_reset)
{
	struct buf b = { .max = 4 };

	buf_puts(&b, "abc");
	buf_puts(&b, "de");
	buf_puts(&b, "f");
	buf_addf(&b, "%d", 1);
	buf_add_json(&b, SPAN("g"));
	cr_assert_null(buf_reserve(&b, 1));
	cr_assert_eq(buf_err(&b), -ENOBUFS);
	cr_assert_eq(b.len, 0);

	buf_reset(&b);
	cr_assert_eq(buf_err(&b), 0);
	buf_puts(&b, "hi");
	IS(&b, "hi");

	buf_free(&b);
	cr_assert_eq(b.max, 4);
	cr_assert_eq(buf_err(&b), 0);
}

/* A length near SIZE_MAX must not wrap around to a small one. */
Test(buf, refuses_absurd_lengths)
{
	static const size_t lengths[] = { SIZE_MAX, SIZE_MAX - 1,
		                          SIZE_MAX - 255, SIZE_MAX / 2 };

	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct buf b = { .max = 1000 };

		buf_puts(&b, "abc");
		cr_assert_null(buf_reserve(&b, lengths[i]));
		cr_assert_eq(buf_err(&b), -ENOBUFS);
		buf_free(&b);
	}
}

Test(buf, reserves_and_commits)
{
	struct buf b = { .max = 1000 };

	for (size_t i = 0; i < 10; i++) {
		char *to = buf_reserve(&b, 100);

		cr_assert_not_null(to);
		memset(to, 'a' + (int)i, 100);
		buf_commit(&b, i ? 100 : 50);
	}
	cr_assert_eq(b.len, 950);
	cr_assert_eq(b.bytes[0], 'a');
	cr_assert_eq(b.bytes[50], 'b');
	cr_assert_eq(b.bytes[949], 'j');
	cr_assert_not_null(buf_reserve(&b, 50));
	cr_assert_null(buf_reserve(&b, 51));
	buf_free(&b);
}

Test(buf, consumes_from_the_front)
{
	struct buf b = { .max = 64 };

	buf_puts(&b, "abcdef");
	buf_consume(&b, 0);
	IS(&b, "abcdef");
	buf_consume(&b, 2);
	IS(&b, "cdef");
	buf_puts(&b, "g");
	IS(&b, "cdefg");
	buf_consume(&b, 5);
	cr_assert_eq(b.len, 0);
	buf_free(&b);
}

Test(buf, reset_keeps_the_memory)
{
	struct buf b = { .max = 64 };

	buf_puts(&b, "abc");
	const char *bytes = b.bytes;
	buf_reset(&b);
	cr_assert_eq(b.len, 0);
	cr_assert_eq(b.bytes, bytes);
	buf_puts(&b, "d");
	IS(&b, "d");
	buf_free(&b);
	cr_assert_null(b.bytes);
}

Test(buf, formats_text_longer_than_its_memory)
{
	struct buf b = { .max = 2000 };

	buf_addf(&b, "%s", "");
	cr_assert_eq(b.len, 0);
	buf_addf(&b, "%0999d|%s", 5, "z");
	cr_assert_eq(b.len, 1001);
	cr_assert_eq(b.bytes[998], '5');
	cr_assert_eq(b.bytes[1000], 'z');
	buf_free(&b);
}

/* clang-format off */
#define T(literal) { literal, sizeof(literal) - 1 }
static const struct {
	struct span plain, json;
} jsons[] = {
	{ T(""),                 T("\"\"") },
	{ T("abc"),              T("\"abc\"") },
	{ T("\""),               T("\"\\\"\"") },
	{ T("a\"b\\c"),          T("\"a\\\"b\\\\c\"") },
	{ T("/"),                T("\"/\"") },
	{ T("\n\r\t"),           T("\"\\n\\r\\t\"") },
	{ T("\0\b\f\v\x1b\x1f"), T("\"\\u0000\\u0008\\u000c\\u000b\\u001b"
	                           "\\u001f\"") },
	{ T("\x7f"),             T("\"\\u007f\"") },
	{ T("\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80"),
	  T("\"\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80\"") },
	/* not UTF-8: each byte that begins no character is replaced */
	{ T("\xff"),             T("\"\xef\xbf\xbd\"") },
	{ T("a\x80" "b"),        T("\"a\xef\xbf\xbd" "b\"") },
	{ T("\xc0\x80"),         T("\"\xef\xbf\xbd\xef\xbf\xbd\"") },
	{ T("\xed\xa0\x80"),     T("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"") },
	{ T("x\xe4\xb8"),        T("\"x\xef\xbf\xbd\xef\xbf\xbd\"") },
	{ T("\xf0\x9f\x98z"),    T("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"") },
	{ T("\xc3\"\xc3\\"),     T("\"\xef\xbf\xbd\\\"\xef\xbf\xbd\\\\\"") },
};
/* clang-format on */

Test(buf, adds_json_strings)
{
	for (size_t i = 0; i < ARRAY_LEN(jsons); i++) {
		struct buf b = { .max = 256 };

		buf_add_json(&b, jsons[i].plain);
		cr_assert_eq(buf_err(&b), 0);
		cr_assert(span_eq(buf_span(&b), jsons[i].json), "%zu: %.*s", i,
		          SPAN_ARG(buf_span(&b)));
		buf_free(&b);
	}
}

/* Is what buf_add_json() made good JSON that means the same? */
static void check_json(struct span plain, bool same)
{
	struct buf b = { .max = 256 };
	struct scan_error why;

	buf_add_json(&b, plain);
	cr_assert_eq(buf_err(&b), 0);
	cr_assert_eq(scan_document(buf_span(&b), NULL, 0, NULL, &why), SCAN_OK);
	cr_assert_eq(value_string_eq(buf_span(&b), plain), same);
	buf_free(&b);
}

Test(buf, any_bytes_become_good_json)
{
	for (int first = 0; first < 256; first++)
		for (int second = 0; second < 256; second++) {
			char bytes[] = { 'a', (char)first, (char)second, 'z' };
			bool ascii = first < 0x80 && second < 0x80;
			bool pair = first >= 0xc2 && first <= 0xdf &&
			            second >= 0x80 && second <= 0xbf;

			check_json(span_of(bytes, sizeof(bytes)),
			           ascii || pair);
		}
}

Test(buf, a_json_string_that_does_not_fit_fails)
{
	for (size_t max = 1; max < 12; max++) {
		struct buf b = { .max = max };

		buf_add_json(&b, SPAN("a\n\x01z"));
		cr_assert_eq(buf_err(&b), -ENOBUFS);
		buf_free(&b);
	}

	struct buf b = { .max = 12 };
	buf_add_json(&b, SPAN("a\n\x01z"));
	IS(&b, "\"a\\n\\u0001z\"");
	buf_free(&b);
}

Test(buf, an_empty_span_is_an_empty_json_string)
{
	struct buf b = { .max = 12 };

	buf_add_json(&b, (struct span){ 0 });
	IS(&b, "\"\"");
	buf_free(&b);
}
