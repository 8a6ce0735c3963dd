#include "proxy/relay.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/value.h"
#include "tests/unit/fixture_proxy.h"

/*
 * Answers are fed to the relay's callbacks, without a network: the backend has
 * no address, so its exchange stays at its beginning until it is cancelled.
 */
#define ITEM(name) \
	"{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}},"

static const struct fixture_setup setup = {
	.name = "b",
	.flags = BACKEND_NAMESPACE,
	.eras = ERA_MODERN,
	.items = { [VIEW_MODERN] = {
			   [LIST_TOOLS] = ITEM("t"),
			   [LIST_PROMPTS] = "{\"name\":\"p\"},",
			   [LIST_RESOURCES] =
				   "{\"uri\":\"x://r\",\"name\":\"r\"},",
		   } },
};

static struct snapshot *snap;
static struct proxy proxy;
static struct call call;
static struct fixture_client client;

static void begin(void)
{
	struct settings settings;

	fixture_settings(&settings);
	settings.breaker_failures = 1000;
	snap = fixture_snapshot(&setup, 1, &settings, NULL);
	fixture_proxy_begin(&proxy);
	proxy.next_id = 40;
}

static void end(void)
{
	struct buf *bufs[] = { &call.body,      &call.fields,
		               &call.client_id, &call.client_token,
		               &call.in,        &call.out };

	fixture_pause(proxy.loop, 5); /* small messages that were posted */
	call_fini(&call);
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_free(bufs[i]);
	fixture_client_free(&client);
	fixture_proxy_end(&proxy);
	snapshot_unref(snap);
}

TestSuite(relay, .init = begin, .fini = end);

enum verb { TOOL, PROMPT, READ };

static const struct {
	const char *method, *name, *params;
} verbs[] = {
	[TOOL] = { "tools/call", "b_t", "\"name\":\"b_t\"" },
	[PROMPT] = { "prompts/get", "b_p", "\"name\":\"b_p\"" },
	[READ] = { "resources/read", "x://b/r", "\"uri\":\"x://b/r\"" },
};

/* Which answers the client takes. */
enum takes { JSON = 1, EVENTS = 2, BOTH = 3 };

#define TOKEN "\"progressToken\":\"pt\""
#define LOG   "\"io.modelcontextprotocol/logLevel\":\"warning\""

static void start(enum view_era from, enum view_era to, enum verb verb,
                  enum takes takes, const char *meta)
{
	struct h1_request request;
	struct message msg;
	struct route route;
	struct problem why;

	fixture_ask(from, "\"c1\"", verbs[verb].method, verbs[verb].name,
	            verbs[verb].params, meta, &request, &msg);
	cr_assert(route_find(snap, &msg, &route, &why), "%s", why.text);
	fixture_client_free(&client);
	fixture_client_init(&client, takes & JSON, takes & EVENTS);
	call.proxy = &proxy;
	call.reply = &client.reply;
	call.snap = snap;
	call_fini(&call);
	call_start(&call, &msg, &request.head, &route);
	call.server = to;
	cr_assert(exchange_running(&call.x));
}

/* The backend's words, with the id and the token it was given. */
static struct span words(const char *text, struct buf *out)
{
	for (; *text; text++) {
		if (*text == '$') {
			buf_add_u64(out, call.id);
			continue;
		}
		buf_putc(out, *text);
	}
	return buf_span(out);
}

/* Feed body in pieces that end at cut, and then every step bytes. */
static void feed(int status, struct span body, bool length, size_t cut,
                 size_t step)
{
	struct exchange_head head = { .status = status,
		                      .has_length = length,
		                      .length = length ? body.len : 0 };
	size_t n = cut ? cut : body.len;

	relay_ops.head(&call.x, &head);
	while (call.running && body.len) {
		n = MIN(n, body.len);
		/* Its own memory: nothing behind the piece may be read. */
		char *piece = malloc(n);
		memcpy(piece, body.at, n);
		relay_ops.body(&call.x, span_of(piece, n));
		free(piece);
		body = span_from(body, n);
		n = step ? step : body.len;
	}
	if (!call.running || !exchange_running(&call.x))
		return;
	exchange_cancel(&call.x);
	relay_ops.end(&call.x, EXCHANGE_COMPLETE, "");
}

#define TO(result)   "{\"jsonrpc\":\"2.0\",\"id\":\"c1\",\"result\":" result "}"
#define FROM(result) "{\"jsonrpc\":\"2.0\",\"id\":$,\"result\":" result "}"
#define FAULT(id, code, more)                                          \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" code \
	",\"message\":\"m\"" more "}}"
#define EVENT(data) "event: message\ndata: " data "\n\n"
#define DATA(data)  "data: " data "\n\n"
#define PROGRESS(token, n)                                            \
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"," \
	"\"params\":{\"progressToken\":" token ",\"progress\":" n "}}"
#define LOGGED(level)                                                \
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"," \
	"\"params\":{\"level\":\"" level "\",\"data\":\"d\"}}"
#define DONE "\"resultType\":\"complete\""

struct row {
	enum view_era from, to;
	enum verb verb;
	enum takes takes;
	const char *meta;
	int status; /* of the backend; 0: 200 */
	const char *body;
	int code;         /* not 0: an error with this code and this ... */
	int http;         /* ... status of HTTP, 0: 200; else: */
	const char *text; /* exactly what the client gets */
};

#define M VIEW_MODERN
#define L VIEW_LEGACY

static const struct row rows[] = {
	/* results, as they are and with what an era wants */
	{ M, M, TOOL, BOTH, "", 0, FROM("{" DONE ",\"content\":[]}"), 0, 0,
	  TO("{" DONE ",\"content\":[]}") },
	{ M, M, TOOL, BOTH, "", 0, FROM("{\"content\":[ ]}"), 0, 0,
	  TO("{\"content\":[ ]," DONE "}") },
	{ M, M, TOOL, BOTH, "", 0, FROM("{}"), 0, 0, TO("{" DONE "}") },
	{ M, L, TOOL, BOTH, "", 0, FROM("{ }"), 0, 0, TO("{ " DONE "}") },
	{ M, L, TOOL, BOTH, "", 0, FROM("{\"n\":9007199254740993.10}"), 0, 0,
	  TO("{\"n\":9007199254740993.10," DONE "}") },
	{ L, L, TOOL, BOTH, "", 0, FROM("{\"content\":[]}"), 0, 0,
	  TO("{\"content\":[]}") },
	{ L, M, TOOL, BOTH, "", 0,
	  FROM("{" DONE ",\"content\":[],\"ttlMs\":5,\"cacheScope\":"
	       "\"public\",\"x\":1}"),
	  0, 0, TO("{\"content\":[],\"x\":1}") },
	{ L, M, TOOL, BOTH, "", 0, FROM("{" DONE "}"), 0, 0, TO("{}") },
	{ M, M, READ, BOTH, "", 0, FROM("{\"contents\":[]}"), 0, 0,
	  TO("{\"contents\":[]," DONE
	     ",\"ttlMs\":0,\"cacheScope\":\"private\"}") },
	{ M, M, READ, BOTH, "", 0,
	  FROM("{" DONE ",\"ttlMs\":9,\"contents\":[]}"), 0, 0,
	  TO("{" DONE ",\"ttlMs\":9,\"contents\":[],"
	     "\"cacheScope\":\"private\"}") },
	{ M, M, READ, BOTH, "", 0,
	  FROM("{" DONE ",\"cacheScope\":\"public\",\"contents\":[]}"), 0, 0,
	  TO("{" DONE ",\"cacheScope\":\"public\",\"contents\":[],"
	     "\"ttlMs\":0}") },
	{ M, M, READ, BOTH, "", 0,
	  FROM("{\"ttlMs\":9,\"cacheScope\":\"public\",\"contents\":[]}"), 0, 0,
	  TO("{\"ttlMs\":9,\"cacheScope\":\"public\",\"contents\":[]," DONE
	     "}") },
	{ M, M, READ, BOTH, "", 0,
	  FROM("{\"resultType\":\"input_required\",\"inputRequests\":{}}"), 0,
	  0, TO("{\"resultType\":\"input_required\",\"inputRequests\":{}}") },
	/* URIs become public again */
	{ L, L, READ, BOTH, "", 0,
	  FROM("{\"contents\":[{\"uri\":\"x://r\",\"text\":\"a\"},"
	       "{\"text\":\"b\",\"uri\":\"x:\\/\\/s\"},7,{},{\"uri\":1}]}"),
	  0, 0,
	  TO("{\"contents\":[{\"uri\":\"x://b/r\",\"text\":\"a\"},"
	     "{\"text\":\"b\",\"uri\":\"x://b/s\"},7,{},{\"uri\":1}]}") },
	{ L, L, TOOL, BOTH, "", 0, FROM("{\"contents\":[{\"uri\":\"x://r\"}]}"),
	  0, 0, TO("{\"contents\":[{\"uri\":\"x://r\"}]}") },
	/* results that cannot be */
	{ M, M, TOOL, BOTH, "", 0, FROM("[]"), RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0, FROM("null"), RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0, FROM("{\"resultType\":\"task\"}"),
	  RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0, FROM("{\"resultType\":null}"), RPC_INTERNAL,
	  0, NULL },
	{ L, M, TOOL, BOTH, "", 0, FROM("{\"resultType\":\"input_required\"}"),
	  RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0,
	  FROM("{\"a\":1},\"error\":{\"code\":1,"
	       "\"message\":\"\"}"),
	  RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0, "{\"jsonrpc\":\"2.0\",\"id\":$}",
	  RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0, "{}", RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0, "[]", RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0, "[1]", RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0, "", RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0, " \r\n\t ", RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0, "<html>no</html>", RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0, "{\"id\":$,\"result\":{}", RPC_INTERNAL, 0,
	  NULL },
	{ M, M, TOOL, BOTH, "", 0, FROM("{}") "x", RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0, FROM("{}") FROM("{}"), RPC_INTERNAL, 0,
	  NULL },
	{ M, M, TOOL, BOTH, "", 0, FROM("{\"a\":\"\xff\"}"), RPC_INTERNAL, 0,
	  NULL },
	{ M, M, TOOL, BOTH, "", 0, FROM("{}},\"result\":{\"b\":1}"),
	  RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0,
	  "{\"jsonrpc\":\"2.0\",\"id\":$,\"Result\":{},\"result\":{}}",
	  RPC_INTERNAL, 0, NULL },
	/* the wrong id */
	{ M, M, TOOL, BOTH, "", 0,
	  "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", RPC_INTERNAL, 0,
	  NULL },
	{ M, M, TOOL, BOTH, "", 0,
	  "{\"jsonrpc\":\"2.0\",\"id\":\"$\",\"result\":{}}", RPC_INTERNAL, 0,
	  NULL },
	{ M, M, TOOL, BOTH, "", 0, "{\"jsonrpc\":\"2.0\",\"result\":{}}",
	  RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0, FAULT("1", "5", ""), RPC_INTERNAL, 0, NULL },
	/* errors; an unreadable request has no id */
	{ M, M, TOOL, BOTH, "", 0, FAULT("$", "5", ",\"data\":[1]"), 0, 0,
	  FAULT("\"c1\"", "5", ",\"data\":[1]") },
	{ M, M, TOOL, BOTH, "", 400, FAULT("null", "-32602", ""), 0, 0,
	  FAULT("\"c1\"", "-32602", "") },
	{ L, L, READ, BOTH, "", 0, FAULT("$", "-32002", ",\"data\":{}"), 0, 0,
	  FAULT("\"c1\"", "-32002", ",\"data\":{}") },
	{ M, L, READ, BOTH, "", 0, FAULT("$", "-32002", ",\"data\":{}"), 0, 0,
	  FAULT("\"c1\"", "-32602", ",\"data\":{}") },
	{ M, L, TOOL, BOTH, "", 0, FAULT("$", "-32000", ""), 0, 0,
	  FAULT("\"c1\"", "-32603", "") },
	{ L, L, TOOL, BOTH, "", 0, FAULT("$", "-32000", ""), 0, 0,
	  FAULT("\"c1\"", "-32000", "") },
	{ M, M, TOOL, BOTH, "", 0, FAULT("$", "-32601", ""), RPC_NO_METHOD, 404,
	  NULL },
	{ L, M, TOOL, BOTH, "", 404, FAULT("$", "-32601", ""), RPC_NO_METHOD, 0,
	  NULL },
	{ M, M, TOOL, BOTH, "", 400, FAULT("$", "-32021", ""),
	  RPC_MISSING_CAPABILITY, 400, NULL },
	{ L, M, TOOL, BOTH, "", 400, FAULT("$", "-32021", ""), RPC_INTERNAL, 0,
	  NULL },
	{ M, M, TOOL, BOTH, "", 400, FAULT("$", "-32020", ""), RPC_INTERNAL, 0,
	  NULL },
	{ M, M, TOOL, BOTH, "", 400, FAULT("$", "-32022", ""), RPC_INTERNAL, 0,
	  NULL },
	{ M, L, TOOL, BOTH, "", 0, FAULT("$", "-32042", ""), RPC_INTERNAL, 0,
	  NULL },
	{ M, L, TOOL, BOTH, "", 0, FAULT("$", "-32099", ""), RPC_INTERNAL, 0,
	  NULL },
	{ M, M, TOOL, BOTH, "", 0, FAULT("$", "5.5", ""), RPC_INTERNAL, 0,
	  NULL },
	{ M, M, TOOL, BOTH, "", 0, FAULT("$", "99999999999", ""), RPC_INTERNAL,
	  0, NULL },
	{ M, M, TOOL, BOTH, "", 0,
	  "{\"jsonrpc\":\"2.0\",\"id\":$,\"error\":\"no\"}", RPC_INTERNAL, 0,
	  NULL },
	{ M, M, TOOL, BOTH, "", 0,
	  "{\"jsonrpc\":\"2.0\",\"id\":$,\"error\":{\"code\":1}}", RPC_INTERNAL,
	  0, NULL },
	/* statuses */
	{ M, M, TOOL, BOTH, "", 401, "{}", RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 403, FAULT("$", "5", ""), RPC_INTERNAL, 0,
	  NULL },
	{ M, M, TOOL, BOTH, "", 404, "", RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 500, "oh no", RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 502, "", RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 302, "", RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 202, "", RPC_INTERNAL, 0, NULL },
	/* how the client wants it */
	{ M, M, TOOL, JSON, "", 0, FROM("{" DONE "}"), 0, 0, TO("{" DONE "}") },
	{ M, M, TOOL, EVENTS, "", 0, FROM("{" DONE "}"), 0, 0,
	  EVENT(TO("{" DONE "}")) },
	{ M, M, TOOL, EVENTS, "", 0,
	  " {\r\n\"jsonrpc\": \"2.0\",\n\"id\": $,\n"
	  "\"result\": {\n \"a\":\r\n1\r}\n}\n",
	  0, 0, EVENT(TO("{  \"a\":  1 ," DONE "}")) },
	{ M, M, TOOL, EVENTS, "", 0,
	  "{\"jsonrpc\":\"2.0\",\"id\":$,\"error\":{\"code\":5,"
	  "\"message\":\"m\",\"data\":{\n\"x\":\r1}}}",
	  0, 0, EVENT(FAULT("\"c1\"", "5", ",\"data\":{ \"x\": 1}")) },
	/* events, whatever the lines look like */
	{ M, M, TOOL, BOTH, "", 0, DATA(FROM("{" DONE "}")), 0, 0,
	  TO("{" DONE "}") },
	{ M, M, TOOL, BOTH, "", 0,
	  "\xef\xbb\xbf: hello\r\n\r\nid: 1\r\nretry: 5\r\ndata:\r\n\r\n"
	  "event: message\r\nid: 2\r\ndata: " FROM("{" DONE "}") "\r\n\r\n",
	  0, 0, TO("{" DONE "}") },
	{ M, M, TOOL, BOTH, "", 0,
	  "data: {\"jsonrpc\":\"2.0\",\rdata: \"id\":$,\r"
	  "data: \"result\":{" DONE "}}\r\r",
	  0, 0, TO("{" DONE "}") },
	{ M, M, TOOL, EVENTS, "", 0, DATA(FROM("{" DONE "}")), 0, 0,
	  EVENT(TO("{" DONE "}")) },
	{ M, M, TOOL, BOTH, "", 0, ":\n\n" DATA("nonsense"), RPC_INTERNAL, 0,
	  NULL },
	{ M, M, TOOL, BOTH, "", 0, ":\n\n", RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, "", 0, "data: " FROM("{}"), RPC_INTERNAL, 0, NULL },
	/* what comes before the answer */
	{ M, M, TOOL, BOTH, TOKEN, 0,
	  DATA(PROGRESS("$", "1")) DATA(PROGRESS("99", "7"))
	          DATA(PROGRESS("\"$\"", "8")) DATA(PROGRESS("$", "2.5"))
	                  DATA(FROM("{" DONE "}")),
	  0, 0,
	  EVENT(PROGRESS("\"pt\"", "1")) EVENT(PROGRESS("\"pt\"", "2.5"))
	          EVENT(TO("{" DONE "}")) },
	{ L, M, TOOL, BOTH, "", 0,
	  DATA(PROGRESS("$", "1")) DATA(FROM("{" DONE "}")), 0, 0, TO("{}") },
	{ M, M, TOOL, JSON, TOKEN, 0,
	  DATA(PROGRESS("$", "1")) DATA(FROM("{" DONE "}")), 0, 0,
	  TO("{" DONE "}") },
	{ M, M, TOOL, BOTH, LOG, 0,
	  DATA(LOGGED("info")) DATA(LOGGED("error")) DATA(LOGGED("loud"))
	          DATA(FROM("{" DONE "}")),
	  0, 0, EVENT(LOGGED("error")) EVENT(TO("{" DONE "}")) },
	{ M, L, TOOL, BOTH, "", 0,
	  DATA(LOGGED("emergency")) DATA(FROM("{" DONE "}")), 0, 0,
	  TO("{" DONE "}") },
	{ L, L, TOOL, BOTH, "", 0, DATA(LOGGED("info")) DATA(FROM("{}")), 0, 0,
	  EVENT(LOGGED("info")) EVENT(TO("{}")) },
	{ M, M, TOOL, BOTH, "", 0,
	  DATA("{\"jsonrpc\":\"2.0\",\"method\":"
	       "\"notifications/tools/list_changed\"}")
	          DATA(FROM("{" DONE "}")),
	  0, 0, TO("{" DONE "}") },
	{ L, L, TOOL, BOTH, "", 0,
	  DATA("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"ping\"}") DATA(
		  "{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":"
		  "\"sampling/createMessage\",\"params\":{}}") DATA(FROM("{}")),
	  0, 0, TO("{}") },
	/* what comes after the answer counts for nothing */
	{ M, M, TOOL, BOTH, "", 0,
	  DATA(FROM("{" DONE "}")) DATA(FROM("{\"b\":2}")) DATA("}"), 0, 0,
	  TO("{" DONE "}") },
	/* an error when an event went out before */
	{ M, M, TOOL, BOTH, LOG, 0, DATA(LOGGED("error")) DATA("no"),
	  RPC_INTERNAL, 0, NULL },
	{ M, M, TOOL, BOTH, LOG, 0, DATA(LOGGED("error")), RPC_INTERNAL, 0,
	  NULL },
	{ M, M, TOOL, BOTH, LOG, 0,
	  DATA(LOGGED("error")) DATA(FAULT("$", "-32601", "")), 0, 0,
	  EVENT(LOGGED("error")) EVENT(FAULT("\"c1\"", "-32601", "")) },
	/* batches, and one message a line */
	{ L, L, TOOL, BOTH, "", 0, "[" FROM("{}") "]", 0, 0, TO("{}") },
	{ L, L, TOOL, BOTH, "", 0, "[" LOGGED("info") "," FROM("{}") "]", 0, 0,
	  EVENT(LOGGED("info")) EVENT(TO("{}")) },
	{ L, L, TOOL, BOTH, "", 0,
	  "[\n{\"jsonrpc\":\"2.0\",\n\"method\":\"notifications/message\","
	  "\r\n\"params\":{\"level\":\"error\"}},\n" FROM("{}") "]",
	  0, 0,
	  EVENT("{\"jsonrpc\":\"2.0\", \"method\":\"notifications/message\","
	        "  \"params\":{\"level\":\"error\"}}") EVENT(TO("{}")) },
	{ L, L, TOOL, BOTH, "", 0, DATA("[" FROM("{}") ",1]"), 0, 0, TO("{}") },
	{ L, L, TOOL, BOTH, "", 0, DATA("[1," FROM("{}") "]"), RPC_INTERNAL, 0,
	  NULL },
	{ L, L, TOOL, BOTH, TOKEN, 0,
	  PROGRESS("$", "1") "\n" PROGRESS("$", "2") "\r\n\n" FROM("{}") "\n",
	  0, 0,
	  EVENT(PROGRESS("\"pt\"", "1")) EVENT(PROGRESS("\"pt\"", "2"))
	          EVENT(TO("{}")) },
	{ L, L, TOOL, BOTH, "", 0, LOGGED("info") "\n", RPC_INTERNAL, 0, NULL },
};

static int code_of(struct span text)
{
	int64_t code = 0;

	value_integer(value_get(value_get(text, SPAN("error")), SPAN("code")),
	              &code);
	return (int)code;
}

/* Says what is wrong once per row and way of cutting. */
static bool check(size_t i, const struct row *row, const char *how, size_t cut)
{
	const char *fault = fixture_client_fault(&client, "\"c1\"");
	int http = client.reply.begun || !row->http ? 200 : row->http;
	struct span out = buf_span(&client.out);

	if (!fault && !client.complete)
		fault = "broken off";
	if (!fault && client.status != http)
		fault = "another status";
	if (!fault && row->code &&
	    code_of(fixture_client_last(&client)) != row->code)
		fault = "another code";
	if (!fault && !row->code && !span_is(out, row->text))
		fault = "another text";
	cr_expect_null(fault, "row %zu %s %zu: %s: %d %.*s", i, how, cut, fault,
	               client.status, SPAN_ARG(out));
	return fault == NULL;
}

static bool play(const struct row *row, bool length, size_t cut, size_t step,
                 size_t i, const char *how)
{
	struct buf out = { .max = 65536 };
	struct span body;

	start(row->from, row->to, row->verb, row->takes, row->meta);
	body = words(row->body, &out);
	feed(row->status ? row->status : 200, body, length, cut, step);
	buf_free(&out);
	return check(i, row, how, cut);
}

Test(relay, every_answer_cut_at_every_byte)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		size_t len = strlen(row->body) + 1;

		if (!play(row, true, 0, 0, i, "whole") ||
		    !play(row, false, 0, 0, i, "without length") ||
		    !play(row, true, 1, 1, i, "byte by byte"))
			continue;
		for (size_t cut = 1; cut < len; cut++)
			if (!play(row, true, cut, 0, i, "cut at"))
				break;
	}
}

/* ---- answers that are too large to be held ---- */

#define LARGE (3 * CALL_WINDOW)

/* before, many bytes of filler, behind. */
static void large(struct buf *out, const char *before, const char *filler,
                  const char *behind)
{
	*out = (struct buf){ .max = 1 << 24 };
	words(before, out);
	while (out->len < LARGE)
		buf_puts(out, filler);
	words(behind, out);
	cr_assert_eq(buf_err(out), 0);
}

static void play_large(enum view_era from, enum verb verb, enum takes takes,
                       const char *before, const char *filler,
                       const char *behind, struct buf *sent)
{
	start(from, VIEW_MODERN, verb, takes, "");
	large(sent, before, filler, behind);
	feed(200, buf_span(sent), false, 16000, 16000);
	cr_assert_eq(client.ends, 1u);
	cr_expect_null(fixture_client_fault(&client, "\"c1\""), "%s: %.*s",
	               fixture_client_fault(&client, "\"c1\""), 200,
	               client.out.bytes);
}

#define HEAD_OF "{\"jsonrpc\":\"2.0\",\"id\":$,\"result\":"

static size_t count(struct span text, const char *what)
{
	size_t n = 0, len = strlen(what);

	for (const char *at;
	     text.len && (at = memmem(text.at, text.len, what, len)); n++)
		text = span_from(text, (size_t)(at - text.at) + len);
	return n;
}

Test(relay, a_large_answer_streams)
{
	struct buf sent;
	struct span out;

	play_large(VIEW_MODERN, TOOL, BOTH, HEAD_OF "{\"content\":[\"", "a b",
	           "\"]}}", &sent);
	cr_expect(client.complete);
	cr_expect_eq(client.begins, 1u);
	cr_expect_eq(client.type, REPLY_JSON);
	out = buf_span(&client.out);
	cr_expect(span_starts(out, SPAN("{\"jsonrpc\":\"2.0\",\"id\":\"c1\","
	                                "\"result\":{\"content\":[\"a b")));
	cr_expect(span_is(span_from(out, out.len - 29),
	                  "b\"],\"resultType\":\"complete\"}}"),
	          "%.*s", SPAN_ARG(span_from(out, out.len - 29)));
	cr_expect_eq(client.reply.outcome, OUTCOME_SUCCESS);
	/* Not held: what was gathered was given back. */
	cr_expect_eq(call.in.cap, 0u);
	buf_free(&sent);

	play_large(VIEW_MODERN, TOOL, BOTH,
	           HEAD_OF "{\"resultType\":\"complete\",\"content\":[\"",
	           "a b", "\"]}}", &sent);
	cr_expect(client.complete);
	cr_expect_eq(count(buf_span(&client.out), "resultType"), 1u);
	buf_free(&sent);

	play_large(VIEW_LEGACY, TOOL, BOTH, HEAD_OF "{\"content\":[\"", "a b",
	           "\"]}}", &sent);
	cr_expect(client.complete);
	cr_expect_eq(count(buf_span(&client.out), "resultType"), 0u);
	buf_free(&sent);
}

Test(relay, a_large_answer_streams_as_one_event)
{
	struct buf sent;

	play_large(VIEW_MODERN, TOOL, EVENTS, HEAD_OF "{\"content\":[ 1",
	           ",\r\n{\n}\r", "]}}", &sent);
	cr_expect(client.complete);
	cr_expect_eq(client.type, REPLY_EVENTS);
	cr_expect_eq(fixture_client_count(&client), 1u);
	cr_expect(value_get(value_get(fixture_client_last(&client),
	                              SPAN("result")),
	                    SPAN("resultType"))
	                  .at);
	buf_free(&sent);
}

Test(relay, hints_of_a_large_result_stand_once)
{
	static const char *const heads[] = {
		HEAD_OF "{\"contents\":[\"",
		HEAD_OF "{\"ttlMs\":5,\"contents\":[\"",
		HEAD_OF "{\"cacheScope\":\"public\",\"contents\":[\"",
		HEAD_OF "{\"cacheScope\":\"public\",\"ttlMs\":5,"
			"\"contents\":[\"",
	};

	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		struct buf sent;
		struct span out;

		play_large(VIEW_MODERN, READ, BOTH, heads[i], "a", "\"]}}",
		           &sent);
		out = buf_span(&client.out);
		cr_expect(client.complete);
		cr_expect_eq(count(out, "ttlMs"), 1u, "%zu", i);
		cr_expect_eq(count(out, "cacheScope"), 1u, "%zu", i);
		cr_expect_eq(count(out, "resultType"), 1u, "%zu", i);
		buf_free(&sent);
	}
}

/* After bytes of the result went out, all that is left is to break off. */
Test(relay, a_large_answer_that_turns_bad_is_broken_off)
{
	static const char *const ends[] = {
		"",
		"\"",
		"\"]}",
		"\"]}}x",
		"\"]}]",
		"\xff",
		"\"]},\"id\":1}",
		"\"]},\"result\":{}}",
		"\"]},\"error\":{\"code\":1}}",
		"\"]},\"method\":\"x\"}",
		"\"]},\"Result\":{}}",
	};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct buf sent;

		play_large(VIEW_MODERN, TOOL, i % 2 ? BOTH : EVENTS,
		           HEAD_OF "{\"content\":[\"", "abc", ends[i], &sent);
		cr_expect_not(client.complete, "%zu", i);
		cr_expect_neq(client.reply.outcome, OUTCOME_SUCCESS, "%zu", i);
		buf_free(&sent);
	}
}

Test(relay, a_large_answer_that_begins_bad_is_an_error)
{
	static const char *const heads[] = {
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[\"",
		"{\"jsonrpc\":\"2.0\",\"id\":\"$\",\"result\":[\"",
		"{\"jsonrpc\":\"2.0\",\"id\":$,\"error\":{\"message\":\"",
		"{\"jsonrpc\":\"2.0\",\"id\":$,\"method\":\"",
		"{\"jsonrpc\":\"2.0\",\"id\":$,\"result\":[\"",
		"{\"jsonrpc\":\"2.0\",\"id\":$,\"result\":\"",
		"{\"jsonrpc\":\"2.0\",\"id\":$,\"x\":\"",
		"[[\"",
	};

	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		struct buf sent;

		play_large(VIEW_MODERN, TOOL, BOTH, heads[i], "abc", "", &sent);
		if (client.complete)
			cr_expect_eq(code_of(fixture_client_last(&client)),
			             RPC_INTERNAL, "%zu", i);
		buf_free(&sent);
	}
}

/* A result may stand before its id. */
Test(relay, the_id_of_a_large_answer_may_come_last)
{
	struct buf sent;

	play_large(VIEW_MODERN, TOOL, BOTH, "{\"result\":{\"content\":[\"",
	           "abc", "\"]},\"jsonrpc\":\"2.0\",\"id\":$}", &sent);
	cr_expect(client.complete);
	buf_free(&sent);
	play_large(VIEW_MODERN, TOOL, BOTH, "{\"result\":{\"content\":[\"",
	           "abc", "\"]},\"jsonrpc\":\"2.0\",\"id\":99}", &sent);
	cr_expect_not(client.complete);
	buf_free(&sent);
}

/* ---- large results that must be changed ---- */

#define INPUT_TYPE "\"resultType\":\"input_required\""
#define STATE      "\"requestState\":\"secret\""
#define SAMPLE                                                   \
	"\"inputRequests\":{\"k\":{\"method\":"                  \
	"\"sampling/createMessage\",\"params\":{\"messages\":[{" \
	"\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":\""
#define TASK_MADE "\"resultType\":\"task\",\"taskId\":\"secret\""

/* What shows in time is held, and sealed like a small one. */
Test(relay, a_large_result_that_asks_is_held)
{
	static const struct {
		enum verb verb;
		const char *before, *behind;
	} held[] = {
		{ TOOL, HEAD_OF "{" INPUT_TYPE "," STATE "," SAMPLE,
		  "\"}}],\"maxTokens\":1}}}}}" },
		{ READ, HEAD_OF "{" SAMPLE,
		  "\"}}],\"maxTokens\":1}}}," STATE "," INPUT_TYPE "}}" },
		{ PROMPT, HEAD_OF "{" STATE ",\"_meta\":{\"x\":\"",
		  "\"}," INPUT_TYPE "}}" },
		{ TOOL, HEAD_OF "{" TASK_MADE ",\"_meta\":{\"x\":\"", "\"}}}" },
		/* Nothing to seal after all. */
		{ TOOL, HEAD_OF "{\"taskId\":\"mine\",\"content\":[\"",
		  "\"]}}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(held); i++) {
		struct buf sent;
		struct span out;

		call.caller.abilities = CLIENT_MASK | CLIENT_TASKS;
		play_large(VIEW_MODERN, held[i].verb, BOTH, held[i].before,
		           "abc", held[i].behind, &sent);
		out = buf_span(&client.out);
		cr_expect(client.complete, "%zu", i);
		cr_expect_eq(client.wholes, 1u, "%zu", i);
		cr_expect_eq(code_of(out), 0, "%zu: %.*s", i, 200, out.at);
		cr_expect_eq(count(out, "secret"), 0u, "%zu", i);
		cr_expect_eq(count(out, "\"gw2."), (size_t)(i < 4), "%zu", i);
		cr_expect_gt(out.len, (size_t)LARGE - 1000, "%zu", i);
		buf_free(&sent);
	}
}

/* What fills the window, what follows up to at, and the rest. */
static void feed_behind(struct span body, size_t at)
{
	struct exchange_head head = { .status = 200 };

	relay_ops.head(&call.x, &head);
	relay_ops.body(&call.x, span_first(body, CALL_WINDOW + 1));
	cr_assert_eq(client.begins, 1u);
	relay_ops.body(&call.x,
	               span_from(span_first(body, at), CALL_WINDOW + 1));
	if (call.running)
		relay_ops.body(&call.x, span_from(body, at));
}

/* What shows too late is broken off before its value goes out, wherever the
 * text is cut. */
Test(relay, a_large_result_that_asks_late_is_broken_off)
{
	static const struct {
		enum verb verb;
		const char *behind;
	} late[] = {
		{ TOOL, "\"]," STATE "," INPUT_TYPE "}}" },
		{ READ, "\"],\"inputRequests\":{\"secret\":0}}}" },
		{ PROMPT, "\"]," STATE "}}" },
		{ TOOL, "\"]," TASK_MADE "}}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(late); i++)
		for (size_t cut = 1; cut < 40; cut++) {
			struct buf sent;
			size_t behind = strlen(late[i].behind);

			start(VIEW_MODERN, VIEW_MODERN, late[i].verb,
			      cut % 2 ? BOTH : EVENTS, "");
			large(&sent, HEAD_OF "{\"content\":[\"", "abc",
			      late[i].behind);
			feed_behind(buf_span(&sent), sent.len - behind + cut);
			cr_expect_eq(client.ends, 1u);
			cr_expect_not(client.complete, "%zu %zu", i, cut);
			cr_expect_eq(client.reply.outcome, OUTCOME_UNAVAILABLE);
			cr_expect_eq(count(buf_span(&client.out), "secret"), 0u,
			             "%zu %zu", i, cut);
			buf_free(&sent);
		}
}

/* The same names where they mean nothing of the kind. */
Test(relay, members_of_large_results_that_pass)
{
	static const struct {
		enum view_era to;
		enum verb verb;
		const char *behind;
	} passes[] = {
		{ VIEW_LEGACY, TOOL, "\"]," STATE "}}" },
		{ VIEW_LEGACY, TOOL, "\"],\"taskId\":\"x\",\"TaskID\":1}}" },
		{ VIEW_MODERN, READ, "\"],\"taskId\":\"x\"}}" },
		{ VIEW_MODERN, TOOL, "\",{" STATE "}]," DONE "}}" },
		{ VIEW_MODERN, TOOL, "\",{" TASK_MADE "}]," DONE "}}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(passes); i++) {
		struct buf sent;

		start(VIEW_MODERN, passes[i].to, passes[i].verb, BOTH, "");
		large(&sent, HEAD_OF "{\"content\":[\"", "abc",
		      passes[i].behind);
		feed(200, buf_span(&sent), false, 16000, 16000);
		cr_expect_null(fixture_client_fault(&client, "\"c1\""));
		cr_expect(client.complete, "%zu", i);
		cr_expect_eq(client.begins, 1u, "%zu", i);
		buf_free(&sent);
	}
}

Test(relay, a_result_that_asks_has_a_limit)
{
	struct buf sent = { .max = 1 << 24 };

	start(VIEW_MODERN, VIEW_MODERN, TOOL, BOTH, "");
	words(HEAD_OF "{" STATE ",\"_meta\":{\"x\":\"", &sent);
	while (sent.len < 5u << 20)
		buf_puts(&sent, "aaaaaaaaaaaaaaaa");
	feed(200, buf_span(&sent), false, 16000, 16000);
	cr_expect_null(fixture_client_fault(&client, "\"c1\""));
	cr_expect(fixture_has(fixture_client_last(&client),
	                      "is over limits.message_bytes"));
	buf_free(&sent);
}

Test(relay, a_large_event_is_held_up_to_the_limit)
{
	struct buf sent;

	play_large(VIEW_MODERN, TOOL, BOTH, "data: " HEAD_OF "{\"content\":[\"",
	           "abc", "\"]}}\n\n", &sent);
	cr_expect(client.complete);
	cr_expect_eq(code_of(fixture_client_last(&client)), 0);
	buf_free(&sent);

	start(VIEW_MODERN, VIEW_MODERN, TOOL, BOTH, "");
	sent = (struct buf){ .max = 1 << 24 };
	buf_puts(&sent, "data: ");
	while (sent.len < 5u << 20)
		buf_puts(&sent, "aaaaaaaaaaaaaaaa");
	feed(200, buf_span(&sent), false, 16000, 16000);
	cr_expect_null(fixture_client_fault(&client, "\"c1\""));
	cr_expect_eq(code_of(fixture_client_last(&client)), RPC_INTERNAL);
	buf_free(&sent);
}

/* ---- a client that reads slowly, or not at all ---- */

Test(relay, a_slow_client_stops_the_backend)
{
	struct buf sent;
	struct exchange_head head = { .status = 200 };

	start(VIEW_MODERN, VIEW_MODERN, TOOL, BOTH, "");
	large(&sent, HEAD_OF "{\"content\":[\"", "abc", "\"]}}");
	relay_ops.head(&call.x, &head);
	relay_ops.body(&call.x, span_first(buf_span(&sent), LARGE / 2));
	cr_expect_not(call.x.paused);
	client.reply.full = true;
	relay_ops.body(&call.x,
	               span_first(span_from(buf_span(&sent), LARGE / 2), 5));
	cr_expect(call.x.paused);
	client.reply.full = false;
	call_resume(&call);
	cr_expect_not(call.x.paused);
	buf_free(&sent);

	start(VIEW_MODERN, VIEW_MODERN, TOOL, BOTH, LOG);
	client.reply.full = true;
	relay_ops.head(&call.x, &head);
	relay_ops.body(&call.x, SPAN(DATA(LOGGED("error"))));
	cr_expect(call.x.paused);
}

Test(relay, nothing_is_sent_after_a_cancellation)
{
	struct exchange_head head = { .status = 200 };

	start(VIEW_MODERN, VIEW_MODERN, TOOL, BOTH, LOG);
	relay_ops.head(&call.x, &head);
	relay_ops.body(&call.x, SPAN(DATA(LOGGED("error"))));
	size_t before = client.out.len;
	call_cancel(&call);
	cr_expect_not(exchange_running(&call.x));
	cr_expect_eq(client.ends, 0u);
	cr_expect_eq(client.out.len, before);
	call_cancel(&call);
}

static const struct {
	enum exchange_end end;
	const char *detail;
} ends[] = {
	{ EXCHANGE_REFUSED, "no connection could be made" },
	{ EXCHANGE_BROKEN, "the connection ended" },
	{ EXCHANGE_GARBAGE, "not HTTP" },
	{ EXCHANGE_TIMEOUT, "no answer" },
	{ EXCHANGE_BUSY, "all busy" },
	{ EXCHANGE_TOO_LARGE, "too large" },
};

/* However it ends, before, inside and after events. */
Test(relay, every_end_of_an_exchange)
{
	struct exchange_head head = { .status = 200 };

	for (size_t i = 0; i < 3 * ARRAY_LEN(ends); i++) {
		start(VIEW_MODERN, VIEW_MODERN, TOOL, BOTH, LOG);
		if (i >= ARRAY_LEN(ends))
			relay_ops.head(&call.x, &head);
		if (i >= 2 * ARRAY_LEN(ends))
			relay_ops.body(&call.x, SPAN(DATA(LOGGED("error"))));
		exchange_cancel(&call.x);
		relay_ops.end(&call.x, ends[i % ARRAY_LEN(ends)].end,
		              ends[i % ARRAY_LEN(ends)].detail);
		cr_expect_null(fixture_client_fault(&client, "\"c1\""));
		cr_expect_eq(code_of(fixture_client_last(&client)),
		             RPC_INTERNAL);
		cr_expect_eq(client.reply.outcome, OUTCOME_UNAVAILABLE);
		cr_expect_eq(count(buf_span(&client.out),
		                   ends[i % ARRAY_LEN(ends)].detail),
		             1u);
	}
}

/* What a backend says in an error's text never reaches another field. */
Test(relay, messages_of_errors_pass_as_they_are)
{
	struct buf out = { .max = 65536 };
	struct span body;

	start(VIEW_LEGACY, VIEW_LEGACY, TOOL, EVENTS, "");
	body = words("{\"jsonrpc\":\"2.0\",\"id\":$,\"error\":{\"code\":5,"
	             "\"message\":\"a\\n\\ndata: x\\u0000\\r\"}}",
	             &out);
	feed(200, body, true, 0, 0);
	buf_free(&out);
	cr_expect_null(fixture_client_fault(&client, "\"c1\""));
	cr_expect_eq(count(buf_span(&client.out), "a\\n\\ndata: x\\u0000\\r"),
	             1u);
	cr_expect_eq(count(buf_span(&client.out), "\n"), 3u);
}

/* A legacy backend that forgot its session is asked once more, not twice. */
Test(relay, a_lost_session_is_opened_again_once)
{
	static const struct {
		int status;
		const char *body;
		bool again;
	} answers[] = {
		{ 404, "", true },
		{ 404, "not found", true },
		{ 404,
		  "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":"
		  "-32001,\"message\":\"m\"}}",
		  true },
		{ 400,
		  "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,"
		  "\"message\":\"m\"}}",
		  true },
		{ 400,
		  "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32602,"
		  "\"message\":\"m\"}}",
		  false },
		{ 410, "", false },
		{ 500, "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		start(VIEW_LEGACY, VIEW_LEGACY, TOOL, BOTH, "");
		feed(answers[i].status, span_str(answers[i].body), true, 0, 0);
		cr_expect_eq(call.retried, answers[i].again, "%zu", i);
		cr_expect_eq(fixture_client_done(&client), !answers[i].again,
		             "%zu", i);
		if (!answers[i].again)
			continue;
		/* the handshake fails, for the backend has no address */
		fixture_pause(proxy.loop, 5);
		cr_expect(fixture_client_done(&client));
		cr_expect_null(fixture_client_fault(&client, "\"c1\""));
		/* Not for a second time. */
		start(VIEW_LEGACY, VIEW_LEGACY, TOOL, BOTH, "");
		call.retried = true;
		feed(answers[i].status, span_str(answers[i].body), true, 0, 0);
		cr_expect(fixture_client_done(&client));
	}
	/* A modern backend has no session to lose. */
	start(VIEW_MODERN, VIEW_MODERN, TOOL, BOTH, "");
	feed(404, SPAN(""), true, 0, 0);
	cr_expect(fixture_client_done(&client));
}
