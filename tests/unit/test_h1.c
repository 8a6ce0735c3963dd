#include "lib/h1.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const struct h1_limits limits = { 2048, 256, 16 };

#define GET  "GET /mcp HTTP/1.1\r\n"
#define POST "POST /mcp HTTP/1.1\r\n"
#define HOST "Host: a.example\r\n"
#define END  "\r\n"

/* Every head here ends, so that each cut must come to the same verdict. */
static const struct sample {
	const char *wire;
	enum h1_result result;
} requests[] = {
	{ GET HOST END, H1_OK },
	{ GET HOST END "next bytes", H1_OK },
	{ "\r\n" GET HOST END, H1_OK },
	{ "GET / HTTP/1.0\r\n\r\n", H1_OK },
	{ "GET / HTTP/1.9\r\n" HOST END, H1_OK },
	{ "BREW /pot HTTP/1.1\r\n" HOST END, H1_OK },
	{ "OPTIONS * HTTP/1.1\r\n" HOST END, H1_OK },
	{ "GET http://a.example/x?y HTTP/1.1\r\n" HOST END, H1_OK },
	{ "GET HTTPS://A.example HTTP/1.1\r\n" HOST END, H1_OK },
	{ POST HOST "Content-Length: 5\r\n" END "hello", H1_OK },
	{ POST HOST "Content-Length:\t 0005 \t\r\n" END "hello", H1_OK },
	{ POST HOST "transfer-ENCODING: Chunked\r\n" END, H1_OK },
	{ GET HOST "X:\r\nY: \r\nZ: a\tb\xff\r\n" END, H1_OK },
	{ GET "Host: [::1]:9000\r\n" END, H1_OK },
	{ POST HOST "Expect: 100-Continue\r\nContent-Length: 1\r\n" END,
	  H1_OK },

	/* Lines (RFC 9112, sections 2.2, 3 and 5.2). */
	{ "\r\n\r\n" GET HOST END, H1_BAD_LINE },
	{ " " GET HOST END, H1_BAD_LINE },
	{ "\n" GET HOST END, H1_BAD_NEWLINE },
	{ "GET / HTTP/1.1\nHost: a\n\n", H1_BAD_NEWLINE },
	{ GET "Host: a\n\n", H1_BAD_NEWLINE },
	{ GET "Host: a\r\n\n", H1_BAD_NEWLINE },
	{ GET "Host: a\n\r\n", H1_BAD_NEWLINE },
	{ GET "Host: a\rX: b\r\n" END, H1_BAD_NEWLINE },
	{ GET HOST "\rX: y\r\n" END, H1_BAD_NEWLINE },
	{ GET HOST "X: a\r\n b\r\n" END, H1_BAD_FOLD },
	{ GET HOST "X: a\r\n\tb\r\n" END, H1_BAD_FOLD },
	{ GET " Host: a\r\n" END, H1_BAD_FOLD },
	{ "GET  / HTTP/1.1\r\n" HOST END, H1_BAD_TARGET },
	{ "GET / HTTP/1.1 \r\n" HOST END, H1_BAD_LINE },
	{ "GET /  HTTP/1.1\r\n" HOST END, H1_BAD_LINE },
	{ "GET\t/ HTTP/1.1\r\n" HOST END, H1_BAD_LINE },
	{ "GET / http/1.1\r\n" HOST END, H1_BAD_LINE },
	{ "GET / HTTP/1.10\r\n" HOST END, H1_BAD_LINE },
	{ "GET / HTTP/1\r\n" HOST END, H1_BAD_LINE },
	{ "GET /\r\n" HOST END, H1_BAD_TARGET },
	{ "G@T / HTTP/1.1\r\n" HOST END, H1_BAD_LINE },
	{ "\x16\x03\x01\x02\r\n\r\n", H1_BAD_LINE },
	{ "GET / HTTP/2.0\r\n" HOST END, H1_UNKNOWN_VERSION },
	{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", H1_UNKNOWN_VERSION },
	{ "GET / HTTP/0.9\r\n" HOST END, H1_UNKNOWN_VERSION },

	/* Targets (section 3.2). */
	{ "GET * HTTP/1.1\r\n" HOST END, H1_BAD_TARGET },
	{ "GET mcp HTTP/1.1\r\n" HOST END, H1_BAD_TARGET },
	{ "GET /a#b HTTP/1.1\r\n" HOST END, H1_BAD_TARGET },
	{ "GET /a\\b HTTP/1.1\r\n" HOST END, H1_BAD_TARGET },
	{ "GET /\xc3\xa9 HTTP/1.1\r\n" HOST END, H1_BAD_TARGET },
	{ "GET /\x7f HTTP/1.1\r\n" HOST END, H1_BAD_TARGET },
	{ "GET ftp://a.example/ HTTP/1.1\r\n" HOST END, H1_BAD_TARGET },
	{ "GET http:/// HTTP/1.1\r\n" HOST END, H1_BAD_TARGET },
	{ "GET http://u@a.example/ HTTP/1.1\r\n" HOST END, H1_BAD_TARGET },
	{ "CONNECT a.example:443 HTTP/1.1\r\n" HOST END, H1_BAD_TARGET },

	/* Names and values (sections 5 and 5.1). */
	{ GET HOST "X : y\r\n" END, H1_BAD_NAME },
	{ GET HOST "X\t: y\r\n" END, H1_BAD_NAME },
	{ GET HOST ": y\r\n" END, H1_BAD_NAME },
	{ GET HOST "X y\r\n" END, H1_BAD_NAME },
	{ GET HOST "X\r\n" END, H1_BAD_NAME },
	{ GET HOST "X(: y\r\n" END, H1_BAD_NAME },
	{ GET HOST "\xc3\xa9: y\r\n" END, H1_BAD_NAME },
	{ GET HOST "X: a\x01\r\n" END, H1_BAD_VALUE },
	{ GET HOST "X: a\x7f\r\n" END, H1_BAD_VALUE },
	{ GET HOST "X: 0123456789abcdef0123456789abcde\x0b\r\n" END,
	  H1_BAD_VALUE },

	/* Host (section 3.2). */
	{ GET END, H1_NO_HOST },
	{ GET HOST HOST END, H1_BAD_HOST },
	{ GET HOST "Host: b\r\n" END, H1_BAD_HOST },
	{ GET "Host:\r\n" END, H1_BAD_HOST },
	{ GET "Host: u@a\r\n" END, H1_BAD_HOST },
	{ GET "Host: a b\r\n" END, H1_BAD_HOST },
	{ GET "Host: a\\b\r\n" END, H1_BAD_HOST },
	{ GET "Host: a/b\r\n" END, H1_BAD_HOST },
	{ GET "Host: a, b\r\n" END, H1_BAD_HOST },
	{ GET "Host: a:b\r\n" END, H1_BAD_HOST },
	{ GET "Host: a:65536\r\n" END, H1_BAD_HOST },
	{ GET "Host: a:\r\n" END, H1_BAD_HOST },
	{ GET "Host: [::1\r\n" END, H1_BAD_HOST },
	{ GET "Host: [::1]x\r\n" END, H1_BAD_HOST },
	{ GET "Host: 127.1\r\n" END, H1_BAD_HOST },
	{ "GET / HTTP/1.0\r\n" HOST HOST END, H1_BAD_HOST },
	{ "GET http://b.example/ HTTP/1.1\r\n" HOST END, H1_BAD_HOST },

	/* Framing (sections 6.1 to 6.3). */
	{ POST HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END,
	  H1_BAD_FRAMING },
	{ POST HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END,
	  H1_BAD_FRAMING },
	{ POST HOST "Transfer-Encoding: x\r\nContent-Length: 5\r\n" END,
	  H1_BAD_FRAMING },
	{ "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END,
	  H1_BAD_FRAMING },
	{ POST HOST "Content-Length: 5\r\nContent-Length: 5\r\n" END,
	  H1_BAD_LENGTH },
	{ POST HOST "Content-Length: 5\r\ncontent-length: 6\r\n" END,
	  H1_BAD_LENGTH },
	{ POST HOST "Content-Length: 5, 5\r\n" END, H1_BAD_LENGTH },
	{ POST HOST "Content-Length: +5\r\n" END, H1_BAD_LENGTH },
	{ POST HOST "Content-Length: -1\r\n" END, H1_BAD_LENGTH },
	{ POST HOST "Content-Length: 0x5\r\n" END, H1_BAD_LENGTH },
	{ POST HOST "Content-Length: 5 5\r\n" END, H1_BAD_LENGTH },
	{ POST HOST "Content-Length: 5.0\r\n" END, H1_BAD_LENGTH },
	{ POST HOST "Content-Length: \xb2\r\n" END, H1_BAD_LENGTH },
	{ POST HOST "Content-Length:\r\n" END, H1_BAD_LENGTH },
	{ POST HOST "Content-Length: 9223372036854775808\r\n" END,
	  H1_BAD_LENGTH },
	{ POST HOST "Content-Length: 18446744073709551621\r\n" END,
	  H1_BAD_LENGTH },
	{ POST HOST "Transfer-Encoding:\r\n" END, H1_BAD_CODING },
	{ POST HOST "Transfer-Encoding: chunked, chunked\r\n" END,
	  H1_BAD_CODING },
	{ POST HOST "Transfer-Encoding: chunked\r\n"
	            "Transfer-Encoding: chunked\r\n" END,
	  H1_BAD_CODING },
	{ POST HOST "Transfer-Encoding: chunked\r\n"
	            "Transfer-Encoding: identity\r\n" END,
	  H1_BAD_CODING },
	{ POST HOST "Transfer-Encoding: chunked, gzip\r\n" END, H1_BAD_CODING },
	{ POST HOST "Transfer-Encoding: gzip\r\n" END, H1_BAD_CODING },
	{ POST HOST "Transfer-Encoding: xchunked\r\n" END, H1_BAD_CODING },
	{ POST HOST "Transfer-Encoding: chunked;q=1\r\n" END, H1_BAD_CODING },
	{ POST HOST "Transfer-Encoding: \"chunked\"\r\n" END, H1_BAD_CODING },
	{ POST HOST "Transfer-Encoding: , chunked\r\n" END, H1_BAD_CODING },
	{ POST HOST "Transfer-Encoding: chunked,\r\n" END, H1_BAD_CODING },
	{ POST HOST "Transfer-Encoding: chun ked\r\n" END, H1_BAD_CODING },
	{ POST HOST "Transfer-Encoding: \x0b"
	            "chunked\r\n" END,
	  H1_BAD_VALUE },
	{ POST HOST "Transfer-Encoding : chunked\r\n" END, H1_BAD_NAME },
	{ POST HOST "Transfer-Encoding: gzip, chunked\r\n" END,
	  H1_UNKNOWN_CODING },
	{ POST HOST "Transfer-Encoding: gzip\r\n"
	            "Transfer-Encoding: chunked\r\n" END,
	  H1_UNKNOWN_CODING },
	{ POST HOST "Expect: 200-ok\r\n" END, H1_UNKNOWN_EXPECTATION },
};

/* What the parser is given is exactly as large as it is told. */
static void *exact(const char *bytes, size_t len)
{
	void *copy = malloc(len);

	cr_assert(copy || len == 0);
	if (len)
		memcpy(copy, bytes, len);
	return copy;
}

static enum h1_result parse(const char *bytes, size_t len, size_t seen,
                            struct h1_request *out, char **keep)
{
	*keep = exact(bytes, len);
	return h1_parse_request(span_of(*keep, len), seen, &limits, out);
}

static void check_same(const struct h1_request *a, const struct h1_request *b)
{
	cr_assert_eq(a->method, b->method);
	cr_assert(span_eq(a->target, b->target));
	cr_assert(span_eq(a->path, b->path));
	cr_assert(span_eq(a->query, b->query));
	cr_assert(span_eq(a->authority, b->authority));
	cr_assert_eq(a->head.bytes, b->head.bytes);
	cr_assert_eq(a->head.body, b->head.body);
	cr_assert_eq(a->head.content_length, b->head.content_length);
	cr_assert_eq(a->head.n_fields, b->head.n_fields);
	for (size_t i = 0; i < a->head.n_fields; i++) {
		cr_assert(span_eq(a->head.fields[i].name,
		                  b->head.fields[i].name));
		cr_assert(span_eq(a->head.fields[i].value,
		                  b->head.fields[i].value));
	}
}

static void check_cut(const struct sample *s, size_t cut)
{
	static struct h1_request whole, parts;
	size_t len = strlen(s->wire);
	char *a, *b, *c;
	enum h1_result first, second;

	cr_assert_eq(parse(s->wire, len, 0, &whole, &a), s->result, "%s: %s",
	             s->wire, h1_reason(s->result));
	first = parse(s->wire, cut, 0, &parts, &b);
	cr_assert(first == H1_MORE || first == s->result, "%s cut at %zu: %s",
	          s->wire, cut, h1_reason(first));
	second = parse(s->wire, len, first == H1_MORE ? cut : 0, &parts, &c);
	cr_assert_eq(second, s->result, "%s cut at %zu: %s", s->wire, cut,
	             h1_reason(second));
	if (s->result == H1_OK)
		check_same(&whole, &parts);
	free(a);
	free(b);
	free(c);
}

Test(h1, every_cut_gives_the_same_verdict)
{
	for (size_t i = 0; i < ARRAY_LEN(requests); i++)
		for (size_t cut = 0; cut <= strlen(requests[i].wire); cut++)
			check_cut(&requests[i], cut);
}

/* One byte a call: the answer comes with the last byte of the head. */
Test(h1, byte_by_byte)
{
	static struct h1_request out;

	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		enum h1_result result = H1_MORE;
		size_t n = 0, len = strlen(requests[i].wire);
		char *keep;

		while (result == H1_MORE && n < len) {
			n++;
			result = parse(requests[i].wire, n, n - 1, &out, &keep);
			free(keep);
		}
		cr_assert_eq(result, requests[i].result, "%s: %s",
		             requests[i].wire, h1_reason(result));
		if (result == H1_OK)
			cr_assert_eq(out.head.bytes, n);
	}
}

Test(h1, nul_is_refused_everywhere)
{
	static const char wire[] = GET HOST "X: y\r\n" END;
	static struct h1_request out;
	size_t len = sizeof(wire) - 1;
	char *keep;

	for (size_t i = 0; i < len; i++) {
		char copy[sizeof(wire)];

		memcpy(copy, wire, sizeof(wire));
		copy[i] = '\0';
		cr_assert_gt(parse(copy, len, 0, &out, &keep), H1_MORE,
		             "NUL at %zu", i);
		free(keep);
	}
}

static struct h1_request request(const char *wire)
{
	static struct h1_request out;

	cr_assert_eq(h1_parse_request(span_str(wire), 0, &limits, &out), H1_OK,
	             "%s", wire);
	return out;
}

Test(h1, takes_a_request_apart)
{
	struct h1_request r = request(
		"POST /mcp?a=b?c HTTP/1.1\r\nHOST: a.example:9000\r\n"
		"mcp-session-ID:  one two\t\r\nX-Other: 1\r\nAccept: a/b\r\n"
		"Accept: c/d\r\nContent-Length: 12\r\n\r\n");

	cr_assert_eq(r.method, H1_POST);
	cr_assert(span_is(r.method_text, "POST"));
	cr_assert(span_is(r.target, "/mcp?a=b?c"));
	cr_assert(span_is(r.path, "/mcp"));
	cr_assert(span_is(r.query, "a=b?c"));
	cr_assert_eq(r.head.minor, 1);
	cr_assert_eq(r.head.body, H1_BODY_LENGTH);
	cr_assert_eq(r.head.content_length, 12);
	cr_assert(r.head.keep_alive);
	cr_assert_eq(r.head.n_fields, 6);
	cr_assert(span_is(h1_value(&r.head, H1_HOST), "a.example:9000"));
	cr_assert(span_is(h1_value(&r.head, H1_MCP_SESSION_ID), "one two"));
	cr_assert(!h1_has(&r.head, H1_ORIGIN));
	cr_assert_null(h1_value(&r.head, H1_ORIGIN).at);
	cr_assert_eq(r.head.seen[H1_ACCEPT], 2);
	cr_assert(span_is(h1_value(&r.head, H1_ACCEPT), "a/b"));
	cr_assert(span_is(h1_last_value(&r.head, H1_ACCEPT), "c/d"));
	cr_assert_eq(r.head.fields[2].known, H1_UNKNOWN);
	cr_assert(span_is(r.head.fields[2].name, "X-Other"));
}

/* A target in absolute form, and the path that it may leave out. */
Test(h1, absolute_targets)
{
	struct h1_request r =
		request("GET http://a.example?q HTTP/1.1\r\n" HOST END);

	cr_assert(span_is(r.authority, "a.example"));
	cr_assert(span_is(r.path, "/"));
	cr_assert(span_is(r.query, "q"));
	r = request("GET https://a.example/x/y? HTTP/1.1\r\n" HOST END);
	cr_assert(span_is(r.path, "/x/y"));
	cr_assert_eq(r.query.len, 0);
}

Test(h1, methods_by_name)
{
	static const struct {
		const char *wire;
		enum h1_method method;
	} table[] = {
		{ "GET / HTTP/1.0\r\n\r\n", H1_GET },
		{ "HEAD / HTTP/1.0\r\n\r\n", H1_HEAD },
		{ "POST / HTTP/1.0\r\n\r\n", H1_POST },
		{ "DELETE / HTTP/1.0\r\n\r\n", H1_DELETE },
		{ "OPTIONS / HTTP/1.0\r\n\r\n", H1_OPTIONS },
		{ "PUT / HTTP/1.0\r\n\r\n", H1_PUT },
		{ "PATCH / HTTP/1.0\r\n\r\n", H1_PATCH },
		{ "TRACE / HTTP/1.0\r\n\r\n", H1_TRACE },
		{ "CONNECT / HTTP/1.0\r\n\r\n", H1_CONNECT },
		{ "get / HTTP/1.0\r\n\r\n", H1_OTHER },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		cr_assert_eq(request(table[i].wire).method, table[i].method);
}

/* Every slot is found by its name, in any case, and by nothing near it. */
Test(h1, every_known_field_has_its_slot)
{
	for (unsigned i = H1_UNKNOWN + 1; i < H1_KNOWN_MAX; i++) {
		struct span name = h1_name((enum h1_known)i);
		char wire[256];

		if (i == H1_HOST || i == H1_CONTENT_LENGTH ||
		    i == H1_TRANSFER_ENCODING || i == H1_EXPECT)
			continue;
		snprintf(wire, sizeof(wire), GET HOST "%.*s: v\r\n\r\n",
		         SPAN_ARG(name));
		cr_assert_eq(request(wire).head.fields[1].known, i);
		char *first = strstr(wire, "e\r\n") + 3;
		*first ^= 0x20;
		cr_assert_eq(request(wire).head.fields[1].known, i);
		*first = *first == 'Q' ? 'R' : 'Q';
		cr_assert_eq(request(wire).head.fields[1].known, H1_UNKNOWN);
		first[0] = (char)name.at[0];
		first[name.len - 1] = '!';
		cr_assert_eq(request(wire).head.fields[1].known, H1_UNKNOWN);
	}
}

Test(h1, connection_options)
{
	static const struct {
		const char *wire;
		bool keep_alive, upgrade;
	} table[] = {
		{ GET HOST END, true, false },
		{ GET HOST "Connection: close\r\n" END, false, false },
		{ GET HOST "Connection: x, CLOSE ,y\r\n" END, false, false },
		{ GET HOST "Connection: x\r\nConnection: close\r\n" END, false,
		  false },
		{ GET HOST "Connection: keep-alive, close\r\n" END, false,
		  false },
		{ GET HOST "Connection: closed\r\n" END, true, false },
		{ GET HOST "Connection: upgrade\r\n" END, true, false },
		{ GET HOST "Upgrade: h2c\r\n" END, true, false },
		{ GET HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n" END,
		  true, true },
		{ "GET / HTTP/1.0\r\n" END, false, false },
		{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n" END, true,
		  false },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct h1_request r = request(table[i].wire);

		cr_assert_eq(r.head.keep_alive, table[i].keep_alive, "%s",
		             table[i].wire);
		cr_assert_eq(r.head.upgrade, table[i].upgrade);
	}
}

Test(h1, expect_only_with_a_body)
{
	cr_assert(request(POST HOST "Expect: 100-continue\r\n"
	                            "Content-Length: 3\r\n" END)
	                  .expect_continue);
	cr_assert(!request(POST HOST "Expect: 100-continue\r\n" END)
	                   .expect_continue);
	cr_assert(!request("POST / HTTP/1.0\r\nExpect: 100-continue\r\n"
	                   "Content-Length: 3\r\n" END)
	                   .expect_continue);
}

/* A head of exactly the limit passes, in one piece and in two. */
Test(h1, limits_are_exact)
{
	static const char wire[] =
		"GET /0123456789 HTTP/1.1\r\nHost: a\r\n\r\n";
	static struct h1_request out;
	size_t len = sizeof(wire) - 1;
	struct h1_limits tight = { len, 11, 1 };
	struct span in = span_of(wire, len);

	cr_assert_eq(h1_parse_request(in, 0, &tight, &out), H1_OK);
	cr_assert_eq(h1_parse_request(in, len - 1, &tight, &out), H1_OK);
	tight.target_max--;
	cr_assert_eq(h1_parse_request(in, 0, &tight, &out), H1_TARGET_TOO_LONG);
	cr_assert_eq(h1_parse_request(span_first(in, 15), 0, &tight, &out),
	             H1_TARGET_TOO_LONG);
	tight.target_max++;
	tight.fields_max--;
	cr_assert_eq(h1_parse_request(in, 0, &tight, &out), H1_TOO_MANY_FIELDS);
	tight.fields_max++;
	tight.head_max--;
	cr_assert_eq(h1_parse_request(in, 0, &tight, &out), H1_HEAD_TOO_LARGE);
	cr_assert_eq(h1_parse_request(in, len - 2, &tight, &out),
	             H1_HEAD_TOO_LARGE);
	cr_assert_eq(h1_parse_request(span_first(in, len - 2), 0, &tight, &out),
	             H1_MORE);
}

Test(h1, every_refusal_has_a_status_and_a_sentence)
{
	static const int statuses[] = { 400, 414, 417, 431, 501, 505 };

	for (unsigned i = H1_MORE + 1; i < H1_RESULTS_MAX; i++) {
		bool known = false;

		for (size_t j = 0; j < ARRAY_LEN(statuses); j++)
			known |= h1_status((enum h1_result)i) == statuses[j];
		cr_assert(known, "result %u", i);
		cr_assert_not_null(h1_reason((enum h1_result)i));
	}
}

static const struct response_sample {
	const char *wire;
	enum h1_result result;
	int status;
	enum h1_body body;
	bool to_head, keep_alive;
} responses[] = {
	{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", H1_OK, 200,
	  H1_BODY_LENGTH, false, true },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", H1_OK, 200,
	  H1_BODY_NONE, true, true },
	{ "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", H1_OK, 200, H1_BODY_NONE,
	  false, true },
	{ "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n", H1_OK, 200,
	  H1_BODY_CHUNKED, false, true },
	{ "HTTP/1.1 200 Fine \xc3\xa9\r\n\r\n", H1_OK, 200, H1_BODY_UNTIL_CLOSE,
	  false, false },
	{ "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n", H1_OK, 200,
	  H1_BODY_LENGTH, false, false },
	{ "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
	  "Content-Length: 2\r\n\r\n",
	  H1_OK, 200, H1_BODY_LENGTH, false, true },
	{ "HTTP/1.1 100 Continue\r\n\r\n", H1_OK, 100, H1_BODY_NONE, false,
	  true },
	{ "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", H1_OK, 101,
	  H1_BODY_NONE, false, false },
	{ "HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n", H1_OK, 204,
	  H1_BODY_NONE, false, true },
	{ "HTTP/1.1 204 None\r\nContent-Length: 7\r\n\r\n", H1_OK, 204,
	  H1_BODY_NONE, false, false },
	{ "HTTP/1.1 304 Same\r\nContent-Length: 7\r\n\r\n", H1_OK, 304,
	  H1_BODY_NONE, false, true },
	{ "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n",
	  H1_OK, 200, H1_BODY_LENGTH, false, false },

	{ "\r\nHTTP/1.1 200 OK\r\n\r\n", H1_BAD_LINE, 0, 0, false, false },
	{ "HTTP/1.1  200 OK\r\n\r\n", H1_BAD_LINE, 0, 0, false, false },
	{ "HTTP/1.1 20 OK\r\n\r\n", H1_BAD_LINE, 0, 0, false, false },
	{ "HTTP/1.1 2000 OK\r\n\r\n", H1_BAD_LINE, 0, 0, false, false },
	{ "HTTP/1.1 600 OK\r\n\r\n", H1_BAD_LINE, 0, 0, false, false },
	{ "HTTP/1.1 099 OK\r\n\r\n", H1_BAD_LINE, 0, 0, false, false },
	{ "HTTP/1.1 200 O\x01K\r\n\r\n", H1_BAD_LINE, 0, 0, false, false },
	{ "HTTP/1.1 200 OK\n\n", H1_BAD_NEWLINE, 0, 0, false, false },
	{ "HTTP/1.1 200\rOK\r\n\r\n", H1_BAD_NEWLINE, 0, 0, false, false },
	{ "HTTP/2 200\r\n\r\n", H1_BAD_LINE, 0, 0, false, false },
	{ "HTTP/2.0 200 OK\r\n\r\n", H1_UNKNOWN_VERSION, 0, 0, false, false },
	{ "ICY 200 OK\r\n\r\n", H1_BAD_LINE, 0, 0, false, false },
	{ "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", H1_BAD_FOLD, 0, 0, false,
	  false },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
	  H1_BAD_LENGTH, 0, 0, false, false },
	{ "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n", H1_BAD_LENGTH, 0, 0,
	  false, false },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
	  "Transfer-Encoding: chunked\r\n\r\n",
	  H1_BAD_FRAMING, 0, 0, false, false },
	{ "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	  H1_BAD_FRAMING, 0, 0, false, false },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
	  H1_UNKNOWN_CODING, 0, 0, false, false },
};

static void check_response(const struct response_sample *s, size_t cut)
{
	static struct h1_response out;
	size_t len = strlen(s->wire);
	char *a = exact(s->wire, cut), *b = exact(s->wire, len);
	enum h1_result result = h1_parse_response(span_of(a, cut), 0, &limits,
	                                          s->to_head, &out);

	cr_assert(result == H1_MORE || result == s->result);
	result = h1_parse_response(span_of(b, len), result == H1_MORE ? cut : 0,
	                           &limits, s->to_head, &out);
	cr_assert_eq(result, s->result, "%s cut at %zu: %s", s->wire, cut,
	             h1_reason(result));
	if (result == H1_OK) {
		cr_assert_eq(out.status, s->status);
		cr_assert_eq(out.head.body, s->body, "%s", s->wire);
		cr_assert_eq(out.head.keep_alive, s->keep_alive, "%s", s->wire);
		cr_assert_eq(
			out.head.bytes,
			(size_t)(strstr(s->wire, "\r\n\r\n") + 4 - s->wire));
	}
	free(a);
	free(b);
}

Test(h1, responses_at_every_cut)
{
	for (size_t i = 0; i < ARRAY_LEN(responses); i++)
		for (size_t cut = 0; cut <= strlen(responses[i].wire); cut++)
			check_response(&responses[i], cut);
}

Test(h1, keep_alive_timeout)
{
	static const struct {
		const char *wire;
		uint32_t seconds;
	} table[] = {
		{ "HTTP/1.1 200 OK\r\n\r\n", 0 },
		{ "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=9\r\n\r\n",
		  5 },
		{ "HTTP/1.1 200 OK\r\nKeep-Alive: max=9,Timeout=61\r\n\r\n",
		  61 },
		{ "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=x\r\n\r\n", 0 },
		{ "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=99999999999\r\n\r\n",
		  0 },
	};
	static struct h1_response out;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		cr_assert_eq(h1_parse_response(span_str(table[i].wire), 0,
		                               &limits, false, &out),
		             H1_OK);
		cr_assert_eq(out.keep_alive_seconds, table[i].seconds);
	}
}

Test(h1, fields_of_the_connection)
{
	struct h1_request r = request(
		GET HOST "Connection: close, X-Mine\r\nX-Mine: 1\r\n" END);

	cr_assert(h1_is_hop(&r.head, SPAN("Connection")));
	cr_assert(h1_is_hop(&r.head, SPAN("TRANSFER-encoding")));
	cr_assert(h1_is_hop(&r.head, SPAN("x-mine")));
	cr_assert(!h1_is_hop(&r.head, SPAN("mcp-param-region")));
}
