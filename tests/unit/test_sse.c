#include "lib/sse.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define GATHER_MAX 64

/* What comes out: "type|data|id;" for each event. */
static const struct sample {
	const char *wire, *events;
} samples[] = {
	{ "data: a\n\n", "message|a|;" },
	{ "data:a\r\n\r\n", "message|a|;" },
	{ "data:  a\r\r", "message| a|;" },
	{ "data: a\r\n\rdata: b\n\r", "message|a|;message|b|;" },
	{ "data: a\ndata: b\n\n", "message|a\nb|;" },
	{ "data: a\r\ndata: b\r\ndata: c\r\n\r\n", "message|a\nb\nc|;" },
	{ "data\n\n", "message||;" },
	{ "data\ndata\n\n", "message|\n|;" },
	{ "data:\ndata:x\n\n", "message|\nx|;" },
	{ "id: 7\ndata: \n\n", "message||7;" },
	{ "event: ping\ndata: x\n\ndata: y\n\n", "ping|x|;message|y|;" },
	{ "event: a\nevent: b\ndata: x\n\n", "b|x|;" },
	{ "event: ping\n\ndata: x\n\n", "message|x|;" },
	{ "id: 1\n\ndata: x\n\n", "message|x|1;" },
	{ "id: 1\ndata: x\n\nid\ndata: y\n\n", "message|x|1;message|y|;" },
	{ "id: 1\ndata: x\n\ndata: y\n\n", "message|x|1;message|y|1;" },
	{ ": comment\ndata: x\n:\n\n", "message|x|;" },
	{ ":\n\n\n\n: x\n\n", "" },
	{ "Data: x\n data: y\ndatas: z\nfoo\n\n", "" },
	{ "\xef\xbb\xbf"
	  "data: x\n\n",
	  "message|x|;" },
	{ "\xef\xbb\xbf\ndata: x\n\n", "message|x|;" },
	{ "\n\xef\xbb\xbf"
	  "data: x\n\n",
	  "" },
	{ "data: x\n", "" },
	{ "data: x\n\ndata: unfinished", "message|x|;" },
	{ "retry: 10\ndata: x\n\n", "message|x|;" },
	{ "data: {\"a\":\"b: c\"}\n\n", "message|{\"a\":\"b: c\"}|;" },
};

static void note(const struct sse_event *ev, struct buf *out)
{
	buf_addf(out, "%.*s|%.*s|%.*s;", SPAN_ARG(ev->type), SPAN_ARG(ev->data),
	         SPAN_ARG(ev->id));
}

/* Give s a piece at exactly its size; freed after, as a socket buffer is. */
static enum sse_result feed(struct sse *s, const char *bytes, size_t len,
                            struct buf *out)
{
	char *copy = malloc(len);
	struct span in = span_of(copy, len);
	struct sse_event ev;
	enum sse_result result;

	cr_assert(copy || len == 0);
	if (len)
		memcpy(copy, bytes, len);
	while (result = sse_next(s, &in, &ev), result == SSE_EVENT)
		note(&ev, out);
	cr_assert(result == SSE_TOO_LARGE || in.len == 0);
	free(copy);
	return result;
}

static void check_pieces(const struct sample *s, size_t first, size_t size)
{
	struct sse stream = { .data = { .max = GATHER_MAX } };
	struct buf out = { .max = 1024 };
	size_t len = strlen(s->wire);

	feed(&stream, s->wire, first, &out);
	for (size_t at = first; at < len; at += size)
		cr_assert_eq(
			feed(&stream, s->wire + at, MIN(size, len - at), &out),
			SSE_MORE);
	cr_assert(span_is(buf_span(&out), s->events), "%s cut at %zu: %.*s",
	          s->wire, first, SPAN_ARG(buf_span(&out)));
	buf_free(&out);
	sse_fini(&stream);
}

Test(sse, every_cut_gives_the_same_events)
{
	for (size_t i = 0; i < ARRAY_LEN(samples); i++)
		for (size_t cut = 0; cut <= strlen(samples[i].wire); cut++)
			check_pieces(&samples[i], cut, SIZE_MAX / 2);
}

Test(sse, small_pieces_give_the_same_events)
{
	for (size_t i = 0; i < ARRAY_LEN(samples); i++)
		for (size_t size = 1; size < 5; size++)
			check_pieces(&samples[i], 0, size);
}

/* An event in one piece, with one data line, is where the caller has it. */
Test(sse, whole_events_are_not_copied)
{
	static const char wire[] = "event: x\nid: 1\ndata: abc\n\n";
	struct sse s = { .data = { .max = 1 } };
	struct span in = span_str(wire);
	struct sse_event ev;

	cr_assert_eq(sse_next(&s, &in, &ev), SSE_EVENT);
	cr_assert_eq(ev.data.at, strstr(wire, "abc"));
	cr_assert_null(s.data.bytes);
	cr_assert_eq(sse_next(&s, &in, &ev), SSE_MORE);
	sse_fini(&s);
}

/* An id with NUL is ignored: the one before stays. */
Test(sse, nul_in_an_id)
{
	struct sse s = { .data = { .max = GATHER_MAX } };
	struct buf out = { .max = 64 };

	feed(&s, "id: 1\nid: 2\0\ndata: x\n\n", 22, &out);
	cr_assert(span_is(buf_span(&out), "message|x|1;"));
	buf_free(&out);
	sse_fini(&s);
}

Test(sse, retry_is_digits)
{
	struct sse s = { .data = { .max = GATHER_MAX } };
	struct buf out = { .max = 64 };

	feed(&s, "retry: 250\nretry: x\nretry: -1\nretry\n", 36, &out);
	cr_assert_eq(s.retry_ms, 250);
	sse_fini(&s);
}

static enum sse_result feed_field(const char *name, size_t len, bool cut)
{
	struct sse s = { .data = { .max = 4 * SSE_ID_MAX } };
	struct buf out = { .max = 4096 };
	static char wire[2 * SSE_ID_MAX];
	size_t head = strlen(name);
	enum sse_result result;

	memcpy(wire, name, head);
	memset(wire + head, 'x', len);
	wire[head + len] = '\n';
	len += head + 1;
	if (cut)
		feed(&s, wire, len / 2, &out);
	result = feed(&s, wire + (cut ? len / 2 : 0), len - (cut ? len / 2 : 0),
	              &out);
	cr_assert_eq(feed(&s, "data: y\n\n", 9, &out), result);
	cr_assert_eq(out.len > 0, result == SSE_MORE);
	buf_free(&out);
	sse_fini(&s);
	return result;
}

/* Every limit is exact and, once passed, final. */
Test(sse, limits_are_exact_and_final)
{
	for (int cut = 0; cut < 2; cut++) {
		cr_assert_eq(feed_field("event:", SSE_TYPE_MAX, cut), SSE_MORE);
		cr_assert_eq(feed_field("event:", SSE_TYPE_MAX + 1, cut),
		             SSE_TOO_LARGE);
		cr_assert_eq(feed_field("id:", SSE_ID_MAX, cut), SSE_MORE);
		cr_assert_eq(feed_field("id:", SSE_ID_MAX + 1, cut),
		             SSE_TOO_LARGE);
	}
}

/* A stream without line ends, or without empty lines, does not grow. */
Test(sse, gathering_is_limited)
{
	static const char *const endless[] = { "x", "data: x\n", "data\n" };

	for (size_t i = 0; i < ARRAY_LEN(endless); i++) {
		struct sse s = { .data = { .max = GATHER_MAX } };
		struct buf out = { .max = 64 };
		enum sse_result result = SSE_MORE;

		for (int n = 0; n <= GATHER_MAX + 1 && result == SSE_MORE; n++)
			result = feed(&s, endless[i], strlen(endless[i]), &out);
		cr_assert_eq(result, SSE_TOO_LARGE, "%s", endless[i]);
		sse_fini(&s);
		cr_assert_eq(feed(&s, "data: y\n\n", 9, &out), SSE_MORE);
		cr_assert(span_is(buf_span(&out), "message|y|;"));
		buf_free(&out);
		sse_fini(&s);
	}
}

/* Comments cost nothing, however many and however cut. */
Test(sse, comments_do_not_add_up)
{
	struct sse s = { .data = { .max = 16 } };
	struct buf out = { .max = 64 };

	for (int i = 0; i < 1000; i++)
		cr_assert_eq(feed(&s, "on\n: keep-", 10, &out), SSE_MORE);
	sse_fini(&s);
}

Test(sse, lines_longer_than_a_window)
{
	static char wire[4096];
	struct sse s = { .data = { .max = sizeof(wire) } };
	struct sse_event ev;

	for (size_t len = 400; len < 1200; len++) {
		struct span in = span_of(wire, len + 8);

		memset(wire, 'x', len + 8);
		memcpy(wire, "data: ", 6);
		memcpy(wire + len + 6, len % 2 ? "\n\n" : "\r\r", 2);
		cr_assert_eq(sse_next(&s, &in, &ev), SSE_EVENT);
		cr_assert_eq(ev.data.len, len);
		cr_assert_eq(sse_next(&s, &in, &ev), SSE_MORE);
	}
	sse_fini(&s);
}

Test(sse, what_may_stand_in_a_data_line)
{
	cr_assert(sse_data_safe(SPAN("{\"a\":1}")));
	cr_assert(sse_data_safe(span_of(NULL, 0)));
	cr_assert(!sse_data_safe(SPAN("a\nb")));
	cr_assert(!sse_data_safe(SPAN("a\r")));
}
