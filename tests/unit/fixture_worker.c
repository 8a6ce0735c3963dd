#include "tests/unit/fixture_worker.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/chunked.h"
#include "proxy/waiting.h"
#include "worker/cancel.h"
#include "worker/handover.h"
#include "worker/record.h"
#include "worker/stream.h"

static void uncork(struct proxy *proxy)
{
	conn_uncork(CONTAINER_OF(proxy, struct worker, proxy));
}

static void here(const struct proxy *proxy, const struct snapshot *snap,
                 struct place *place)
{
	*place = handover_here(CONTAINER_OF(proxy, struct worker, proxy), snap);
}

void fixture_worker_adopt(struct worker *w, struct snapshot *snap)
{
	const struct settings *s = snap->settings;

	struct snapshot *old = w->snap;

	cr_assert_eq(identity_adopt(w->identity, snap), 0);
	w->snap = snap;
	w->limits = (struct h1_limits){
		.head_max = (size_t)s->limits_head_bytes,
		.target_max = (size_t)s->limits_head_bytes / 2,
		.fields_max = (size_t)s->limits_fields,
	};
	upstream_adopt(w->proxy.up, snap);
	streams_adopt(w, old);
	snapshot_unref(old);
}

struct worker *fixture_worker_new(struct snapshot *snap)
{
	struct worker *w = calloc(1, sizeof(*w));

	cr_assert_not_null(w);
	w->board = fixture_board();
	w->me = &w->board->workers[0];
	w->page.max = 128u << 20;
	w->loop = loop_new();
	w->proxy.loop = w->loop;
	w->proxy.board = w->board;
	w->proxy.slot = w->me;
	w->proxy.uncork = uncork;
	w->proxy.here = here;
	w->proxy.up = upstream_new(w->loop, w->board, w->me);
	w->proxy.sessions = sessions_new(w->proxy.up, w->loop);
	w->streams = streams_new(w);
	w->identity = identity_new(w->board, 0);
	w->record = record_new(w);
	w->loopback_only = true;
	fixture_worker_adopt(w, snap);
	return w;
}

void fixture_worker_build(struct worker **w, struct snapshot *snap)
{
	if (*w)
		fixture_worker_adopt(*w, snap);
	else
		*w = fixture_worker_new(snap);
}

char *fixture_seal(const struct worker *w, struct sealed s, const char *asker)
{
	struct buf out = { .max = SEALED_MAX };

	cr_assert(sealed_write(w->snap, span_str(asker), &s, &out));
	buf_putc(&out, '\0');
	cr_assert_eq(buf_err(&out), 0);
	return out.bytes;
}

void fixture_ask_anew(struct fixture_caller *c, struct worker *w,
                      const char *text)
{
	fixture_hang_up(c);
	fixture_call(c, w);
	fixture_say(c, span_str(text), 0);
	fixture_await(c, 1);
}

void fixture_worker_free(struct worker *w)
{
	while (w->conns)
		conn_abort(w->conns);
	waiting_end_all(&w->proxy);
	fixture_pause(w->loop, 5);
	request_fini(w);
	cancel_fini(w);
	call_free_spare(&w->proxy);
	streams_free(w->streams);
	handover_fini(w);
	sessions_free(w->proxy.sessions);
	upstream_free(w->proxy.up);
	identity_free(w->identity);
	record_free(w->record);
	snapshot_unref(w->snap);
	buf_free(&w->page);
	buf_free(&w->cork);
	fixture_pause(w->loop, 0);
	while (w->spare_conns) {
		struct conn *c = w->spare_conns;

		w->spare_conns = c->next;
		free(c);
	}
	free(w->addresses.buckets);
	loop_free(w->loop);
	free(w);
}

/* ---- clients ---- */

static void on_ready(struct source *src, uint32_t events)
{
	struct fixture_caller *c =
		CONTAINER_OF(src, struct fixture_caller, src);
	char bytes[65536];
	ssize_t n;

	(void)events;
	if (c->deaf) {
		loop_set(c->w->loop, src, 0);
		return;
	}
	n = recv(src->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		c->closed = true;
		c->reset = n < 0;
		loop_close(c->w->loop, src);
		return;
	}
	buf_add(&c->in, bytes, (size_t)n);
}

void fixture_call(struct fixture_caller *c, struct worker *w)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
	             0);
	*c = (struct fixture_caller){ .w = w, .in = { .max = 1u << 30 } };
	c->src.fd = fds[0];
	c->src.on_ready = on_ready;
	cr_assert_eq(loop_add(w->loop, &c->src, EPOLLIN), 0);
	conn_accept(w, fds[1], false);
	c->conn = w->conns;
}

void fixture_hang_up(struct fixture_caller *c)
{
	loop_close(c->w->loop, &c->src);
	fixture_pause(c->w->loop, 0);
	buf_free(&c->in);
}

void fixture_say(struct fixture_caller *c, struct span text, size_t piece)
{
	while (text.len && !c->closed) {
		struct span bytes = piece ? span_first(text, piece) : text;
		ssize_t n = send(c->src.fd, bytes.at, bytes.len,
		                 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN)
			return;
		if (n > 0)
			text = span_from(text, (size_t)n);
		if (text.len)
			fixture_pause(c->w->loop, 0);
	}
}

static bool next_head(struct span in, struct h1_response *r, struct buf *body)
{
	static const struct h1_limits limits = { 65536, 0, H1_FIELDS_MAX };

	body->max = 1u << 30;
	return h1_parse_response(in, 0, &limits, false, r) == H1_OK;
}

/* Take the coding off; false: there is more to come. */
static bool decode(struct span *in, struct buf *body)
{
	struct chunked decoder = { 0 };
	struct span piece;

	while ((piece = chunked_next(&decoder, in)).len)
		buf_add_span(body, piece);
	return decoder.state == CHUNK_DONE;
}

/* The next whole answer off the front of in. */
static bool next(struct span *in, struct h1_response *r, struct span *head,
                 struct buf *body)
{
	struct span rest;

	if (!next_head(*in, r, body))
		return false;
	*head = span_first(*in, r->head.bytes);
	rest = span_from(*in, r->head.bytes);
	if (r->head.body == H1_BODY_CHUNKED) {
		if (!decode(&rest, body))
			return false;
	} else if (r->head.body == H1_BODY_LENGTH) {
		if (rest.len < r->head.content_length)
			return false;
		buf_add(body, rest.at, (size_t)r->head.content_length);
		rest = span_from(rest, (size_t)r->head.content_length);
	}
	*in = rest;
	return true;
}

static struct h1_response response;
static struct buf body;

/* The n-th answer is in response and body then. */
static bool find(const struct fixture_caller *c, size_t n, struct span *head)
{
	struct span in = buf_span(&c->in);

	for (size_t i = 0; i <= n; i++) {
		buf_free(&body);
		if (!next(&in, &response, head, &body))
			return false;
	}
	return true;
}

int fixture_status(const struct fixture_caller *c, size_t n)
{
	struct span head;

	return find(c, n, &head) ? response.status : 0;
}

struct span fixture_answer_body(const struct fixture_caller *c, size_t n)
{
	struct span head;

	return find(c, n, &head) ? buf_span(&body) : span_of("", 0);
}

struct span fixture_answer_head(const struct fixture_caller *c, size_t n)
{
	struct span head;

	return find(c, n, &head) ? head : span_of("", 0);
}

struct span fixture_body_so_far(const struct fixture_caller *c)
{
	struct span in = buf_span(&c->in);

	buf_free(&body);
	if (!next_head(in, &response, &body))
		return span_of("", 0);
	in = span_from(in, response.head.bytes);
	if (response.head.body == H1_BODY_CHUNKED)
		decode(&in, &body);
	else
		buf_add_span(&body, in);
	return buf_span(&body);
}

size_t fixture_answers(const struct fixture_caller *c)
{
	struct span in = buf_span(&c->in), head;
	size_t n = 0;

	for (;;) {
		buf_free(&body);
		if (!next(&in, &response, &head, &body))
			return n;
		n++;
	}
}

bool fixture_has_line(const struct fixture_caller *c, size_t n,
                      const char *line)
{
	struct span head = fixture_answer_head(c, n);

	while (head.len) {
		size_t end = span_find(head, '\r');

		if (span_eq_nocase(span_first(head, end), span_str(line)))
			return true;
		head = span_from(head, end + 2);
	}
	return false;
}

struct awaited {
	struct fixture_caller *c;
	size_t n;
};

static bool arrived(void *arg)
{
	struct awaited *a = arg;

	return a->c->closed || fixture_answers(a->c) >= a->n;
}

void fixture_await(struct fixture_caller *c, size_t n)
{
	struct awaited a = { c, n };

	cr_assert(fixture_run(c->w->loop, arrived, &a), "%zu of %zu answers",
	          fixture_answers(c), n);
}

static bool over(void *arg)
{
	return ((struct fixture_caller *)arg)->closed;
}

bool fixture_await_end(struct fixture_caller *c)
{
	return fixture_run(c->w->loop, over, c);
}

char *fixture_post(const char *fields, const char *text)
{
	char *out;

	cr_assert_gt(asprintf(&out,
	                      "POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
	                      "Content-Type: application/json\r\n"
	                      "Content-Length: %zu\r\n%s\r\n%s",
	                      strlen(text), fields, text),
	             0);
	return out;
}

char *fixture_post_chunked(const char *fields, const char *text)
{
	size_t n = strlen(text), half = n / 2;
	char *out;

	cr_assert_gt(asprintf(&out,
	                      "POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
	                      "Content-Type: application/json\r\n"
	                      "Transfer-Encoding: chunked\r\n%s\r\n"
	                      "%zx;x=\"y\"\r\n%.*s\r\n%zX\r\n%s\r\n"
	                      "0\r\nTrailer: t\r\n\r\n",
	                      fields, half, (int)half, text, n - half,
	                      text + half),
	             0);
	return out;
}
