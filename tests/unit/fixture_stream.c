#include "tests/unit/fixture_stream.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/crypto.h"
#include "lib/value.h"

#define TOOL     "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}},"
#define PROMPT   "{\"name\":\"p\"},"
#define ONE(uri) "{\"uri\":\"" uri "\",\"name\":\"" uri "\"},"
#define ALL(uri) ONE(uri ":1") ONE(uri ":2")
#define ANY(uri) "{\"uriTemplate\":\"" uri ":t/{n}\",\"name\":\"" uri "\"},"
#define STREAM                                                   \
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" \
	"Connection: close\r\n\r\n"
#define PLAYED 16 /* streams that a backend plays in one test */

struct fixture_stream fixture_stream;

/* ---- the worker ---- */

/* One that sorts first moves the others. */
static struct ref scopes(struct builder *b)
{
	const char *const texts[] = { fixture_stream.new_scope, "a", "b" };
	struct ref names[ARRAY_LEN(texts)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i])
			names[n++] = builder_text(b, span_str(texts[i]));
	return builder_array(b, names, n, sizeof(names[0]));
}

static struct token_row token(struct builder *b, const char *name, bool both)
{
	struct token_row row = { .client_id = builder_text(b, span_str(name)) };
	unsigned first = fixture_stream.new_scope ? 1 : 0;

	crypto_sha256(span_str(name), row.hash);
	if (both)
		scope_set_add(&row.scopes, first);
	scope_set_add(&row.scopes, first + 1);
	return row;
}

static void more(struct builder *b)
{
	struct token_row tokens[] = { token(b, "ann", true),
		                      token(b, "bob", false) };
	struct peer peer = { .port = fixture_stream.peer_port };
	struct ref r = scopes(b);

	builder_header(b)->scopes = r;
	cr_assert(ip_parse(SPAN("127.0.0.1"), &peer.address));
	r = builder_array(b, &peer, peer.port ? 1 : 0, sizeof(peer));
	builder_header(b)->peers = r;
	r = builder_array(b, tokens, fixture_stream.without_bob ? 1 : 2,
	                  sizeof(tokens[0]));
	builder_header(b)->tokens = r;
	builder_header(b)->config_generation = fixture_stream.generation;
}

void fixture_stream_build(void)
{
	struct fixture_stream *f = &fixture_stream;
	struct snapshot *snap =
		fixture_snapshot(f->setups, VIEWS, &f->settings, more);

	if (f->w)
		fixture_worker_adopt(f->w, snap);
	else
		f->w = fixture_worker_new(snap);
}

static void set_up(struct fixture_stream *f)
{
	f->setups[VIEW_LEGACY] = (struct fixture_setup){
		.name = "old",
		.eras = ERA_LEGACY,
		.subscribe = true,
		.items = { [VIEW_LEGACY] = { [LIST_RESOURCES] = ALL("old"),
		                             [LIST_TEMPLATES] = ANY("old") } },
	};
	f->setups[VIEW_MODERN] = (struct fixture_setup){
		.name = "new",
		.eras = ERA_MODERN,
		.subscribe = true,
		.extensions = { [VIEW_MODERN] = "{\"io.modelcontextprotocol/"
		                                "tasks\":{}}" },
		.items = { [VIEW_MODERN] = { [LIST_TOOLS] = TOOL,
		                             [LIST_PROMPTS] = PROMPT,
		                             [LIST_RESOURCES] = ALL("new"),
		                             [LIST_TEMPLATES] = ANY("new") } },
	};
}

/* The legacy backend says yes to everything. */
static void play(struct fixture_stream *f)
{
	static const struct fixture_answer yes = {
		.body = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}"
	};
	static const struct fixture_answer stream = { .raw = STREAM,
		                                      .then = THEN_SILENT };

	fixture_server_legacy(f->servers[VIEW_LEGACY], true);
	fixture_server_play(f->servers[VIEW_LEGACY], &yes, 1);
	fixture_server_play_get(f->servers[VIEW_LEGACY], &stream);
	fixture_play_stream("");
}

void fixture_stream_start(void)
{
	struct fixture_stream *f = &fixture_stream;

	cr_assert_eq(crypto_init(), 0);
	fixture_settings(&f->settings);
	f->settings.auth_enabled = 0;
	f->settings.breaker_failures = 100000;
	f->generation = 1;
	set_up(f);
	fixture_stream_build();
	for (size_t i = 0; i < VIEWS; i++) {
		f->servers[i] = fixture_server_new(f->w->loop);
		f->setups[i].port = fixture_server_port(f->servers[i]);
	}
	play(f);
	fixture_stream_build();
	for (size_t i = 0; i < FIXTURE_CALLERS; i++)
		fixture_call(&f->callers[i], f->w);
}

void fixture_stream_stop(void)
{
	struct fixture_stream *f = &fixture_stream;

	for (size_t i = 0; i < FIXTURE_CALLERS; i++)
		fixture_hang_up(&f->callers[i]);
	fixture_await_streams(0);
	for (size_t i = 0; i < VIEWS; i++)
		fixture_server_free(f->servers[i]);
	fixture_worker_free(f->w);
}

static bool as_many(void *arg)
{
	return count_read(&fixture_stream.w->me->streams_open) ==
	       *(uint64_t *)arg;
}

void fixture_await_streams(uint64_t n)
{
	cr_assert(fixture_run(fixture_stream.w->loop, as_many, &n),
	          "%llu streams, not %llu",
	          (unsigned long long)count_read(
			  &fixture_stream.w->me->streams_open),
	          (unsigned long long)n);
}

/* ---- requests ---- */

static void say_anew(struct fixture_caller *c, const char *text)
{
	fixture_hang_up(c);
	fixture_call(c, fixture_stream.w);
	fixture_say(c, span_str(text), 0);
}

void fixture_listen(struct fixture_caller *c, const char *fields,
                    const char *id, const char *params,
                    const char *capabilities)
{
	char *text, *body, *all;

	cr_assert_gt(asprintf(&all,
	                      "%sMCP-Protocol-Version: 2026-07-28\r\n"
	                      "Mcp-Method: subscriptions/listen\r\n%s",
	                      fields,
	                      strstr(fields, "Accept:")
	                              ? ""
	                              : "Accept: application/json, "
	                                "text/event-stream\r\n"),
	             0);
	cr_assert_gt(
		asprintf(&body,
	                 "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":"
	                 "\"subscriptions/listen\",\"params\":{%s%s\"_meta\":{"
	                 "\"io.modelcontextprotocol/protocolVersion\":"
	                 "\"2026-07-28\","
	                 "\"io.modelcontextprotocol/clientCapabilities\":{%s}"
	                 "}}}",
	                 id, params, *params ? "," : "", capabilities),
		0);
	text = fixture_post(all, body);
	say_anew(c, text);
	free(text);
	free(body);
	free(all);
}

/* These lines, and that of the session. */
static char *with_session(const char *fields, const char *session)
{
	char *text;

	cr_assert_geq(asprintf(&text, "%s%s%s%s", fields,
	                       session ? "Mcp-Session-Id: " : "",
	                       session ? session : "", session ? "\r\n" : ""),
	              0);
	return text;
}

void fixture_get(struct fixture_caller *c, const char *fields,
                 const char *session)
{
	char *text, *all = with_session(fields, session);

	cr_assert_gt(asprintf(&text,
	                      "GET /mcp HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
	                      all),
	             0);
	say_anew(c, text);
	free(text);
	free(all);
}

void fixture_tell(struct fixture_caller *c, const char *fields,
                  const char *session, const char *body)
{
	char *all = with_session(fields, session);
	char *text = fixture_post(all, body);

	say_anew(c, text);
	free(text);
	free(all);
}

char *fixture_session(const char *fields)
{
	static const char mark[] = "Mcp-Session-Id: ";
	struct fixture_caller c;
	struct span head;
	const char *at;
	char *id;

	fixture_call(&c, fixture_stream.w);
	fixture_tell(&c, fields, NULL,
	             "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\","
	             "\"params\":{\"protocolVersion\":\"2025-11-25\","
	             "\"capabilities\":{},\"clientInfo\":{\"name\":\"x\","
	             "\"version\":\"1\"}}}");
	fixture_await(&c, 1);
	head = fixture_answer_head(&c, 0);
	at = memmem(head.at, head.len, mark, strlen(mark));
	cr_assert_not_null(at, "%.*s", SPAN_ARG(head));
	head = span_from(head, (size_t)(at - head.at) + strlen(mark));
	id = strndup(head.at, span_find(head, '\r'));
	fixture_hang_up(&c);
	return id;
}

uint64_t fixture_session_hash(const char *session)
{
	return crypto_siphash(fixture_stream.w->snap->head->cache_key,
	                      span_str(session));
}

void fixture_expect_refusal(struct fixture_caller *c, int status, int code,
                            const char *text, const char *id)
{
	struct buf want = { .max = 4096 };
	struct span got;

	buf_puts(&want, "{\"jsonrpc\":\"2.0\"");
	if (id)
		buf_addf(&want, ",\"id\":%s", id);
	buf_addf(&want, ",\"error\":{\"code\":%d,\"message\":", code);
	buf_add_json(&want, span_str(text));
	buf_puts(&want, "}}");
	fixture_await(c, 1);
	got = fixture_answer_body(c, 0);
	cr_expect(span_eq(got, buf_span(&want)), "%.*s\nis not\n%.*s",
	          SPAN_ARG(got), SPAN_ARG(buf_span(&want)));
	cr_expect_eq(fixture_status(c, 0), status, "%d: %s",
	             fixture_status(c, 0), text);
	cr_expect_eq(fixture_has_line(c, 0, "Retry-After: 1"), status == 503);
	buf_free(&want);
}

/* ---- streams ---- */

/* Take the next event off the front; what is between events is comments. */
static bool take_event(struct span *in, struct span *data)
{
	while (span_starts(*in, SPAN(":\n\n")))
		*in = span_from(*in, 3);
	return fixture_next_event(in, data);
}

size_t fixture_events(const struct fixture_caller *c)
{
	struct span in = fixture_body_so_far(c), data;
	size_t n = 0;

	while (take_event(&in, &data))
		n++;
	return n;
}

struct span fixture_event(const struct fixture_caller *c, size_t n)
{
	struct span in = fixture_body_so_far(c), data = { NULL, 0 };

	for (size_t i = 0; i <= n; i++)
		if (!take_event(&in, &data))
			return span_of("", 0);
	return data;
}

struct awaited {
	const struct fixture_caller *c;
	size_t n;
};

static bool is_there(void *arg)
{
	struct awaited *a = arg;

	return fixture_events(a->c) > a->n;
}

void fixture_expect_event(struct fixture_caller *c, size_t n, const char *data)
{
	struct awaited a = { c, n };
	struct span got;

	cr_assert(fixture_run(c->w->loop, is_there, &a), "no event %zu: %s", n,
	          data);
	got = fixture_event(c, n);
	cr_expect(span_eq(got, span_str(data)), "%.*s\nis not\n%s",
	          SPAN_ARG(got), data);
}

/* ---- backends ---- */

void fixture_play_stream(const char *filter)
{
	static struct fixture_answer answers[PLAYED];
	static char texts[PLAYED][16384];
	static size_t n;

	cr_assert_lt(n, (size_t)PLAYED);
	snprintf(texts[n], sizeof(texts[n]),
	         STREAM "data: " FIXTURE_ACKED("1", "%s") "\n\n", filter);
	answers[n] =
		(struct fixture_answer){ .raw = texts[n], .then = THEN_SILENT };
	fixture_server_play(fixture_stream.servers[VIEW_MODERN], &answers[n++],
	                    1);
}

void fixture_server_tell(enum view_era server, const char *json)
{
	char *text;

	cr_assert_gt(asprintf(&text, "data: %s\n\n", json), 0);
	fixture_server_say(fixture_stream.servers[server], text);
	free(text);
}
