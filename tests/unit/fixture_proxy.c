#include "tests/unit/fixture_proxy.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/crypto.h"
#include "lib/scan.h"
#include "lib/sse.h"
#include "lib/value.h"
#include "proxy/catalog.h"
#include "proxy/extension.h"

#define MANY      65536      /* requests one server remembers */
#define TEXT_SIZE (64 << 20) /* bytes of anything */

/* ---- snapshots ---- */

struct board *fixture_board(void)
{
	static struct board *board;
	int fd;

	if (!board) {
		cr_assert_eq(board_new(64, 256, &board, &fd), 0);
		close(fd);
	}
	return board;
}

void fixture_settings(struct settings *s)
{
	*s = (struct settings){
#define SETTING(name, path, type, unit, value, min, max, reload, help) \
	.name = value,
#include "shm/settings.def"
#undef SETTING
	};
}

static uint32_t or (uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

static void config(struct builder *b, const struct fixture_setup *setups,
                   size_t n, const struct settings *settings)
{
	struct backend backends[BACKENDS_MAX] = { 0 };
	char text[64];

	builder_init(b);
	struct ref r = builder_array(b, settings, 1, sizeof(*settings));
	builder_header(b)->settings = r;
	builder_header(b)->config_generation = 1;
	r = builder_text(b, SPAN("gateway"));
	builder_header(b)->name = r;
	r = builder_text(b, SPAN("1.2.3"));
	builder_header(b)->program_version = r;
	r = builder_text(b, SPAN("/mcp"));
	builder_header(b)->path = r;
	for (size_t i = 0; i < n; i++) {
		const struct fixture_setup *s = &setups[i];
		struct backend *to = &backends[i];

		to->name = builder_text(b, span_str(s->name));
		to->identifier = to->name;
		snprintf(text, sizeof(text), "127.0.0.1:%u", s->port);
		to->authority = builder_text(b, span_str(text));
		to->host = builder_text(b, SPAN("127.0.0.1"));
		snprintf(text, sizeof(text), "http://127.0.0.1:%u/m", s->port);
		to->url = builder_text(b, span_str(text));
		to->path = builder_text(b, SPAN("/m?q=1"));
		if (s->fields)
			to->fields = builder_text(b, span_str(s->fields));
		to->flags = s->flags;
		to->slot = (uint32_t)i + 1;
		to->port = s->port;
		to->connect_timeout_ms = or (s->connect_timeout_ms, 2000);
		to->request_timeout_ms = or (s->request_timeout_ms, 4000);
		to->idle_timeout_ms = or (s->idle_timeout_ms, 4000);
		to->stream_idle_ms = or (s->idle_timeout_ms, 4000);
		to->max_connections = or (s->max_connections, 8);
		if (s->needs)
			scope_set_add(&to->needs, s->needs - 1);
	}
	r = builder_array(b, backends, n, sizeof(*backends));
	builder_header(b)->backends = r;
}

static struct catalog_backend *know(const struct fixture_setup *s)
{
	struct catalog_backend *to = calloc(1, sizeof(*to));
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_port = htons(s->port),
		                  .sin_addr = { htonl(INADDR_LOOPBACK) } };

	cr_assert_not_null(to);
	for (int v = 0; v < VIEWS; v++)
		for (int k = 0; k < LIST_KINDS; k++) {
			to->eras[v].items[k].max = LAYOUT_MAX;
			to->eras[v].known |= s->items[v][k] != NULL;
			if (s->items[v][k])
				buf_puts(&to->eras[v].items[k], s->items[v][k]);
		}
	for (int v = 0; v < VIEWS; v++)
		if (to->eras[v].known)
			to->eras[v].abilities =
				ABILITY_TOOLS | ABILITY_PROMPTS |
				ABILITY_RESOURCES | ABILITY_COMPLETIONS |
				(s->subscribe ? ABILITY_SUBSCRIBE : 0);
	for (int v = 0; v < VIEWS; v++) {
		struct buf *out = &to->eras[v].extensions;

		out->max = EXTENSION_BYTES_MAX;
		extension_keep(span_str(s->extensions[v]), out);
		to->eras[v].abilities |= extension_abilities(buf_span(out));
	}
	to->origin.eras = s->eras;
	if (s->legacy_version)
		snprintf(to->legacy_version, sizeof(to->legacy_version), "%s",
		         s->legacy_version);
	for (int v = 0; v < VIEWS; v++)
		to->origin.abilities |= to->eras[v].abilities;
	if (s->subscribe)
		to->origin.abilities |= ABILITY_SUBSCRIBE;
	if (s->port) {
		to->origin.n_addresses = 1;
		memcpy(&to->origin.addresses[0], &at, sizeof(at));
	}
	return to;
}

struct snapshot *fixture_snapshot(const struct fixture_setup *setups, size_t n,
                                  const struct settings *settings,
                                  void (*more)(struct builder *b))
{
	struct catalog_backend *known[BACKENDS_MAX] = { NULL };
	struct snapshot *snap;
	struct builder b;

	config(&b, setups, n, settings);
	if (more)
		more(&b);
	builder_end_config(&b);
	for (size_t i = 0; i < n; i++)
		known[i] = know(&setups[i]);
	cr_assert_eq(catalog_build(&b, fixture_board(), known), 0);

	int fd = builder_freeze(&b);
	cr_assert_geq(fd, 0);
	cr_assert_eq(snapshot_open(fd, &snap), 0);
	for (size_t i = 0; i < n; i++) {
		for (int v = 0; v < VIEWS; v++)
			buf_free(&known[i]->eras[v].extensions);
		for (int k = 0; k < VIEWS * LIST_KINDS; k++)
			buf_free(&known[i]->eras[k % VIEWS].items[k / VIEWS]);
		free(known[i]);
	}
	return snap;
}

/* ---- requests ---- */

void fixture_read(const char *fields, const char *body,
                  struct h1_request *request, struct message *msg)
{
	static const struct h1_limits limits = { 65536, 8192, H1_FIELDS_MAX };
	static char *head, *text;
	struct problem why = { 0 };
	int n;

	free(head);
	free(text);
	n = asprintf(&head, "POST /mcp HTTP/1.1\r\nHost: h\r\n%s\r\n", fields);
	cr_assert_gt(n, 0);
	cr_assert_eq(
		h1_parse_request(span_of(head, (size_t)n), 0, &limits, request),
		H1_OK);
	text = strdup(body);
	cr_assert(message_read(&request->head, span_str(text), msg, &why),
	          "%s: %s", why.text, body);
}

void fixture_ask(enum view_era era, const char *id, const char *method,
                 const char *name, const char *params, const char *meta,
                 struct h1_request *request, struct message *msg)
{
	struct buf f = { .max = 65536 }, b = { .max = TEXT_SIZE };
	const char *comma = *params ? "," : "";

	buf_addf(&b,
	         "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"%s\","
	         "\"params\":{",
	         id, method);
	if (era == VIEW_MODERN) {
		buf_addf(&f,
		         "MCP-Protocol-Version: 2026-07-28\r\n"
		         "Mcp-Method: %s\r\n",
		         method);
		if (name) {
			buf_puts(&f, "Mcp-Name: ");
			message_sentinel(span_str(name), &f);
			buf_puts(&f, "\r\n");
		}
		buf_addf(&b, "%s%s\"_meta\":{" FIXTURE_META "%s%s}}}", params,
		         comma, *meta ? "," : "", meta);
	} else if (*meta) {
		buf_addf(&b, "%s%s\"_meta\":{%s}}}", params, comma, meta);
	} else {
		buf_addf(&b, "%s}}", params);
	}
	buf_putc(&f, '\0');
	buf_putc(&b, '\0');
	cr_assert_eq(buf_err(&b), 0);
	fixture_read(f.bytes, b.bytes, request, msg);
	buf_free(&f);
	buf_free(&b);
}

/* ---- a client ---- */

static struct fixture_client *client_of(struct reply *r)
{
	return CONTAINER_OF(r, struct fixture_client, reply);
}

static void gather(struct fixture_client *c, const struct iovec *body, int n)
{
	for (int i = 0; i < n; i++)
		buf_add(&c->out, body[i].iov_base, body[i].iov_len);
}

static void whole(struct reply *r, int status, enum reply_type type,
                  const struct iovec *body, int n)
{
	struct fixture_client *c = client_of(r);

	c->status = status;
	c->type = type;
	c->wholes++;
	c->ends++;
	c->complete = true;
	gather(c, body, n);
}

static void begin(struct reply *r, int status, enum reply_type type)
{
	struct fixture_client *c = client_of(r);

	c->status = status;
	c->type = type;
	c->begins++;
	r->begun = true;
}

static void more(struct reply *r, const struct iovec *body, int n)
{
	struct fixture_client *c = client_of(r);

	cr_assert(r->begun && c->ends == 0);
	gather(c, body, n);
}

static void end(struct reply *r, bool complete)
{
	struct fixture_client *c = client_of(r);

	cr_assert(r->begun);
	c->ends++;
	c->complete = complete;
}

static struct fixture_client *corked;

static void cork(struct reply *r)
{
	cr_assert_null(corked);
	corked = client_of(r);
}

bool fixture_has(struct span text, const char *part)
{
	return text.len && memmem(text.at, text.len, part, strlen(part));
}

void fixture_uncork(struct proxy *proxy)
{
	(void)proxy;
	cr_assert_not_null(corked);
	corked = NULL;
}

void fixture_proxy_begin(struct proxy *proxy)
{
	cr_assert_eq(crypto_init(), 0);
	proxy->loop = loop_new();
	proxy->board = fixture_board();
	proxy->slot = &proxy->board->workers[0];
	proxy->up = upstream_new(proxy->loop, proxy->board, proxy->slot);
	proxy->sessions = sessions_new(proxy->up, proxy->loop);
	proxy->uncork = fixture_uncork;
}

void fixture_proxy_end(struct proxy *proxy)
{
	fixture_pause(proxy->loop, 10); /* what was posted, what was cut off */
	call_free_spare(proxy);
	sessions_free(proxy->sessions);
	fixture_pause(proxy->loop, 10);
	upstream_free(proxy->up);
	fixture_pause(proxy->loop, 0);
	loop_free(proxy->loop);
}

static const struct reply_ops ops = {
	.whole = whole,
	.begin = begin,
	.more = more,
	.cork = cork,
	.end = end,
};

void fixture_client_init(struct fixture_client *c, bool json, bool events)
{
	*c = (struct fixture_client){
		.reply = { .ops = &ops,
		           .accepts_json = json,
		           .accepts_events = events,
		           .outcome = OUTCOME_ERROR },
		.out = { .max = TEXT_SIZE },
	};
}

void fixture_client_free(struct fixture_client *c)
{
	buf_free(&c->out);
}

bool fixture_client_done(const struct fixture_client *c)
{
	return c->ends > 0;
}

bool fixture_next_event(struct span *in, struct span *data)
{
	struct span event, head = SPAN("event: message\ndata: ");
	const char *close = in->len ? memmem(in->at, in->len, "\n\n", 2) : NULL;

	if (!close)
		return false;
	event = span_first(*in, (size_t)(close - in->at));
	*in = span_from(*in, event.len + 2);
	if (!span_starts(event, head))
		return false;
	*data = span_from(event, head.len);
	return sse_data_safe(*data);
}

size_t fixture_client_count(const struct fixture_client *c)
{
	struct span in = buf_span(&c->out), data;
	size_t n = 0;

	if (c->type == REPLY_JSON)
		return 1;
	while (fixture_next_event(&in, &data))
		n++;
	return n;
}

struct span fixture_client_message(const struct fixture_client *c, size_t n)
{
	struct span in = buf_span(&c->out), data;

	if (c->type == REPLY_JSON)
		return n ? span_of(NULL, 0) : in;
	do {
		if (!fixture_next_event(&in, &data))
			return span_of(NULL, 0);
	} while (n--);
	return data;
}

struct span fixture_client_last(const struct fixture_client *c)
{
	size_t n = fixture_client_count(c);

	return n ? fixture_client_message(c, n - 1) : span_of(NULL, 0);
}

static const char *fault_of(struct span text, bool last, const char *id)
{
	static const struct scan_want want[] = {
		SCAN_WANT("jsonrpc", SCAN_ROOT), SCAN_WANT("id", SCAN_ROOT),
		SCAN_WANT("method", SCAN_ROOT),  SCAN_WANT("result", SCAN_ROOT),
		SCAN_WANT("error", SCAN_ROOT),   SCAN_WANT("resultType", 3),
		SCAN_WANT("ttlMs", 3),           SCAN_WANT("cacheScope", 3),
	};
	struct span found[ARRAY_LEN(want)];
	struct scan_error why;

	if (scan_document(text, want, ARRAY_LEN(want), found, &why) != SCAN_OK)
		return why.text;
	if (!span_is(found[0], "\"2.0\""))
		return "no jsonrpc";
	if (!last)
		return found[2].at && !found[1].at ? NULL : "no notification";
	if (!span_is(found[1], id))
		return "the id is not the client's";
	if (found[2].at)
		return "an answer with a method";
	if (!found[3].at == !found[4].at)
		return "not one of result and error";
	return NULL;
}

const char *fixture_client_fault(const struct fixture_client *c, const char *id)
{
	size_t n = fixture_client_count(c), bytes = 0;

	if (c->ends != 1)
		return "not ended once";
	if (c->begins + c->wholes != 1)
		return "not one answer";
	if (!c->complete)
		return NULL;
	if (n == 0)
		return "no message";
	for (size_t i = 0; i < n; i++) {
		struct span text = fixture_client_message(c, i);
		const char *fault = fault_of(text, i + 1 == n, id);

		bytes += text.len;
		if (fault)
			return fault;
	}
	if (c->type == REPLY_EVENTS && bytes + n * 23 != c->out.len)
		return "something between the events";
	return NULL;
}

/* ---- a backend ---- */

struct line { /* one connection */
	struct source src;
	struct timer timer;
	struct fixture_server *server;
	struct line *next;
	struct buf in, out;
	struct span request, id, token; /* the last one, and of it */
	size_t sent, piece;
	enum fixture_then then;
	bool answering;
};

struct fixture_server {
	struct source src;
	struct loop *loop;
	uint16_t port;
	struct line *lines;
	const struct fixture_answer *answers;
	const struct fixture_answer *to_get; /* or NULL */
	size_t n_answers, next;
	bool legacy, no_stream;
	unsigned sessions;
	size_t n_requests, n_connections, n_open;
	struct buf requests[MANY];
};

static void close_line(struct line *l)
{
	if (l->src.fd < 0)
		return;
	loop_timer_stop(l->server->loop, &l->timer);
	l->server->n_open--;
	loop_close(l->server->loop, &l->src);
}

static void on_line_due(struct timer *t);
static void serve(struct line *l);

static void reset_line(struct line *l)
{
	struct linger reset = { 1, 0 };

	if (l->src.fd >= 0)
		setsockopt(l->src.fd, SOL_SOCKET, SO_LINGER, &reset,
		           sizeof(reset));
	close_line(l);
}

static void finish_answer(struct line *l)
{
	l->answering = false;
	switch (l->then) {
	case THEN_RESET:
		reset_line(l);
		return;
	case THEN_CLOSE:
		close_line(l);
		return;
	case THEN_SILENT:
		l->answering = true;
		return;
	case THEN_KEEP:
		serve(l);
		return;
	}
}

static void send_some(struct line *l)
{
	size_t left = l->out.len - l->sent;
	size_t n = l->piece ? MIN(l->piece, left) : left;
	ssize_t k = n ? send(l->src.fd, l->out.bytes + l->sent, n,
	                     MSG_NOSIGNAL | MSG_DONTWAIT)
	              : 0;

	if (k < 0 && errno != EAGAIN) {
		close_line(l);
		return;
	}
	if (k > 0)
		l->sent += (size_t)k;
	if (l->sent < l->out.len)
		loop_timer(l->server->loop, &l->timer, 0, on_line_due);
	else
		finish_answer(l);
}

static void on_line_due(struct timer *t)
{
	send_some(CONTAINER_OF(t, struct line, timer));
}

/* Append text with $ID and $TOKEN replaced. */
static void expand(struct buf *out, const char *text, struct span id,
                   struct span token)
{
	for (; *text; text++) {
		if (strncmp(text, "$ID", 3) == 0) {
			buf_add_span(out, id);
			text += 2;
		} else if (strncmp(text, "$TOKEN", 6) == 0) {
			buf_add_span(out, token);
			text += 5;
		} else {
			buf_putc(out, *text);
		}
	}
}

static void compose(struct line *l, const struct fixture_answer *a,
                    struct span body)
{
	struct buf text = { .max = TEXT_SIZE };
	struct span id = value_get(body, SPAN("id"));
	struct span token = value_get(
		value_get(value_get(body, SPAN("params")), SPAN("_meta")),
		SPAN("progressToken"));

	buf_reset(&l->out);
	l->id = id;
	l->token = token;
	l->sent = 0;
	l->piece = a->piece;
	l->then = a->then;
	l->answering = true;
	if (a->raw) {
		expand(&l->out, a->raw, id, token);
		return;
	}
	expand(&text, a->body ? a->body : "", id, token);
	buf_addf(&l->out, "HTTP/1.1 %d X\r\n%s", a->status ? a->status : 200,
	         a->fields ? a->fields : "Content-Type: application/json\r\n");
	if (a->chunked)
		buf_addf(&l->out, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n",
		         text.len);
	else
		buf_addf(&l->out, "Content-Length: %zu\r\n\r\n", text.len);
	buf_add_span(&l->out, buf_span(&text));
	if (a->chunked)
		buf_puts(&l->out, "\r\n0\r\n\r\n");
	buf_free(&text);
}

static bool answer_itself(struct line *l, struct span body)
{
	static char fields[128];
	struct fixture_answer a = { .body = "" };
	struct span method = value_get(body, SPAN("method"));

	if (!l->server->legacy || body.len == 0)
		return false;
	if (span_is(method, "\"initialize\"")) {
		snprintf(fields, sizeof(fields),
		         "Content-Type: application/json\r\n"
		         "Mcp-Session-Id: session-%u\r\n",
		         ++l->server->sessions);
		a.fields = fields;
		a.body = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{"
			 "\"protocolVersion\":\"2025-06-18\","
			 "\"capabilities\":{},\"serverInfo\":{\"name\":\"x\","
			 "\"version\":\"1\"}}}";
	} else if (!value_get(body, SPAN("id")).at || !method.at) {
		a.status = 202;
	} else {
		return false;
	}
	compose(l, &a, body);
	send_some(l);
	return true;
}

/* Answer the request that stands whole at the front of l->in. */
static void serve(struct line *l)
{
	static struct h1_request head;
	static const struct h1_limits limits = { 65536, 8192, H1_FIELDS_MAX };
	struct fixture_server *s = l->server;

	if (l->answering || l->src.fd < 0 || l->in.len == 0 ||
	    h1_parse_request(buf_span(&l->in), 0, &limits, &head) != H1_OK)
		return;

	size_t size = head.head.bytes + (size_t)head.head.content_length;
	if (l->in.len < size)
		return;
	/* It has no stream of the session, and that is no request of a test. */
	if (s->no_stream && head.method == H1_GET &&
	    !h1_has(&head.head, H1_LAST_EVENT_ID)) {
		static const struct fixture_answer none = { .status = 405,
			                                    .body = "" };

		buf_consume(&l->in, size);
		compose(l, &none, SPAN(""));
		send_some(l);
		return;
	}
	cr_assert_lt(s->n_requests, MANY);
	struct buf *kept = &s->requests[s->n_requests++];
	kept->max = TEXT_SIZE;
	buf_add(kept, l->in.bytes, size);
	buf_consume(&l->in, size);
	l->request = buf_span(kept);
	struct span body = span_from(buf_span(kept), head.head.bytes);
	if (answer_itself(l, body))
		return;
	if (s->to_get && head.method == H1_GET) {
		compose(l, s->to_get, body);
		send_some(l);
		return;
	}
	cr_assert_gt(s->n_answers, 0u);
	compose(l, &s->answers[s->next], body);
	if (s->next + 1 < s->n_answers)
		s->next++;
	send_some(l);
}

static void on_line(struct source *src, uint32_t events)
{
	struct line *l = CONTAINER_OF(src, struct line, src);
	char bytes[65536];
	ssize_t n = recv(src->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		close_line(l);
		return;
	}
	buf_add(&l->in, bytes, (size_t)n);
	serve(l);
}

static void on_connection(struct source *src, uint32_t events)
{
	struct fixture_server *s =
		CONTAINER_OF(src, struct fixture_server, src);
	struct line *l = calloc(1, sizeof(*l));
	int one = 1;

	(void)events;
	cr_assert_not_null(l);
	l->server = s;
	l->in.max = l->out.max = TEXT_SIZE;
	l->src.fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC);
	l->src.on_ready = on_line;
	l->next = s->lines;
	s->lines = l;
	if (l->src.fd < 0)
		return;
	setsockopt(l->src.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s->n_connections++;
	s->n_open++;
	cr_assert_eq(loop_add(s->loop, &l->src, EPOLLIN), 0);
}

struct fixture_server *fixture_server_new(struct loop *loop)
{
	struct fixture_server *s = calloc(1, sizeof(*s));
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(at);

	cr_assert_not_null(s);
	s->loop = loop;
	s->src.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->src.on_ready = on_connection;
	cr_assert_eq(bind(s->src.fd, (struct sockaddr *)&at, len), 0);
	cr_assert_eq(listen(s->src.fd, 64), 0);
	cr_assert_eq(getsockname(s->src.fd, (struct sockaddr *)&at, &len), 0);
	s->port = ntohs(at.sin_port);
	cr_assert_eq(loop_add(loop, &s->src, EPOLLIN), 0);
	return s;
}

void fixture_server_hang_up(struct fixture_server *s)
{
	for (struct line *l = s->lines; l; l = l->next)
		close_line(l);
}

void fixture_server_break(struct fixture_server *s)
{
	for (struct line *l = s->lines; l; l = l->next)
		reset_line(l);
}

static bool is_silent(const struct line *l)
{
	return l->src.fd >= 0 && l->answering && l->then == THEN_SILENT &&
	       l->sent == l->out.len;
}

void fixture_server_say(struct fixture_server *s, const char *text)
{
	fixture_server_say_to(s, "", "", text);
}

void fixture_server_say_to(struct fixture_server *s, const char *start,
                           const char *part, const char *text)
{
	struct line *l = s->lines;

	while (l &&
	       !(is_silent(l) && span_starts(l->request, span_str(start)) &&
	         fixture_has(l->request, part)))
		l = l->next;
	cr_assert_not_null(l, "no answer to go on with");
	buf_reset(&l->out);
	l->sent = 0;
	expand(&l->out, text, l->id, l->token);
	send_some(l);
}

void fixture_server_free(struct fixture_server *s)
{
	if (!s)
		return;
	fixture_server_hang_up(s);
	loop_close(s->loop, &s->src);
	fixture_pause(s->loop, 0);
	while (s->lines) {
		struct line *l = s->lines;

		s->lines = l->next;
		buf_free(&l->in);
		buf_free(&l->out);
		free(l);
	}
	for (size_t i = 0; i < s->n_requests; i++)
		buf_free(&s->requests[i]);
	free(s);
}

void fixture_server_deaf(struct fixture_server *s)
{
	loop_close(s->loop, &s->src);
}

uint16_t fixture_server_port(const struct fixture_server *s)
{
	return s->port;
}

void fixture_server_play(struct fixture_server *s,
                         const struct fixture_answer *answers, size_t n)
{
	s->answers = answers;
	s->n_answers = n;
	s->next = 0;
}

void fixture_server_play_get(struct fixture_server *s,
                             const struct fixture_answer *answer)
{
	s->to_get = answer;
}

void fixture_server_no_stream(struct fixture_server *s)
{
	s->no_stream = true;
}

void fixture_server_legacy(struct fixture_server *s, bool on)
{
	s->legacy = on;
}

size_t fixture_server_requests(const struct fixture_server *s)
{
	return s->n_requests;
}

struct span fixture_server_request(const struct fixture_server *s, size_t n)
{
	cr_assert_lt(n, s->n_requests);
	return buf_span(&s->requests[n]);
}

struct span fixture_server_body(const struct fixture_server *s, size_t n)
{
	struct span all = fixture_server_request(s, n);
	const char *empty = memmem(all.at, all.len, "\r\n\r\n", 4);

	return span_from(all, (size_t)(empty - all.at) + 4);
}

size_t fixture_server_count(const struct fixture_server *s, const char *part)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_requests; i++)
		n += fixture_has(fixture_server_request(s, i), part);
	return n;
}

struct sought {
	const struct fixture_server *server;
	const char *part;
	size_t n;
};

static bool has_come(void *arg)
{
	struct sought *s = arg;

	return fixture_server_count(s->server, s->part) >= s->n;
}

void fixture_server_await(const struct fixture_server *s, const char *part,
                          size_t n)
{
	struct sought sought = { s, part, n };

	cr_assert(fixture_run(s->loop, has_come, &sought), "%zu of %zu: %s",
	          fixture_server_count(s, part), n, part);
}

size_t fixture_server_connections(const struct fixture_server *s)
{
	return s->n_connections;
}

size_t fixture_server_open(const struct fixture_server *s)
{
	return s->n_open;
}

/* ---- the loop ---- */

static struct {
	struct loop *loop;
	bool (*done)(void *arg);
	void *arg;
	bool late;
	struct timer limit, tick;
} running;

static void on_limit(struct timer *t)
{
	(void)t;
	running.late = true;
	loop_stop(running.loop);
}

static void on_turn(void *arg)
{
	(void)arg;
	if (running.done && running.done(running.arg))
		loop_stop(running.loop);
}

static void turn(struct loop *loop, bool (*done)(void *arg), void *arg,
                 uint64_t ms)
{
	running.loop = loop;
	running.done = done;
	running.arg = arg;
	running.late = false;
	loop_on_turn(loop, on_turn, NULL);
	loop_timer(loop, &running.limit, ms, on_limit);
	cr_assert_eq(loop_run(loop), 0);
	loop_timer_stop(loop, &running.limit);
}

bool fixture_run(struct loop *loop, bool (*done)(void *arg), void *arg)
{
	if (done(arg))
		return true;
	turn(loop, done, arg, FIXTURE_WAIT_MS);
	return !running.late;
}

void fixture_pause(struct loop *loop, uint64_t ms)
{
	turn(loop, NULL, NULL, ms);
}
