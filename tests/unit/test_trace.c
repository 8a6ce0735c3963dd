#include "proxy/trace.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "lib/value.h"

#define ID     "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN_  "00f067aa0ba902b7"
#define PARENT "00-" ID "-" SPAN_ "-01"

static const struct h1_head nothing;

/* The head with these two; NULL: not there. */
static struct h1_head head_of(const char *parent, const char *state)
{
	struct h1_head h = { .n_fields = 0 };

	if (parent) {
		h.known[H1_TRACEPARENT] = span_str(parent);
		h.seen[H1_TRACEPARENT] = 1;
	}
	if (state) {
		h.known[H1_TRACESTATE] = span_str(state);
		h.seen[H1_TRACESTATE] = 1;
	}
	return h;
}

/* Is it a trace, by either way? */
static void read_meta(struct span meta, const struct h1_head *head,
                      struct trace *trace)
{
	trace_read(value_get(meta, SPAN("traceparent")),
	           value_get(meta, SPAN("tracestate")), head, trace);
}

static bool holds(struct span parent)
{
	struct h1_head h = { .n_fields = 0 };
	struct buf meta = { .max = 4096 };
	struct trace a, b;

	h.known[H1_TRACEPARENT] = parent;
	h.seen[H1_TRACEPARENT] = 1;
	read_meta(span_of(NULL, 0), &h, &a);
	buf_puts(&meta, "{\"traceparent\":");
	buf_add_json(&meta, parent);
	buf_putc(&meta, '}');
	read_meta(buf_span(&meta), &nothing, &b);
	cr_expect_eq(a.parent_len, b.parent_len, "%.*s", SPAN_ARG(parent));
	cr_expect(a.parent_len == 0 ||
	          span_eq(span_of(a.parent, a.parent_len), parent));
	buf_free(&meta);
	return a.parent_len > 0;
}

Test(trace, vectors)
{
	static const struct {
		const char *parent;
		bool good;
	} rows[] = {
		{ PARENT, true },
		{ "00-" ID "-" SPAN_ "-00", true },
		{ "00-" ID "-" SPAN_ "-ff", true },
		{ "", false },
		{ "00", false },
		{ PARENT "-", false },
		{ PARENT "-x", false },
		{ PARENT "0", false },
		{ " " PARENT, false },
		{ PARENT " ", false },
		/* versions */
		{ "01-" ID "-" SPAN_ "-01", true },
		{ "fe-" ID "-" SPAN_ "-01", true },
		{ "fe-" ID "-" SPAN_ "-01-", true },
		{ "cc-" ID "-" SPAN_ "-01-what the future will be like", true },
		{ "cc-" ID "-" SPAN_ "-01.what", false },
		{ "cc-" ID "-" SPAN_ "-01-\x7f", false },
		{ "cc-" ID "-" SPAN_ "-01-\xc3\xa4", false },
		{ "ff-" ID "-" SPAN_ "-01", false },
		{ "ff-" ID "-" SPAN_ "-01-x", false },
		{ "0-" ID "-" SPAN_ "-01", false },
		{ "000-" ID "-" SPAN_ "-01", false },
		/* ids of zeros */
		{ "00-00000000000000000000000000000000-" SPAN_ "-01", false },
		{ "00-" ID "-0000000000000000-01", false },
		{ "01-" ID "-0000000000000000-01-x", false },
		{ "00-00000000000000000000000000000001-" SPAN_ "-01", true },
		{ "00-" ID "-1000000000000000-00", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_expect_eq(holds(span_str(rows[i].parent)), rows[i].good,
		             "%s", rows[i].parent);
}

/* Each character is any byte once, and each length is cut. */
Test(trace, every_character_counts)
{
	char text[] = PARENT;

	for (size_t i = 0; i + 1 < sizeof(text); i++) {
		bool dash = text[i] == '-';
		char was = text[i];

		for (int c = 1; c < 128; c++) {
			bool hex = (c >= '0' && c <= '9') ||
			           (c >= 'a' && c <= 'f');
			text[i] = (char)c;
			cr_assert_eq(holds(span_str(text)),
			             dash ? c == '-' : hex, "%zu %d", i, c);
		}
		text[i] = was;
	}
	for (size_t n = 0; n + 1 < sizeof(text); n++) {
		/* Its own memory: nothing behind the text may be read. */
		char *cut = malloc(n + 1);

		memcpy(cut, text, n);
		cr_assert_not(holds(span_of(cut, n)), "%zu", n);
		free(cut);
	}
}

Test(trace, a_parent_has_a_limit)
{
	char text[TRACE_PARENT_MAX + 2] = "01-" ID "-" SPAN_ "-01-";

	for (size_t i = strlen(text); i < sizeof(text); i++)
		text[i] = 'x';
	cr_expect(holds(span_of(text, TRACE_PARENT_MAX)));
	cr_expect_not(holds(span_of(text, TRACE_PARENT_MAX + 1)));
}

/* A state that does not hold is left out, and the trace stays. */
Test(trace, states)
{
	char longest[TRACE_STATE_MAX + 1];
	const struct {
		struct span state;
		bool good;
	} rows[] = {
		{ SPAN("a=1,b@c=\"x\\y\""), true },
		{ SPAN(" a=1 "), true },
		{ SPAN(""), false },
		{ SPAN("a=1\n"), false },
		{ SPAN("a=\t1"), false },
		{ SPAN("a=\x7f"), false },
		{ SPAN("a=\xc3\xa4"), false },
		{ SPAN("a=\0b"), false },
		{ span_of(longest, TRACE_STATE_MAX), true },
		{ span_of(longest, TRACE_STATE_MAX + 1), false },
	};

	memset(longest, 's', sizeof(longest));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct h1_head h = head_of(PARENT, "");
		struct buf meta = { .max = 4096 };
		struct trace by_head, by_meta;

		h.known[H1_TRACESTATE] = rows[i].state;
		read_meta(span_of(NULL, 0), &h, &by_head);
		buf_puts(&meta,
		         "{\"traceparent\":\"" PARENT "\",\"tracestate\":");
		buf_add_json(&meta, rows[i].state);
		buf_putc(&meta, '}');
		read_meta(buf_span(&meta), &nothing, &by_meta);
		cr_expect_eq(by_head.parent_len, strlen(PARENT));
		cr_expect_eq(by_meta.parent_len, strlen(PARENT));
		cr_expect_eq(by_head.state_len,
		             rows[i].good ? rows[i].state.len : 0, "%zu", i);
		cr_expect_eq(by_meta.state_len, by_head.state_len, "%zu", i);
		cr_expect(span_eq(span_of(by_meta.state, by_meta.state_len),
		                  span_of(by_head.state, by_head.state_len)));
		buf_free(&meta);
	}
}

/* _meta counts first, as a whole; what does not hold there leaves it to the
 * head. */
Test(trace, which_counts)
{
#define OTHER "00-11111111111111111111111111111111-" SPAN_ "-00"
	static const struct {
		const char *meta, *parent, *state, *want;
	} rows[] = {
		{ "", PARENT, "a=1",
		  "traceparent: " PARENT "\r\ntracestate: a=1\r\n" },
		{ "{\"traceparent\":\"" OTHER "\"}", PARENT, "a=1",
		  "traceparent: " OTHER "\r\n" },
		{ "{\"traceparent\":\"" OTHER "\",\"tracestate\":\"b=2\"}",
		  PARENT, "a=1",
		  "traceparent: " OTHER "\r\ntracestate: b=2\r\n" },
		{ "{\"traceparent\":\"junk\",\"tracestate\":\"b=2\"}", PARENT,
		  "a=1", "traceparent: " PARENT "\r\ntracestate: a=1\r\n" },
		{ "{\"traceparent\":7}", PARENT, NULL,
		  "traceparent: " PARENT "\r\n" },
		{ "{\"tracestate\":\"b=2\"}", NULL, "a=1", "" },
		{ "{\"tracep\\u0061rent\":\"\\u00300-" ID "-" SPAN_ "-01\"}",
		  NULL, NULL, "traceparent: " PARENT "\r\n" },
		{ "{\"traceparent\":\"" PARENT "\\r\\nX: y\"}", NULL, NULL,
		  "" },
		{ "{\"traceparent\":\"01-" ID "-" SPAN_ "-01-\\r\\nX: y\"}",
		  NULL, NULL, "" },
		{ "{\"traceparent\":\"" PARENT
		  "\",\"tracestate\":\"a=1\\r\\nX: y\"}",
		  NULL, NULL, "traceparent: " PARENT "\r\n" },
		{ "{}", NULL, NULL, "" },
		{ "", NULL, "a=1", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct h1_head h = head_of(rows[i].parent, rows[i].state);
		struct buf out = { .max = 4096 };
		struct trace trace;

		read_meta(span_str(rows[i].meta), &h, &trace);
		trace_fields(&trace, &out);
		cr_expect(span_is(buf_span(&out), rows[i].want), "%zu: %.*s", i,
		          SPAN_ARG(buf_span(&out)));
		buf_free(&out);
	}
}

/* Of two fields nobody knows which is meant. */
Test(trace, fields_that_come_twice)
{
	struct h1_head h = head_of(PARENT, "a=1");
	struct trace trace;

	h.seen[H1_TRACESTATE] = 2;
	read_meta(span_of(NULL, 0), &h, &trace);
	cr_expect_eq(trace.parent_len, strlen(PARENT));
	cr_expect_eq(trace.state_len, 0u);
	h.seen[H1_TRACEPARENT] = 2;
	read_meta(span_of(NULL, 0), &h, &trace);
	cr_expect_eq(trace.parent_len, 0u);
}

Test(trace, members)
{
	struct h1_head h = head_of(PARENT, "a=\"\\\"");
	struct buf out = { .max = 4096 };
	struct trace trace;
	bool first = true;

	read_meta(span_of(NULL, 0), &h, &trace);
	buf_putc(&out, '{');
	trace_members(&trace, &first, &out);
	cr_expect_not(first);
	trace_members(&trace, &first, &out);
	buf_putc(&out, '}');
	cr_expect(span_is(buf_span(&out),
	                  "{\"traceparent\":\"" PARENT "\",\"tracestate\":"
	                  "\"a=\\\"\\\\\\\"\",\"traceparent\":\"" PARENT
	                  "\",\"tracestate\":\"a=\\\"\\\\\\\"\"}"),
	          "%.*s", SPAN_ARG(buf_span(&out)));
	buf_reset(&out);
	first = true;
	read_meta(span_of(NULL, 0), &nothing, &trace);
	trace_members(&trace, &first, &out);
	trace_fields(&trace, &out);
	cr_expect(first);
	cr_expect_eq(out.len, 0u);
	buf_free(&out);
}
