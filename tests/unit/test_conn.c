#include "worker/conn.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "tests/unit/fixture_worker.h"

#define ITEM(name) \
	"{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}},"
#define PING(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"ping\"}"
#define PONG(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":{}}"
#define CALL(id)                                                        \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\"," \
	"\"params\":{\"name\":\"b_t\"}}"
#define LIST(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/list\"}"

static struct settings settings;
static struct worker *w;
static struct fixture_caller caller;
static struct fixture_setup setup;

static void build(void)
{
	fixture_worker_build(&w, fixture_snapshot(&setup, 1, &settings, NULL));
}

static void begin(void)
{
	fixture_settings(&settings);
	settings.auth_enabled = 0;
	setup = (struct fixture_setup){
		.name = "b",
		.flags = BACKEND_NAMESPACE,
		.eras = ERA_MODERN,
		.items = { [VIEW_MODERN] = { ITEM("t") } },
	};
	build();
	fixture_call(&caller, w);
}

static void end(void)
{
	fixture_hang_up(&caller);
	fixture_worker_free(w);
}

TestSuite(conn, .init = begin, .fini = end, .timeout = 120);

static void say(const char *text)
{
	fixture_say(&caller, span_str(text), 0);
}

static void again(void)
{
	fixture_hang_up(&caller);
	fixture_call(&caller, w);
}

static void expect(size_t n, int status, const char *body)
{
	struct span got = fixture_answer_body(&caller, n);

	cr_assert_eq(fixture_status(&caller, n), status, "answer %zu: %d %.*s",
	             n, fixture_status(&caller, n), SPAN_ARG(got));
	if (body)
		cr_assert(span_is(fixture_answer_body(&caller, n), body),
		          "answer %zu: %.*s", n,
		          SPAN_ARG(fixture_answer_body(&caller, n)));
}

/* ---- pieces ---- */

static void cut_everywhere(const char *text, size_t answers,
                           const char *const bodies[])
{
	size_t len = strlen(text);

	for (size_t cut = 1; cut <= len; cut++) {
		again();
		fixture_say(&caller, span_of(text, cut), 0);
		fixture_pause(w->loop, 0);
		fixture_say(&caller, span_of(text + cut, len - cut), 0);
		fixture_await(&caller, answers);
		for (size_t i = 0; i < answers; i++)
			expect(i, 200, bodies[i]);
		cr_assert_not(caller.closed);
	}
	again();
	fixture_say(&caller, span_of(text, len), 1);
	fixture_await(&caller, answers);
	for (size_t i = 0; i < answers; i++)
		expect(i, 200, bodies[i]);
}

Test(conn, a_request_cut_at_every_byte)
{
	static const char *const bodies[] = { PONG("1") };
	char *plain = fixture_post("", PING("1"));
	char *chunked = fixture_post_chunked("", PING("1"));

	cut_everywhere(plain, 1, bodies);
	cut_everywhere(chunked, 1, bodies);
	free(plain);
	free(chunked);
}

Test(conn, pipelined_requests_cut_at_every_byte)
{
	static const char *const bodies[] = { PONG("1"), PONG("2"), PONG("3"),
		                              PONG("\"4\"") };
	char *a = fixture_post("", PING("1"));
	char *b = fixture_post_chunked("", PING("2"));
	char *c = fixture_post_chunked("Connection: keep-alive\r\n", PING("3"));
	char *d = fixture_post("", PING("\"4\""));
	char *all;

	cr_assert_gt(asprintf(&all, "%s%s%s\r\n%s", a, b, c, d), 0);
	cut_everywhere(all, 4, bodies);
	free(a);
	free(b);
	free(c);
	free(d);
	free(all);
}

Test(conn, answers_come_in_the_order_of_the_requests)
{
	static const struct fixture_answer slow = {
		.body = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}",
		.piece = 10
	};
	struct fixture_server *server = fixture_server_new(w->loop);
	char *call = fixture_post("", CALL("1"));
	char *ping = fixture_post("", PING("2"));

	setup.port = fixture_server_port(server);
	build();
	fixture_server_play(server, &slow, 1);
	for (size_t i = 0; i < 20; i++)
		say(i % 2 ? ping : call);
	fixture_await(&caller, 20);
	for (size_t i = 0; i < 20; i++)
		expect(i, 200, i % 2 ? PONG("2") : PONG("1"));
	fixture_server_free(server);
	free(call);
	free(ping);
}

/* ---- a client that does not read ---- */

/* What waits for it must not grow with every request that it sends ahead. */
Test(conn, pipelining_without_reading_is_bounded)
{
	struct buf many = { .max = 1 << 24 };
	char *ping = fixture_post("", PING("1"));
	char *items, *list;
	size_t held = 0, n = 300;

	for (int i = 0; i < 2000; i++)
		buf_addf(&many, ITEM("tool_with_a_rather_long_name_%d"), i);
	buf_putc(&many, '\0');
	items = strdup(many.bytes);
	setup.items[VIEW_MODERN][LIST_TOOLS] = items;
	build();
	list = fixture_post("", LIST("1"));
	buf_reset(&many);
	for (size_t i = 0; i < n; i++)
		buf_puts(&many, i % 10 ? list : ping);
	caller.deaf = true;
	for (size_t sent = 0; sent < many.len;) {
		ssize_t k = send(caller.src.fd, many.bytes + sent,
		                 many.len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		fixture_pause(w->loop, 2);
		cr_assert_not_null(w->conns);
		held = MAX(held, w->conns->out.len + w->conns->in.len);
		if (k <= 0)
			break; /* it reads no more: good */
		sent += (size_t)k;
	}
	cr_expect_lt(held, 2u << 20, "%zu bytes are held for one client", held);
	/* All of it comes when the client reads. */
	caller.deaf = false;
	loop_set(w->loop, &caller.src, EPOLLIN);
	fixture_await(&caller, 50);
	for (size_t i = 0; i < 50; i++)
		expect(i, 200, i % 10 ? NULL : PONG("1"));
	buf_free(&many);
	free(items);
	free(list);
	free(ping);
}

/* A request that came with the one before is not forgotten when the answer to
 * that does not go out at once. */
Test(conn, what_was_sent_ahead_is_served_when_the_answer_is_out)
{
	struct buf many = { .max = 1 << 24 };
	char *ping = fixture_post("", PING("2")), *list, *items;

	for (int i = 0; i < 9000; i++)
		buf_addf(&many, ITEM("tool_with_a_rather_long_name_%d"), i);
	buf_putc(&many, '\0');
	items = many.bytes;
	settings.list_page_size = 10000;
	setup.items[VIEW_MODERN][LIST_TOOLS] = items;
	build();
	list = fixture_post("", LIST("1"));
	caller.deaf = true;
	say(list);
	say(ping);
	fixture_pause(w->loop, 20);
	caller.deaf = false;
	loop_set(w->loop, &caller.src, EPOLLIN);
	fixture_await(&caller, 2);
	expect(0, 200, NULL);
	expect(1, 200, PONG("2"));
	buf_free(&many);
	free(list);
	free(ping);
}

Test(conn, a_client_that_takes_nothing_is_cut)
{
	struct buf many = { .max = 1 << 24 };
	char *list = fixture_post("", LIST("1"));

	for (int i = 0; i < 9000; i++)
		buf_addf(&many, ITEM("tool_with_a_rather_long_name_%d"), i);
	buf_putc(&many, '\0');
	setup.items[VIEW_MODERN][LIST_TOOLS] = many.bytes;
	settings.list_page_size = 10000;
	settings.limits_write_timeout = 100;
	build();
	caller.deaf = true;
	say(list);
	fixture_pause(w->loop, 50);
	cr_expect_eq(w->n_conns, 1u);
	fixture_pause(w->loop, 150);
	cr_expect_eq(w->n_conns, 0u);
	buf_free(&many);
	free(list);
}

/* ---- limits and refusals ---- */

#define POST "POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
#define TYPE "Content-Type: application/json\r\n"

static const struct {
	const char *text;
	int status;
} refusals[] = {
	/* framing that two readers could read in two ways */
	{ POST TYPE "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
	  400 },
	{ POST TYPE "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
	            "0\r\n\r\n",
	  400 },
	{ POST TYPE "Content-Length: +5\r\n\r\nabcde", 400 },
	{ POST TYPE "Content-Length: 5, 5\r\n\r\nabcde", 400 },
	{ POST TYPE "Content-Length: -1\r\n\r\n", 400 },
	{ POST TYPE "Transfer-Encoding: identity\r\n\r\n", 400 },
	{ POST TYPE "Transfer-Encoding: chunked, chunked\r\n\r\n", 400 },
	{ POST TYPE "Transfer-Encoding : chunked\r\n\r\n", 400 },
	{ POST TYPE
	  "Transfer-Encoding: chunked\r\n\r\n5 \r\nabcde\r\n0\r\n\r\n",
	  400 },
	{ POST TYPE "Transfer-Encoding: chunked\r\n\r\n-5\r\n", 400 },
	{ POST TYPE "Transfer-Encoding: chunked\r\n\r\n5\nabcde\n0\n\n", 400 },
	{ POST TYPE "X: a\r\n b\r\n\r\n", 400 },
	{ POST TYPE "X: a\rb\r\n\r\n", 400 },
	{ "POST /mcp HTTP/1.1\nHost: localhost\n\n", 400 },
	{ "POST /mcp HTTP/1.1\r\n\r\n", 400 },
	{ POST "Host: localhost\r\n\r\n", 400 },
	{ "POST http://evil/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n", 400 },
	{ "POST mcp HTTP/1.1\r\nHost: localhost\r\n\r\n", 400 },
	{ "POST /mcp HTTP/2.0\r\nHost: localhost\r\n\r\n", 505 },
	{ "nonsense\r\n\r\n", 400 },
	/* sizes */
	{ POST TYPE "Content-Length: 4194305\r\n\r\n", 413 },
	{ POST TYPE "Content-Length: 99999999999999999999\r\n\r\n", 400 },
	{ POST TYPE "Transfer-Encoding: chunked\r\n\r\n400001\r\n", 413 },
};

Test(conn, what_is_refused_ends_the_connection)
{
	char *ping = fixture_post("", PING("7"));

	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		int status;

		again();
		say(refusals[i].text);
		say(ping); /* nothing behind it is read as a request */
		cr_assert(fixture_await_end(&caller), "row %zu", i);
		status = fixture_status(&caller, 0);
		if (status != refusals[i].status)
			cr_expect_eq(status, refusals[i].status, "row %zu: %d",
			             i, status);
		cr_expect_eq(fixture_answers(&caller), 1u, "row %zu", i);
		cr_expect(fixture_has_line(&caller, 0, "Connection: close"),
		          "row %zu", i);
		cr_expect_not(caller.reset, "row %zu", i);
	}
	free(ping);
}

Test(conn, heads_have_limits)
{
	struct buf text = { .max = 1 << 20 };

	buf_puts(&text, POST "X: ");
	while (text.len < 20000)
		buf_putc(&text, 'a');
	buf_puts(&text, "\r\n\r\n");
	fixture_say(&caller, buf_span(&text), 0);
	fixture_await(&caller, 1);
	expect(0, 431, NULL);

	again();
	buf_reset(&text);
	buf_puts(&text, POST);
	for (int i = 0; i < 101; i++)
		buf_puts(&text, "X: a\r\n");
	buf_puts(&text, "\r\n");
	fixture_say(&caller, buf_span(&text), 0);
	fixture_await(&caller, 1);
	expect(0, 431, NULL);

	again();
	buf_reset(&text);
	buf_puts(&text, "GET /");
	while (text.len < 9000)
		buf_putc(&text, 'a');
	buf_puts(&text, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
	fixture_say(&caller, buf_span(&text), 0);
	fixture_await(&caller, 1);
	expect(0, 414, NULL);
	buf_free(&text);
}

/* The answer arrives though the client goes on sending. */
Test(conn, a_refused_client_that_goes_on_sending_gets_its_answer)
{
	struct buf text = { .max = 1 << 24 };

	buf_puts(&text, POST TYPE "Content-Length: 5000000\r\n\r\n");
	while (text.len < 400000)
		buf_puts(&text, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	fixture_say(&caller, buf_span(&text), 10000);
	fixture_await(&caller, 1);
	expect(0, 413, NULL);
	cr_expect(fixture_await_end(&caller));
	cr_expect_not(caller.reset);
	buf_free(&text);
}

/* ---- how long a connection lives ---- */

static const struct {
	const char *text;
	bool stays;
	const char *line; /* of the answer; NULL: none in particular */
} lives[] = {
	{ "GET /health HTTP/1.1\r\nHost: h\r\n\r\n", true, NULL },
	{ "GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false,
	  "Connection: close" },
	{ "GET /health HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n",
	  false, "Connection: close" },
	{ "GET /health HTTP/1.0\r\n\r\n", false, "Connection: close" },
	{ "GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true,
	  "Connection: keep-alive" },
	{ "HEAD /health HTTP/1.0\r\n\r\n", false, "Connection: close" },
};

Test(conn, keep_alive)
{
	for (size_t i = 0; i < ARRAY_LEN(lives); i++) {
		again();
		say(lives[i].text);
		fixture_pause(w->loop, 5);
		if (lives[i].line)
			cr_expect(memmem(caller.in.bytes, caller.in.len,
			                 lives[i].line, strlen(lives[i].line)),
			          "row %zu: %.*s", i,
			          SPAN_ARG(buf_span(&caller.in)));
		cr_expect(span_starts(buf_span(&caller.in),
		                      SPAN("HTTP/1.1 200 OK\r\n")));
		cr_expect_eq(caller.closed, !lives[i].stays, "row %zu", i);
	}
}

Test(conn, a_connection_may_have_so_many_requests)
{
	char *ping = fixture_post("", PING("1"));

	settings.limits_requests_per_connection = 3;
	build();
	for (int i = 0; i < 5; i++)
		say(ping);
	cr_expect(fixture_await_end(&caller));
	cr_expect_eq(fixture_answers(&caller), 3u);
	cr_expect_not(fixture_has_line(&caller, 1, "Connection: close"));
	cr_expect(fixture_has_line(&caller, 2, "Connection: close"));
	free(ping);
}

Test(conn, times)
{
	settings.limits_header_timeout = 100;
	settings.limits_body_timeout = 150;
	settings.limits_idle_timeout = 200;
	build();
	again();
	fixture_await_end(&caller);
	cr_expect_eq(caller.in.len, 0u); /* idle: no answer to nothing */

	again();
	say("POST /mcp HTTP/1.1\r\n");
	cr_expect(fixture_await_end(&caller));
	expect(0, 408, NULL);

	/* byte after byte does not help */
	again();
	fixture_say(&caller,
	            SPAN("GET /health HTTP/1.1\r\nHost: h\r\nX: aaaaa"
	                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
	            1);
	cr_expect(fixture_await_end(&caller));
	expect(0, 408, NULL);

	again();
	say(POST TYPE "Content-Length: 9\r\n\r\nabc");
	cr_expect(fixture_await_end(&caller));
	expect(0, 408, NULL);
	again();
	say(POST TYPE "Transfer-Encoding: chunked\r\n\r\n9\r\nabc");
	cr_expect(fixture_await_end(&caller));
	expect(0, 408, NULL);
}

/* ---- Expect: 100-continue ---- */

Test(conn, continue_only_for_a_request_that_is_let_through)
{
	say(POST TYPE "Expect: 100-continue\r\nContent-Length: 40\r\n\r\n");
	fixture_await(&caller, 1);
	expect(0, 100, NULL);
	say("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}");
	fixture_await(&caller, 2);
	expect(1, 200, PONG("1"));

	again();
	say(POST TYPE
	    "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
	fixture_await(&caller, 1);
	expect(0, 100, NULL);
	say("28\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r\n"
	    "0\r\n\r\n");
	fixture_await(&caller, 2);
	expect(1, 200, PONG("1"));

	again();
	say("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/x\r\n"
	    "Expect: 100-continue\r\nContent-Length: 40\r\n\r\n");
	cr_expect(fixture_await_end(&caller));
	expect(0, 415, NULL);

	again();
	say(POST TYPE "Expect: the-best\r\nContent-Length: 40\r\n\r\n");
	fixture_await(&caller, 1);
	expect(0, 417, NULL);
}

/* ---- how many ---- */

Test(conn, connections_have_a_limit)
{
	struct fixture_caller second;

	settings.limits_connections = 1;
	build();
	fixture_call(&second, w);
	cr_expect(fixture_await_end(&second));
	cr_expect_eq(fixture_status(&second, 0), 503);
	cr_expect(fixture_has_line(&second, 0, "Retry-After: 1"));
	fixture_hang_up(&second);
	say("GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
	fixture_await(&caller, 1);
	expect(0, 200, NULL);
}

Test(conn, connections_of_one_address_have_a_limit)
{
	struct fixture_caller others[3];

	fixture_hang_up(&caller);
	settings.limits_connections_per_address = 2;
	build();
	for (size_t i = 0; i < 3; i++)
		fixture_call(&others[i], w);
	cr_expect(fixture_await_end(&others[2]));
	cr_expect_eq(fixture_status(&others[2], 0), 429);
	fixture_hang_up(&others[0]);
	fixture_pause(w->loop, 2);
	fixture_call(&caller, w); /* its place is free again */
	say("GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
	fixture_await(&caller, 1);
	expect(0, 200, NULL);
	fixture_hang_up(&others[1]);
	fixture_hang_up(&others[2]);
}

/* ---- ends ---- */

Test(conn, a_client_that_leaves_cancels_its_call)
{
	static const struct fixture_answer silent = { .raw = "",
		                                      .then = THEN_SILENT };
	struct fixture_server *server = fixture_server_new(w->loop);
	char *call = fixture_post("", CALL("1"));

	setup.port = fixture_server_port(server);
	build();
	fixture_server_play(server, &silent, 1);
	say(call);
	fixture_server_await(server, "tools/call", 1);
	cr_expect_eq(fixture_server_open(server), 1u);
	again();
	while (fixture_server_open(server))
		fixture_pause(w->loop, 1);
	cr_expect_eq(w->n_conns, 1u);
	fixture_server_free(server);
	free(call);
}

/* A large answer that breaks half-way is not ended as if it were whole. */
Test(conn, half_an_answer_is_seen_as_half)
{
	struct fixture_server *server = fixture_server_new(w->loop);
	struct fixture_answer a = { .then = THEN_CLOSE };
	struct buf text = { .max = 1 << 24 };
	char *call = fixture_post("", CALL("1"));

	buf_puts(&text, "HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n"
	                "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"a\":\"");
	while (text.len < 1000000)
		buf_putc(&text, 'a');
	buf_putc(&text, '\0');
	a.raw = text.bytes;
	setup.port = fixture_server_port(server);
	build();
	fixture_server_play(server, &a, 1);
	say(call);
	cr_expect(fixture_await_end(&caller));
	cr_expect_eq(fixture_answers(&caller), 0u);
	cr_expect_gt(caller.in.len, 300000u);
	fixture_server_free(server);
	buf_free(&text);
	free(call);
}

/* A slow client slows its backend, and gets everything in the end. */
Test(conn, back_pressure)
{
	struct fixture_server *server = fixture_server_new(w->loop);
	struct fixture_answer a = { 0 };
	struct buf text = { .max = 1 << 26 };
	char *call = fixture_post("", CALL("1"));
	char *ping = fixture_post("", PING("2"));

	buf_puts(&text, "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"a\":\"");
	while (text.len < 24u << 20)
		buf_puts(&text, "0123456789abcdef");
	buf_puts(&text, "\"}}");
	buf_putc(&text, '\0');
	a.body = text.bytes;
	setup.port = fixture_server_port(server);
	build();
	fixture_server_play(server, &a, 1);
	caller.deaf = true;
	say(call);
	say(ping); /* waits, and is not forgotten */
	fixture_pause(w->loop, 300);
	cr_expect_lt(w->conns->out.len, 1u << 20, "%zu", w->conns->out.len);
	caller.deaf = false;
	loop_set(w->loop, &caller.src, EPOLLIN);
	while (!caller.closed && caller.in.len < text.len)
		fixture_pause(w->loop, 20);
	fixture_await(&caller, 2);
	cr_expect_eq(fixture_status(&caller, 0), 200);
	expect(1, 200, PONG("2"));
	free(ping);
	fixture_server_free(server);
	buf_free(&text);
	free(call);
}
