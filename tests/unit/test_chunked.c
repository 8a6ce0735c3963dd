#include "lib/chunked.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "lib/buf.h"

static const struct sample {
	const char *wire, *body;
	enum chunk_state end;
} samples[] = {
	{ "0\r\n\r\n", "", CHUNK_DONE },
	{ "000\r\n\r\n", "", CHUNK_DONE },
	{ "3\r\nabc\r\n0\r\n\r\n", "abc", CHUNK_DONE },
	{ "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", "abcd", CHUNK_DONE },
	{ "a;x=y\r\n0123456789\r\n0\r\n\r\n", "0123456789", CHUNK_DONE },
	{ "A;x=\"y z\"\r\n0123456789\r\n0;\t\r\n\r\n", "0123456789",
	  CHUNK_DONE },
	{ "00000000000001f\r\n0123456789abcdef0123456789abcde\r\n0\r\n\r\n",
	  "0123456789abcdef0123456789abcde", CHUNK_DONE },
	{ "3\r\n\r\n\r\r\n0\r\n\r\n", "\r\n\r", CHUNK_DONE },
	{ "0\r\nA: 1\r\nB: 2\r\n\r\n", "", CHUNK_DONE },
	{ "3\r\nab", "ab", CHUNK_DATA },
	{ "3\r\nabc\r\n0\r\n", "abc", CHUNK_LINE },

	{ "\r\n", "", CHUNK_BAD },
	{ ";x\r\n", "", CHUNK_BAD },
	{ "g\r\n", "", CHUNK_BAD },
	{ "0x3\r\nabc\r\n", "", CHUNK_BAD },
	{ "-1\r\n", "", CHUNK_BAD },
	{ "+3\r\nabc\r\n", "", CHUNK_BAD },
	{ " 3\r\nabc\r\n", "", CHUNK_BAD },
	{ "3 \r\nabc\r\n", "", CHUNK_BAD },
	{ "3 ;x\r\nabc\r\n", "", CHUNK_BAD },
	{ "3\nabc\r\n0\r\n\r\n", "", CHUNK_BAD },
	{ "3\r\rabc", "", CHUNK_BAD },
	{ "3;x\nabc\r\n0\r\n\r\n", "", CHUNK_BAD },
	{ "3;x\rabc\r\n0\r\n\r\n", "", CHUNK_BAD },
	{ "3;\x01\r\nabc\r\n", "", CHUNK_BAD },
	{ "3\r\nabcd\r\n0\r\n\r\n", "abc", CHUNK_BAD },
	{ "3\r\nabc\n0\r\n\r\n", "abc", CHUNK_BAD },
	{ "3\r\nabc0\r\n\r\n", "abc", CHUNK_BAD },
	{ "3\r\nabc\r\n\r\n", "abc", CHUNK_BAD },
	{ "0\r\n\n", "", CHUNK_BAD },
	{ "0\r\nA: 1\n\r\n", "", CHUNK_BAD },
	{ "0\r\n B: folded\r\n\r\n", "", CHUNK_BAD },
	{ "0\r\n: x\r\n\r\n", "", CHUNK_BAD },
	{ "0\r\n\rX", "", CHUNK_BAD },
	{ "1000000000000000\r\n", "", CHUNK_BAD },
	{ "0000000000000003\r\nabc\r\n", "", CHUNK_BAD },
};

/* Give d the bytes at exactly their size, and collect what it makes of them.
 * Returns what it did not use. */
static size_t feed(struct chunked *d, const char *bytes, size_t len,
                   struct buf *body)
{
	char *copy = malloc(len);
	struct span in = span_of(copy, len), run;

	cr_assert(copy || len == 0);
	if (len)
		memcpy(copy, bytes, len);
	while (run = chunked_next(d, &in), run.len)
		buf_add_span(body, run);
	free(copy);
	return in.len;
}

static void check_cut(const struct sample *s, size_t cut)
{
	struct chunked d = { 0 };
	struct buf body = { .max = 64 };

	feed(&d, s->wire, cut, &body);
	feed(&d, s->wire + cut, strlen(s->wire) - cut, &body);
	cr_assert_eq(d.state, s->end, "%s cut at %zu: state %d", s->wire, cut,
	             d.state);
	cr_assert(span_is(buf_span(&body), s->body), "%s", s->wire);
	buf_free(&body);
}

/* Where the network cuts a message must never change what it means. */
Test(chunked, every_cut_gives_the_same_body)
{
	for (size_t i = 0; i < ARRAY_LEN(samples); i++)
		for (size_t cut = 0; cut <= strlen(samples[i].wire); cut++)
			check_cut(&samples[i], cut);
}

Test(chunked, nul_is_no_part_of_a_size)
{
	struct chunked d = { 0 };
	struct buf body = { .max = 64 };

	feed(&d, "3\0\r\n", 4, &body);
	cr_assert_eq(d.state, CHUNK_BAD);
}

/* What follows the body belongs to the next message. */
Test(chunked, stops_at_the_end)
{
	struct chunked d = { 0 };
	struct buf body = { .max = 64 };

	cr_assert_eq(feed(&d, "0\r\n\r\nGET", 8, &body), 3);
	cr_assert_eq(d.state, CHUNK_DONE);
	cr_assert_eq(feed(&d, "GET", 3, &body), 3);
}

/* A body of extensions or trailers is refused at the limit, not before. */
Test(chunked, framing_has_a_limit)
{
	static char long_text[CHUNKED_SKIP_MAX + 1];
	struct buf body = { .max = 64 };

	memset(long_text, 'x', sizeof(long_text));
	for (size_t extra = 0; extra < 2; extra++) {
		size_t len = CHUNKED_SKIP_MAX + extra;
		struct chunked d = { 0 };

		feed(&d, "1;", 2, &body);
		feed(&d, long_text, len, &body);
		cr_assert_eq(d.state, extra ? CHUNK_BAD : CHUNK_EXT);
		d = (struct chunked){ 0 };
		feed(&d, "0\r\n", 3, &body);
		feed(&d, long_text, len, &body);
		cr_assert_eq(d.state, extra ? CHUNK_BAD : CHUNK_TRAILER);
	}
}

/* Many small extensions add up. */
Test(chunked, extensions_add_up)
{
	struct chunked d = { 0 };
	struct buf body = { .max = 8192 };

	for (int i = 0; i < 1000 && d.state != CHUNK_BAD; i++)
		feed(&d, "1;extension\r\nx\r\n", 16, &body);
	cr_assert_eq(d.state, CHUNK_BAD);
	buf_free(&body);
}

Test(chunked, head_is_what_the_decoder_reads)
{
	static const struct {
		uint64_t n;
		const char *head;
	} table[] = {
		{ 1, "1\r\n" },
		{ 15, "f\r\n" },
		{ 16, "10\r\n" },
		{ 65536, "10000\r\n" },
		{ UINT64_MAX, "ffffffffffffffff\r\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char out[CHUNKED_HEAD_MAX];
		size_t len = chunked_head(out, table[i].n);
		struct span in = span_of(out, len);
		struct chunked d = { 0 };

		cr_assert(span_is(in, table[i].head));
		if (len > CHUNKED_DIGITS_MAX + 2)
			continue;
		chunked_next(&d, &in);
		cr_assert_eq(d.state, CHUNK_DATA);
		cr_assert_eq(d.left, table[i].n);
	}
}
