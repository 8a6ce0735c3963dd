#include "proxy/upstream.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "tests/unit/fixture_proxy.h"

static struct fixture_setup setup;
static struct settings settings;
static struct snapshot *snap;
static struct loop *loop;
static struct board *board;
static struct upstream *up;
static struct fixture_server *server;

/* An exchange and what became of it. */
struct trip {
	struct exchange x;
	struct buf body;
	int status;
	unsigned heads, ends;
	enum exchange_end end;
	char detail[200];
	bool inside;   /* exchange_start() has not returned */
	size_t cancel; /* give up at this many bytes of the body; 1: head */
	bool detach;   /* ... by exchange_detach() */
	bool pause;    /* stop reading at the head */
};

static struct trip trips[8];

static void leave(struct trip *t)
{
	if (t->detach)
		exchange_detach(&t->x);
	else
		exchange_cancel(&t->x);
}

static void on_head(struct exchange *x, const struct exchange_head *head)
{
	struct trip *t = CONTAINER_OF(x, struct trip, x);

	cr_assert_not(t->inside);
	t->heads++;
	t->status = head->status;
	if (t->pause)
		exchange_pause(x);
	if (t->cancel == 1)
		leave(t);
}

static void on_body(struct exchange *x, struct span bytes)
{
	struct trip *t = CONTAINER_OF(x, struct trip, x);

	cr_assert_eq(t->ends, 0u);
	cr_assert_eq(t->heads, 1u);
	cr_assert_gt(bytes.len, 0u);
	cr_assert(exchange_running(x));
	buf_add_span(&t->body, bytes);
	if (t->cancel && t->body.len >= t->cancel)
		leave(t);
}

static void on_end(struct exchange *x, enum exchange_end why,
                   const char *detail)
{
	struct trip *t = CONTAINER_OF(x, struct trip, x);

	cr_assert_not(t->inside);
	cr_assert_not(exchange_running(x));
	cr_assert_not_null(detail);
	snprintf(t->detail, sizeof(t->detail), "%s", detail);
	t->ends++;
	t->end = why;
}

static const struct exchange_ops ops = { on_head, on_body, on_end };

static void build(void)
{
	snapshot_unref(snap);
	setup.name = "b";
	setup.eras = ERA_MODERN;
	snap = fixture_snapshot(&setup, 1, &settings, NULL);
	upstream_adopt(up, snap);
}

static void begin(void)
{
	fixture_settings(&settings);
	settings.breaker_failures = 1000;
	loop = loop_new();
	board = fixture_board();
	up = upstream_new(loop, board, &board->workers[0]);
	server = fixture_server_new(loop);
	setup = (struct fixture_setup){ .port = fixture_server_port(server) };
	build();
}

static void end(void)
{
	for (size_t i = 0; i < ARRAY_LEN(trips); i++) {
		exchange_cancel(&trips[i].x);
		buf_free(&trips[i].body);
	}
	fixture_server_free(server);
	fixture_pause(loop, 10); /* rests of answers */
	upstream_free(up);
	fixture_pause(loop, 0);
	loop_free(loop);
	snapshot_unref(snap);
}

TestSuite(upstream, .init = begin, .fini = end, .timeout = 60);

#define ASK "{\"id\":1,\"method\":\"x\"}"

static struct trip *go(size_t i, bool repeatable)
{
	struct trip *t = &trips[i];

	buf_free(&t->body);
	t->body.max = 1 << 28;
	t->heads = t->ends = 0;
	t->status = 0;
	t->x.ops = &ops;
	t->x.snap = snap;
	t->x.body = SPAN(ASK);
	t->x.fields = SPAN("");
	t->x.repeatable = repeatable;
	t->inside = true;
	exchange_start(up, &t->x);
	t->inside = false;
	return t;
}

static bool ended(void *arg)
{
	return ((struct trip *)arg)->ends > 0;
}

static struct trip *run(bool repeatable)
{
	struct trip *t = go(0, repeatable);

	cr_assert(fixture_run(loop, ended, t));
	return t;
}

static void play(const struct fixture_answer *a)
{
	fixture_server_play(server, a, 1);
}

static const struct fixture_answer good = { .body = "{}" };

/* ---- framing ---- */

#define OK "HTTP/1.1 200 OK\r\n"

static const struct {
	const char *raw;
	enum fixture_then then;
	enum exchange_end end;
	int status;
	const char *body;
	bool kept; /* the connection serves the next */
} answers[] = {
	{ OK "Content-Length: 2\r\n\r\nab", THEN_KEEP, EXCHANGE_COMPLETE, 200,
	  "ab", true },
	{ OK "Content-Length: 0\r\n\r\n", THEN_KEEP, EXCHANGE_COMPLETE, 200, "",
	  true },
	{ OK "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n"
	     "0\r\nTrailer: t\r\n\r\n",
	  THEN_KEEP, EXCHANGE_COMPLETE, 200, "abc", true },
	{ OK "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", THEN_KEEP,
	  EXCHANGE_COMPLETE, 200, "", true },
	{ "HTTP/1.1 204 No Content\r\n\r\n", THEN_KEEP, EXCHANGE_COMPLETE, 204,
	  "", true },
	{ "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", THEN_KEEP,
	  EXCHANGE_COMPLETE, 202, "", true },
	{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: "
	  "x\r\n\r\n" OK "Content-Length: 1\r\n\r\nz",
	  THEN_KEEP, EXCHANGE_COMPLETE, 200, "z", true },
	{ OK "Content-Length: 1\r\nConnection: close\r\n\r\nz", THEN_KEEP,
	  EXCHANGE_COMPLETE, 200, "z", false },
	{ OK "\r\nuntil the end", THEN_CLOSE, EXCHANGE_COMPLETE, 200,
	  "until the end", false },
	{ "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nz", THEN_KEEP,
	  EXCHANGE_COMPLETE, 200, "z", false },
	{ OK "Content-Length: 1\r\nKeep-Alive: timeout=1\r\n\r\nz", THEN_KEEP,
	  EXCHANGE_COMPLETE, 200, "z", false },
	/* ends too early */
	{ OK "Content-Length: 3\r\n\r\nab", THEN_CLOSE, EXCHANGE_BROKEN, 200,
	  "ab", false },
	{ OK "Transfer-Encoding: chunked\r\n\r\n5\r\nab", THEN_CLOSE,
	  EXCHANGE_BROKEN, 200, "ab", false },
	{ OK "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", THEN_CLOSE,
	  EXCHANGE_BROKEN, 200, "ab", false },
	{ OK "Content-Le", THEN_CLOSE, EXCHANGE_BROKEN, 0, "", false },
	{ "", THEN_CLOSE, EXCHANGE_BROKEN, 0, "", false },
	{ "", THEN_RESET, EXCHANGE_BROKEN, 0, "", false },
	/* not HTTP, or ambiguous */
	{ "hello\r\n\r\n", THEN_CLOSE, EXCHANGE_GARBAGE, 0, "", false },
	{ "SSH-2.0-x\r\n", THEN_SILENT, EXCHANGE_GARBAGE, 0, "", false },
	{ OK "Content-Length: -1\r\n\r\n", THEN_KEEP, EXCHANGE_GARBAGE, 0, "",
	  false },
	{ OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\nz", THEN_KEEP,
	  EXCHANGE_GARBAGE, 0, "", false },
	{ OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	  THEN_KEEP, EXCHANGE_GARBAGE, 0, "", false },
	{ OK "Transfer-Encoding: gzip\r\n\r\nz", THEN_CLOSE, EXCHANGE_GARBAGE,
	  0, "", false },
	{ OK "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", THEN_KEEP,
	  EXCHANGE_GARBAGE, 200, "", false },
	{ OK "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", THEN_KEEP,
	  EXCHANGE_GARBAGE, 200, "a", false },
};

static void check(size_t i, size_t piece)
{
	struct fixture_answer a = { .raw = answers[i].raw,
		                    .then = answers[i].then,
		                    .piece = piece };
	size_t before;
	struct trip *t;

	fixture_server_hang_up(server);
	fixture_pause(loop, 3);
	play(&a);
	t = run(false);
	cr_expect_eq(t->end, answers[i].end, "row %zu/%zu: %d %s", i, piece,
	             t->end, t->detail);
	cr_expect_eq(t->status, answers[i].status, "row %zu/%zu: %d", i, piece,
	             t->status);
	cr_expect(span_is(buf_span(&t->body), answers[i].body),
	          "row %zu/%zu: %.*s", i, piece, SPAN_ARG(buf_span(&t->body)));
	play(&good);
	before = fixture_server_connections(server);
	t = run(false);
	cr_expect_eq(t->end, EXCHANGE_COMPLETE, "row %zu/%zu: %s", i, piece,
	             t->detail);
	cr_expect_eq(fixture_server_connections(server) - before,
	             answers[i].kept ? 0u : 1u, "row %zu/%zu", i, piece);
}

Test(upstream, every_framing_whole_and_in_pieces)
{
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		check(i, 0);
		check(i, 1);
		check(i, 7);
	}
}

/* More than was announced belongs to nobody, and least to the next. */
Test(upstream, bytes_behind_an_answer)
{
	static const struct fixture_answer a = {
		.raw = OK "Content-Length: 2\r\n\r\nab" OK
			  "Content-Length: 1\r\n\r\nX",
	};

	for (int i = 0; i < 2; i++) {
		play(&a);
		cr_expect_eq(run(false)->end, EXCHANGE_COMPLETE);
		cr_expect(span_is(buf_span(&trips[0].body), "ab"));
	}
	cr_expect_eq(fixture_server_connections(server), 2u);
}

Test(upstream, a_head_that_never_ends)
{
	struct buf text = { .max = 1 << 20 };
	struct fixture_answer a = { .then = THEN_SILENT };

	buf_puts(&text, OK);
	while (text.len < 200000)
		buf_puts(&text, "X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
	buf_putc(&text, '\0');
	a.raw = text.bytes;
	play(&a);
	cr_expect_eq(run(false)->end, EXCHANGE_GARBAGE);
	buf_free(&text);
}

/* ---- connections ---- */

Test(upstream, one_connection_serves_many)
{
	play(&good);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(run(false)->end, EXCHANGE_COMPLETE);
	cr_expect_eq(fixture_server_connections(server), 1u);
	cr_expect_eq(fixture_server_requests(server), 20u);
}

Test(upstream, none_is_kept_when_none_may_be)
{
	settings.upstream_max_idle = 0;
	build();
	play(&good);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(run(false)->end, EXCHANGE_COMPLETE);
	cr_expect_eq(fixture_server_connections(server), 3u);
}

Test(upstream, an_idle_connection_is_closed_in_time)
{
	settings.upstream_idle_timeout = 100;
	build();
	play(&good);
	run(false);
	fixture_pause(loop, 50);
	cr_expect_eq(fixture_server_open(server), 1u);
	fixture_pause(loop, 120);
	cr_expect_eq(fixture_server_open(server), 0u);
}

static bool all_ended(void *arg)
{
	size_t n = *(size_t *)arg;

	for (size_t i = 0; i < n; i++)
		if (!trips[i].ends)
			return false;
	return true;
}

static bool has_come(void *arg)
{
	return fixture_server_requests(server) >= *(size_t *)arg;
}

Test(upstream, others_wait_while_max_connections_are_busy)
{
	static const struct fixture_answer slow = {
		.body = "0123456789012345678901234567890123456789", .piece = 1
	};
	size_t n = ARRAY_LEN(trips);

	setup.max_connections = 2;
	build();
	play(&slow);
	for (size_t i = 0; i < n; i++)
		go(i, false);
	cr_assert(fixture_run(loop, all_ended, &n));
	for (size_t i = 0; i < n; i++)
		cr_expect_eq(trips[i].end, EXCHANGE_COMPLETE, "%s",
		             trips[i].detail);
	cr_expect_eq(fixture_server_connections(server), 2u);
}

/* What is about a call does not wait for the connection that the call has, and
 * gives no turn to others when it ends. */
Test(upstream, small_ones_take_none_of_max_connections)
{
	static const struct fixture_answer script[] = {
		{ .raw = "", .then = THEN_SILENT },
		{ .body = "{}" },
	};
	enum { CALL, POST, DELETE, NEXT };

	for (int tls = 0; tls < 2; tls++) {
		/* Its URL is plain all the same. */
		setup.flags = tls ? BACKEND_TLS : 0;
		setup.max_connections = 1;
		build();
		trips[POST].x.small = trips[DELETE].x.small = true;
		trips[DELETE].x.method = EXCHANGE_DELETE;
		fixture_server_play(server, script, 2);
		size_t before = fixture_server_requests(server) + 1;
		go(CALL, false);
		cr_assert(fixture_run(loop, has_come, &before));
		go(NEXT, false);
		for (size_t i = POST; i <= DELETE; i++) {
			go(i, false);
			cr_assert(fixture_run(loop, ended, &trips[i]), "%zu",
			          i);
			cr_expect_eq(trips[i].end, EXCHANGE_COMPLETE, "%s",
			             trips[i].detail);
		}
		fixture_pause(loop, 5);
		cr_expect_eq(trips[CALL].ends, 0u);
		cr_expect_eq(trips[NEXT].ends, 0u);
		cr_expect_eq(fixture_server_requests(server), before + 2);
		exchange_cancel(&trips[CALL].x);
		cr_assert(fixture_run(loop, ended, &trips[NEXT]));
		cr_expect_eq(trips[NEXT].end, EXCHANGE_COMPLETE);
	}
}

Test(upstream, waiting_has_an_end)
{
	static const struct fixture_answer silent = { .raw = "",
		                                      .then = THEN_SILENT };
	size_t n = 4;

	setup.max_connections = 1;
	setup.request_timeout_ms = 100;
	build();
	play(&silent);
	for (size_t i = 0; i < n; i++)
		go(i, false);
	exchange_cancel(&trips[2].x); /* out of the middle of the queue */
	trips[2].ends = 1;
	cr_assert(fixture_run(loop, all_ended, &n));
	cr_expect_eq(trips[0].end, EXCHANGE_TIMEOUT);
	cr_expect(trips[1].end == EXCHANGE_BUSY ||
	          trips[1].end == EXCHANGE_TIMEOUT);
	cr_expect(trips[3].end == EXCHANGE_BUSY ||
	          trips[3].end == EXCHANGE_TIMEOUT);
}

/* When one gives up, the next of the queue has its turn. */
Test(upstream, giving_up_makes_room)
{
	static const struct fixture_answer script[] = {
		{ .raw = "", .then = THEN_SILENT },
		{ .body = "{}" },
	};
	size_t n = 2;

	setup.max_connections = 1;
	build();
	fixture_server_play(server, script, 2);
	go(0, false);
	go(1, false);
	fixture_pause(loop, 20);
	exchange_cancel(&trips[0].x);
	trips[0].ends = 1;
	cr_assert(fixture_run(loop, all_ended, &n));
	cr_expect_eq(trips[1].end, EXCHANGE_COMPLETE, "%s", trips[1].detail);
}

Test(upstream, no_connection_can_be_made)
{
	size_t n = ARRAY_LEN(trips);

	fixture_server_deaf(server);
	fixture_pause(loop, 1);
	setup.max_connections = 2;
	build();
	for (size_t i = 0; i < n; i++)
		go(i, false);
	cr_assert(fixture_run(loop, all_ended, &n));
	for (size_t i = 0; i < n; i++)
		cr_expect_eq(trips[i].end, EXCHANGE_REFUSED);

	setup.port = 0;
	build();
	for (size_t i = 0; i < n; i++)
		go(i, false);
	cr_assert(fixture_run(loop, all_ended, &n));
	for (size_t i = 0; i < n; i++)
		cr_expect_eq(trips[i].end, EXCHANGE_REFUSED);
}

/* One that fails before it had a connection still gives its turn away. */
Test(upstream, the_queue_goes_on_behind_a_failure)
{
	static const struct fixture_answer slow = { .body = "0123456789",
		                                    .piece = 5 };
	uint64_t before = clock_mono_ms();
	struct snapshot *old;
	size_t n = 4;

	setup.max_connections = 1;
	build();
	play(&slow);
	go(0, false);
	old = snapshot_ref(snap);
	setup.port = 0;
	build();
	for (size_t i = 1; i < n; i++)
		go(i, false);
	cr_assert(fixture_run(loop, all_ended, &n));
	cr_expect_eq(trips[0].end, EXCHANGE_COMPLETE);
	for (size_t i = 1; i < n; i++)
		cr_expect_eq(trips[i].end, EXCHANGE_REFUSED, "%zu: %s", i,
		             trips[i].detail);
	cr_expect_lt(clock_mono_ms() - before, 1000u);
	snapshot_unref(old);
}

/* A backend that moved gets new connections. */
Test(upstream, idle_connections_to_another_address_are_closed)
{
	struct fixture_server *other = fixture_server_new(loop);

	play(&good);
	fixture_server_play(other, &good, 1);
	run(false);
	cr_expect_eq(fixture_server_open(server), 1u);
	setup.port = fixture_server_port(other);
	build();
	fixture_pause(loop, 5);
	cr_expect_eq(fixture_server_open(server), 0u);
	cr_expect_eq(run(false)->end, EXCHANGE_COMPLETE);
	cr_expect_eq(fixture_server_requests(other), 1u);
	fixture_server_free(other);
}

/* ---- once more, or not ---- */

static void retry(const struct fixture_answer *first, bool reused,
                  bool repeatable, enum exchange_end want, size_t requests)
{
	struct fixture_answer script[] = { good, *first, good };
	size_t before;

	fixture_server_hang_up(server);
	fixture_pause(loop, 3);
	fixture_server_play(server, script + !reused, 3u - !reused);
	if (reused)
		cr_assert_eq(run(false)->end, EXCHANGE_COMPLETE);
	before = fixture_server_requests(server);
	cr_expect_eq(run(repeatable)->end, want, "%s", trips[0].detail);
	cr_expect_eq(fixture_server_requests(server) - before, requests);
}

Test(upstream, twice_only_what_may_be_executed_twice)
{
	static const struct fixture_answer closes = { .raw = "",
		                                      .then = THEN_CLOSE };
	static const struct fixture_answer resets = { .raw = "",
		                                      .then = THEN_RESET };
	static const struct fixture_answer half = { .raw = "HTTP/1.1 2",
		                                    .then = THEN_CLOSE };

	/* The backend has read it: whether it did it, nobody knows. */
	retry(&closes, true, false, EXCHANGE_BROKEN, 1);
	retry(&resets, true, false, EXCHANGE_BROKEN, 1);
	/* An old connection, and no harm done. */
	retry(&closes, true, true, EXCHANGE_COMPLETE, 2);
	retry(&resets, true, true, EXCHANGE_COMPLETE, 2);
	/* A new connection that breaks is no accident of time. */
	retry(&closes, false, true, EXCHANGE_BROKEN, 1);
	/* A byte of an answer came. */
	retry(&half, true, true, EXCHANGE_BROKEN, 1);
}

/* A backend that restarted closed what was idle: nobody notices. */
Test(upstream, a_restart_between_two_requests)
{
	play(&good);
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(run(false)->end, EXCHANGE_COMPLETE);
		fixture_server_hang_up(server);
		fixture_pause(loop, 3);
	}
	cr_expect_eq(fixture_server_requests(server), 5u);
}

/* ---- times ---- */

static void expect_timeout(const struct fixture_answer *a, uint64_t least,
                           uint64_t most)
{
	uint64_t before = clock_mono_ms();

	play(a);
	cr_expect_eq(run(true)->end, EXCHANGE_TIMEOUT, "%s", trips[0].detail);
	cr_expect_geq(clock_mono_ms() - before, least);
	cr_expect_leq(clock_mono_ms() - before, most);
}

Test(upstream, silence_ends_an_exchange)
{
	static const struct fixture_answer silent = { .raw = "",
		                                      .then = THEN_SILENT };
	static const struct fixture_answer half_head = { .raw = "HTTP/1.1 ",
		                                         .then = THEN_SILENT };
	static const struct fixture_answer half = {
		.raw = OK "Content-Length: 5\r\n\r\nab", .then = THEN_SILENT
	};
	static const struct fixture_answer stream = {
		.raw = OK "Content-Type: text/event-stream\r\n\r\n:\n\n",
		.then = THEN_SILENT
	};

	setup.request_timeout_ms = 150;
	setup.idle_timeout_ms = 100;
	build();
	expect_timeout(&silent, 140, 1000);
	expect_timeout(&half_head, 140, 1000);
	expect_timeout(&half, 90, 1000);
	expect_timeout(&stream, 90, 1000);
	fixture_pause(loop, 5);
	cr_expect_eq(fixture_server_open(server), 0u);
}

/* What comes in time may take as long as it likes. */
Test(upstream, a_slow_answer_is_no_silence)
{
	static const struct fixture_answer slow = {
		.body = "0123456789012345678901234567890123456789"
			"0123456789012345678901234567890123456789"
			"0123456789012345678901234567890123456789"
			"0123456789012345678901234567890123456789",
		.piece = 1,
	};

	setup.request_timeout_ms = 100;
	setup.idle_timeout_ms = 100;
	build();
	play(&slow);
	cr_expect_eq(run(false)->end, EXCHANGE_COMPLETE, "%s", trips[0].detail);
}

/* ---- sizes ---- */

Test(upstream, an_answer_has_a_limit)
{
	struct buf text = { .max = 1 << 20 };
	struct fixture_answer a = { 0 };

	settings.limits_response_bytes = 65536;
	build();
	while (text.len < 65536)
		buf_putc(&text, 'a');
	buf_putc(&text, '\0');
	a.body = text.bytes;
	play(&a);
	cr_expect_eq(run(false)->end, EXCHANGE_COMPLETE);
	text.len--;
	buf_puts(&text, "b");
	buf_putc(&text, '\0');
	a.body = text.bytes;
	play(&a);
	cr_expect_eq(run(false)->end, EXCHANGE_TOO_LARGE);
	cr_expect_leq(trips[0].body.len, 65536u);
	buf_free(&text);
}

Test(upstream, a_large_request_arrives_whole)
{
	struct buf text = { .max = 1 << 24 };
	struct trip *t;

	buf_puts(&text, "{\"id\":1,\"x\":\"");
	for (unsigned i = 0; text.len < 8u << 20; i++)
		buf_addf(&text, "%u,", i);
	buf_puts(&text, "\"}");
	play(&good);
	for (int i = 0; i < 2; i++) {
		t = &trips[0];
		buf_free(&t->body);
		t->body.max = 1000;
		t->heads = t->ends = 0;
		t->x.ops = &ops;
		t->x.snap = snap;
		t->x.body = buf_span(&text);
		exchange_start(up, &t->x);
		cr_assert(fixture_run(loop, ended, t));
		cr_assert_eq(t->end, EXCHANGE_COMPLETE, "%s", t->detail);
		cr_expect(span_eq(fixture_server_body(server, (size_t)i),
		                  buf_span(&text)));
	}
	cr_expect_eq(fixture_server_connections(server), 1u);
	buf_free(&text);
}

/* ---- in the middle ---- */

static bool given_up(void *arg)
{
	return !exchange_running(&((struct trip *)arg)->x);
}

Test(upstream, giving_up_in_a_callback)
{
	static const struct fixture_answer forms[] = {
		{ .body = "0123456789" },
		{ .body = "0123456789", .piece = 3 },
		{ .body = "0123456789", .chunked = true },
		{ .body = "0123456789", .chunked = true, .piece = 3 },
	};

	for (size_t i = 0; i < 2 * ARRAY_LEN(forms); i++)
		for (size_t at = 1; at <= 10; at++) {
			struct trip *t;

			play(&forms[i / 2]);
			trips[0].cancel = at;
			trips[0].detach = i % 2;
			t = go(0, false);
			cr_assert(fixture_run(loop, given_up, t));
			cr_expect_eq(t->ends, 0u);
			cr_expect_not(exchange_running(&t->x));
			trips[0].cancel = 0;
			/* It may be used again at once. */
			play(&good);
			cr_expect_eq(run(false)->end, EXCHANGE_COMPLETE);
		}
}

Test(upstream, a_connection_whose_rest_was_read_serves_again)
{
	static const struct fixture_answer a = { .body = "0123456789",
		                                 .piece = 20 };

	play(&a);
	trips[0].cancel = 1;
	trips[0].detach = true;
	go(0, false);
	fixture_pause(loop, 60);
	trips[0].cancel = 0;
	play(&good);
	cr_expect_eq(run(false)->end, EXCHANGE_COMPLETE);
	cr_expect_eq(fixture_server_connections(server), 1u);
}

/* A stream that goes on and on for nobody is closed, and does not keep the
 * place of another. */
Test(upstream, a_rest_without_an_end_is_cut)
{
	struct buf text = { .max = 1 << 20 };
	struct fixture_answer a = {
		.fields = "Content-Type: text/event-stream\r\n", .piece = 1
	};

	setup.max_connections = 1;
	build();
	while (text.len < 20000)
		buf_puts(&text, ":\n\n");
	buf_putc(&text, '\0');
	a.body = text.bytes;
	play(&a);
	trips[0].cancel = 5;
	trips[0].detach = true;
	go(0, false);
	fixture_pause(loop, 2800);
	cr_expect_eq(fixture_server_open(server), 0u);
	trips[0].cancel = 0;
	play(&good);
	cr_expect_eq(run(false)->end, EXCHANGE_COMPLETE, "%s", trips[0].detail);
	buf_free(&text);
}

Test(upstream, a_pause_holds_the_body)
{
	struct buf text = { .max = 1 << 24 };
	struct fixture_answer a = { 0 };
	struct trip *t = &trips[0];

	setup.idle_timeout_ms = 100;
	build();
	while (text.len < 8u << 20)
		buf_puts(&text, "0123456789abcdef");
	buf_putc(&text, '\0');
	a.body = text.bytes;
	play(&a);
	t->pause = true;
	go(0, false);
	fixture_pause(loop, 300);
	cr_expect_eq(t->heads, 1u);
	cr_expect_eq(t->ends, 0u); /* it is not the backend that is silent */
	cr_expect_lt(t->body.len, 200000u);
	t->pause = false;
	exchange_resume(&t->x);
	cr_assert(fixture_run(loop, ended, t));
	cr_expect_eq(t->end, EXCHANGE_COMPLETE, "%s", t->detail);
	cr_expect_eq(t->body.len, 8u << 20);
	buf_free(&text);
}

/* ---- the breaker ---- */

Test(upstream, what_counts_as_a_failure_of_the_backend)
{
	static const struct {
		const char *raw;
		enum fixture_then then;
		uint32_t failures; /* in a row, after one before */
	} rows[] = {
		{ "", THEN_CLOSE, 2 },
		{ "garbage\r\n\r\n", THEN_CLOSE, 2 },
		{ "", THEN_SILENT, 2 },
		{ OK "Content-Length: 0\r\n\r\n", THEN_KEEP, 0 },
		{ "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", THEN_KEEP,
		  0 },
		{ "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", THEN_KEEP,
		  0 },
		{ OK "Content-Length: 9\r\n\r\nab", THEN_CLOSE, 1 },
	};

	setup.request_timeout_ms = 60;
	build();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture_answer a = { .raw = rows[i].raw,
			                    .then = rows[i].then };

		board->backends[1].call_failures = 1;
		play(&a);
		run(false);
		cr_expect_eq(board->backends[1].call_failures, rows[i].failures,
		             "row %zu: %u", i,
		             board->backends[1].call_failures);
	}
}
