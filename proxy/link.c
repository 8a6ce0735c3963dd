#include "proxy/link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/media.h"
#include "lib/version.h"

#define HEAD_MAX  65536 /* bytes of an answer's head */
#define TRIES_MAX 2     /* times one request is written at most */
#define STALE_MS  1000  /* idle longer than this is looked at before use */
#define MARGIN_MS 1000  /* before the backend's own keep-alive ends */
#define LINES     12

static const struct h1_limits limits = {
	.head_max = HEAD_MAX,
	.target_max = 0,
	.fields_max = H1_FIELDS_MAX,
};

static void on_ready(struct source *src, uint32_t events);

/* ---- idle and closed ---- */

static void on_gone(struct source *src)
{
	struct link *l = CONTAINER_OF(src, struct link, src);

	buf_free(&l->in);
	buf_free(&l->out);
	free(l);
}

static void take_idle(struct link *l)
{
	assert(l->prev);
	*l->prev = l->next;
	if (l->next)
		l->next->prev = l->prev;
	l->pool->n_idle--;
	loop_timer_stop(l->up->loop, &l->timer);
}

void link_close(struct link *l)
{
	if (l->src.fd < 0)
		return;
	if (l->prev)
		take_idle(l);
	l->prev = NULL;
	loop_close(l->up->loop, &l->src);
}

void link_close_idle(struct pool *pool)
{
	while (pool->idle)
		link_close(pool->idle);
}

static void on_idle_due(struct timer *t)
{
	link_close(CONTAINER_OF(t, struct link, timer));
}

void link_release(struct link *l, const struct exchange *x)
{
	const struct settings *s = x->snap->settings;
	uint64_t keep_ms = (uint64_t)s->upstream_idle_timeout;

	l->x = NULL;
	if (l->keep_ms && l->keep_ms < keep_ms + MARGIN_MS)
		keep_ms = l->keep_ms > MARGIN_MS ? l->keep_ms - MARGIN_MS : 0;
	if (!l->keep_alive || l->out.len || keep_ms == 0 ||
	    l->identity != l->pool->identity ||
	    l->pool->n_idle >= (uint64_t)s->upstream_max_idle) {
		link_close(l);
		return;
	}
	l->idle_since_ms = loop_now_ms(l->up->loop);
	l->next = l->pool->idle;
	if (l->next)
		l->next->prev = &l->next;
	l->prev = &l->pool->idle;
	l->pool->idle = l;
	l->pool->n_idle++;
	loop_timer(l->up->loop, &l->timer, keep_ms, on_idle_due);
	loop_set(l->up->loop, &l->src, EPOLLIN | EPOLLRDHUP);
}

/* ---- sending ---- */

static void iov_set(struct iovec *v, struct span s)
{
	v->iov_base = (void *)(uintptr_t)s.at;
	v->iov_len = s.len;
}

/* n in decimal, at the end of digits. */
static struct span decimal(size_t n, char digits[24])
{
	size_t at = 24;

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	return span_of(digits + at, 24 - at);
}

/* Keep what the socket did not take. */
static int keep_rest(struct buf *out, const struct iovec *iov, size_t sent)
{
	out->max = SIZE_MAX / 2;
	for (size_t i = 0; i < LINES; i++) {
		size_t skip = MIN(sent, iov[i].iov_len);

		sent -= skip;
		buf_add(out, (char *)iov[i].iov_base + skip,
		        iov[i].iov_len - skip);
	}
	return buf_err(out);
}

static ssize_t write_once(struct upstream *up, int fd, struct iovec *iov)
{
	size_t total = 0;

	for (size_t i = 0; i < LINES; i++)
		total += iov[i].iov_len;
	if (total <= sizeof(up->out)) {
		char *to = up->out;

		for (size_t i = 0; i < LINES; i++) {
			if (iov[i].iov_len)
				memcpy(to, iov[i].iov_base, iov[i].iov_len);
			to += iov[i].iov_len;
		}
		return send(fd, up->out, total, MSG_NOSIGNAL);
	}
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = LINES };

	return sendmsg(fd, &m, MSG_NOSIGNAL);
}

/* What stands around the target, and what is said of bodies. */
static const struct {
	struct span verb, accepts;
	bool has_body;
} verbs[] = {
	[EXCHANGE_POST] = { { "POST ", 5 },
	                    { "Content-Type: application/json\r\n"
	                      "Accept: application/json, text/event-stream\r\n",
	                      77 },
	                    true },
	[EXCHANGE_GET] = { { "GET ", 4 },
	                   { "Accept: text/event-stream\r\n", 27 },
	                   false },
	[EXCHANGE_DELETE] = { { "DELETE ", 7 }, { "", 0 }, false },
};

void link_watch(struct link *l)
{
	uint32_t events = l->out.len ? EPOLLOUT : 0;

	if (!l->x->paused)
		events |= EPOLLIN | EPOLLRDHUP;
	loop_set(l->up->loop, &l->src, events);
}

/* Write the request; what does not fit goes out when the socket is ready. */
static int send_request(struct link *l, struct exchange *x)
{
	const struct backend *b = exchange_backend(x);
	const bool has_body = verbs[x->method].has_body;
	char digits[24];
	struct span length = decimal(x->body.len, digits);
	struct iovec iov[LINES];
	const struct span pieces[LINES] = {
		verbs[x->method].verb,
		snapshot_text(x->snap, b->path),
		SPAN(" HTTP/1.1\r\nHost: "),
		snapshot_text(x->snap, b->authority),
		SPAN("\r\nUser-Agent: oci-mcp-gateway/" VERSION "\r\n"),
		verbs[x->method].accepts,
		snapshot_text(x->snap, b->fields),
		x->fields,
		has_body ? SPAN("Content-Length: ") : SPAN(""),
		has_body ? length : SPAN(""),
		has_body ? SPAN("\r\n\r\n") : SPAN("\r\n"),
		has_body ? x->body : SPAN(""),
	};

	for (size_t i = 0; i < LINES; i++)
		iov_set(&iov[i], pieces[i]);

	ssize_t sent = write_once(l->up, l->src.fd, iov);
	if (sent < 0 && errno != EAGAIN && errno != EINTR)
		return os_error();
	if (sent > 0)
		l->written = true;

	size_t total = 0;
	for (size_t i = 0; i < LINES; i++)
		total += iov[i].iov_len;
	if (sent < 0 || (size_t)sent < total) {
		int err = keep_rest(&l->out, iov, sent < 0 ? 0 : (size_t)sent);

		if (err < 0)
			return err;
	}
	x->state = SENT;
	link_watch(l);
	loop_timer(l->up->loop, &x->timer, link_patience_ms(x), exchange_due);
	return 0;
}

static int send_rest(struct link *l)
{
	ssize_t n = send(l->src.fd, l->out.bytes, l->out.len, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : os_error();
	if (n > 0)
		l->written = true;
	buf_consume(&l->out, (size_t)n);
	if (l->out.len == 0) {
		buf_free(&l->out);
		link_watch(l);
	}
	return 0;
}

/* ---- connecting ---- */

/* Begin to connect to one address. The link is not on the loop on failure. */
static int link_connect(struct link *l, const struct sockaddr_storage *to)
{
	socklen_t len = to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
	                                          : sizeof(struct sockaddr_in);
	int one = 1;
	int err;
	int fd = socket(to->ss_family,
	                SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return os_error();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	l->src.fd = fd;
	if (connect(fd, (const struct sockaddr *)to, len) == 0 ||
	    errno == EINPROGRESS)
		err = loop_add(l->up->loop, &l->src, EPOLLOUT);
	else
		err = os_error();
	if (err < 0) {
		close(fd);
		l->src.fd = -1;
	}
	return err;
}

static struct link *link_new(struct exchange *x, uint32_t address)
{
	struct link *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->src.fd = -1;
	l->src.on_ready = on_ready;
	l->src.on_gone = on_gone;
	l->up = x->up;
	l->pool = exchange_pool(x);
	l->identity = l->pool->identity;
	l->address = address;
	l->in.max = HEAD_MAX + LINK_SCRATCH_IN;
	return l;
}

void link_open(struct exchange *x, uint32_t address)
{
	const struct origin *o = snapshot_origin(x->snap, x->backend);
	struct link *l = link_new(x, address);

	while (l && l->address < o->n_addresses &&
	       link_connect(l, &o->addresses[l->address]) < 0)
		l->address++;
	if (!l || l->address >= o->n_addresses) {
		free(l);
		exchange_fail_later(x);
		return;
	}
	l->x = x;
	x->link = l;
	x->state = CONNECTING;
	exchange_take(x);
	count_own(&x->up->slot->upstream_connections, 1);
	loop_timer(x->up->loop, &x->timer,
	           exchange_backend(x)->connect_timeout_ms, exchange_due);
}

/* Did the backend close it while it was idle, unseen by this turn's events? */
static bool stale(const struct link *l)
{
	char byte;

	if (loop_now_ms(l->up->loop) - l->idle_since_ms < STALE_MS)
		return false;
	return recv(l->src.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
	       errno != EAGAIN;
}

bool link_reuse(struct exchange *x)
{
	struct pool *pool = exchange_pool(x);

	while (pool->idle) {
		struct link *l = pool->idle;

		take_idle(l);
		l->prev = NULL;
		if (stale(l)) {
			link_close(l);
			continue;
		}
		l->reused = true;
		l->serial++;
		l->written = false;
		l->x = x;
		x->link = l;
		exchange_take(x);
		if (send_request(l, x) == 0) {
			count_own(&x->up->slot->upstream_reused, 1);
			return true;
		}
		/* Not a byte went out: another connection may try. */
		exchange_give(x);
		l->x = NULL;
		x->link = NULL;
		link_close(l);
	}
	return false;
}

/* ---- the answer ---- */

static bool too_much(const struct exchange *x)
{
	return !x->stream &&
	       x->received > (uint64_t)x->snap->settings->limits_response_bytes;
}

void link_broken(struct link *l, enum exchange_end why, const char *detail)
{
	struct exchange *x = l->x;
	bool unsent = !l->written;
	bool silent = x->state == SENT && l->in.len == 0;

	l->x = NULL;
	x->link = NULL;
	link_close(l);
	if (why == EXCHANGE_BROKEN && silent && x->tries < TRIES_MAX &&
	    (unsent || (l->reused && x->repeatable))) {
		x->tries++;
		x->state = IDLE;
		exchange_give(x);
		loop_timer_stop(x->up->loop, &x->timer);
		count_shared(&x->up->board->backends[exchange_backend(x)->slot]
		                      .retries,
		             1);
		/* Other idle connections are probably as dead as this one. */
		link_close_idle(l->pool);
		link_open(x, 0);
		return;
	}
	exchange_finish(x, why, detail);
}

static void connected(struct link *l)
{
	struct exchange *x = l->x;
	int err = 0;
	socklen_t len = sizeof(err);

	getsockopt(l->src.fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err) {
		uint32_t address = l->address + 1;
		const struct origin *o = snapshot_origin(x->snap, x->backend);

		l->x = NULL;
		x->link = NULL;
		link_close(l);
		if (address < o->n_addresses) {
			exchange_give(x);
			link_open(x, address);
			return;
		}
		exchange_finish(x, EXCHANGE_REFUSED, log_errno(-err));
		return;
	}
	if (send_request(l, x) < 0)
		link_broken(l, EXCHANGE_BROKEN, "the connection broke at once");
}

/* All of the body was read; what is left over belongs to nobody. */
static void complete(struct link *l, bool leftover)
{
	struct exchange *x = l->x;

	if (leftover)
		l->keep_alive = false;
	x->link = NULL;
	link_release(l, x);
	exchange_finish(x, EXCHANGE_COMPLETE, "");
}

/* The next body bytes at the front of in; empty when there are none now. */
static struct span take(struct link *l, struct span *in)
{
	struct span piece = *in;

	switch (l->framing) {
	case H1_BODY_CHUNKED:
		return chunked_next(&l->chunked, in);
	case H1_BODY_LENGTH:
		piece = span_first(*in, (size_t)MIN(l->left, in->len));
		l->left -= piece.len;
		break;
	case H1_BODY_NONE:
		piece.len = 0;
		break;
	case H1_BODY_UNTIL_CLOSE:
		break;
	}
	*in = span_from(*in, piece.len);
	return piece;
}

/* Was the last byte of the body taken? */
static bool at_last(const struct link *l)
{
	return l->framing == H1_BODY_NONE ||
	       (l->framing == H1_BODY_LENGTH && l->left == 0) ||
	       (l->framing == H1_BODY_CHUNKED &&
	        l->chunked.state == CHUNK_DONE);
}

/*
 * Hand out body bytes, one piece behind what is read, so that it is known of
 * the last piece that it is the last: whoever is satisfied with it gives the
 * connection back at once. The link or its exchange may end in here.
 */
static void deliver(struct link *l, struct span in)
{
	uint32_t serial = l->serial;
	struct span piece = take(l, &in);

	while (piece.len && l->x && l->serial == serial) {
		struct exchange *x = l->x;
		struct span next = take(l, &in);

		l->last = next.len == 0 && at_last(l);
		if (l->last && in.len)
			l->keep_alive = false;
		x->received += piece.len;
		if (too_much(x)) {
			link_broken(l, EXCHANGE_TOO_LARGE,
			            "the answer is over limits.response_bytes");
			return;
		}
		x->ops->body(x, piece);
		piece = next;
	}
	if (!l->x || l->serial != serial)
		return; /* cancelled, or serving another exchange already */
	if (l->framing == H1_BODY_CHUNKED && l->chunked.state == CHUNK_BAD)
		link_broken(l, EXCHANGE_GARBAGE,
		            "its chunked coding is broken");
	else if (at_last(l))
		complete(l, in.len > 0);
}

/* The head in up->response is complete; rest is what came behind it. */
static void answer(struct link *l, struct span rest)
{
	struct exchange *x = l->x;
	const struct h1_response *r = &l->up->response;
	const struct backend *b = exchange_backend(x);
	bool stream =
		x->stream || media_type_is(h1_value(&r->head, H1_CONTENT_TYPE),
	                                   SPAN("text/event-stream"));
	struct exchange_head head = {
		.status = r->status,
		.content_type = h1_value(&r->head, H1_CONTENT_TYPE),
		.session_id = h1_value(&r->head, H1_MCP_SESSION_ID),
		.has_length = r->head.body == H1_BODY_LENGTH ||
		              r->head.body == H1_BODY_NONE,
		.length = r->head.content_length,
	};

	l->framing = r->head.body;
	l->left = r->head.content_length;
	l->chunked = (struct chunked){ 0 };
	l->keep_alive = r->head.keep_alive;
	l->keep_ms = MIN(r->keep_alive_seconds, 86400u) * 1000u;
	x->state = ANSWERING;
	l->silence_ms = stream ? b->stream_idle_ms : b->idle_timeout_ms;
	loop_timer(l->up->loop, &x->timer, l->silence_ms, exchange_due);
	if (r->status < 500)
		board_breaker_ok(&l->up->board->backends[b->slot]);
	l->last = false;

	uint32_t serial = l->serial;
	x->ops->head(x, &head);
	if (l->x && l->serial == serial)
		deliver(l, rest);
}

/* Look for a head at the front of in, over 1xx heads. */
static void read_head(struct link *l, struct span in)
{
	for (;;) {
		enum h1_result r = h1_parse_response(in, 0, &limits, false,
		                                     &l->up->response);

		if (r == H1_MORE) {
			/* Rare: the head came in pieces. Keep them. */
			if (in.at != l->in.bytes) {
				l->in.len = 0;
				buf_add_span(&l->in, in);
			} else {
				l->in.len = in.len;
			}
			if (buf_err(&l->in) < 0)
				link_broken(l, EXCHANGE_GARBAGE,
				            "its head is too large");
			return;
		}
		if (r != H1_OK) {
			link_broken(l, EXCHANGE_GARBAGE, h1_reason(r));
			return;
		}
		in = span_from(in, l->up->response.head.bytes);
		if (l->up->response.status >= 200)
			break;
		if (in.at >= l->in.bytes && in.at < l->in.bytes + l->in.cap) {
			buf_consume(&l->in, l->in.len - in.len);
			in = buf_span(&l->in);
		}
	}

	/* Kept pieces move aside, so that they can be given back at once. */
	struct buf kept = l->in;
	size_t max = l->in.max;

	l->in = (struct buf){ .max = max };
	answer(l, in);
	buf_free(&kept);
}

static void at_end(struct link *l)
{
	struct exchange *x = l->x;

	if (x->state == ANSWERING && l->framing == H1_BODY_UNTIL_CLOSE) {
		l->keep_alive = false;
		complete(l, false);
		return;
	}
	link_broken(l, EXCHANGE_BROKEN,
	            x->state == ANSWERING
	                    ? "the connection ended inside the answer"
	                    : "the connection ended before an answer");
}

static void readable(struct link *l)
{
	struct exchange *x = l->x;
	ssize_t n = recv(l->src.fd, l->up->in, sizeof(l->up->in), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		at_end(l);
		return;
	}
	struct span in = span_of(l->up->in, (size_t)n);

	if (x->state == ANSWERING) {
		if (!x->unwanted)
			loop_timer(l->up->loop, &x->timer, l->silence_ms,
			           exchange_due);
		deliver(l, in);
		return;
	}
	if (l->in.len) {
		buf_add_span(&l->in, in);
		if (buf_err(&l->in) < 0) {
			link_broken(l, EXCHANGE_GARBAGE,
			            "its head is too large");
			return;
		}
		in = buf_span(&l->in);
	}
	read_head(l, in);
}

static void on_ready(struct source *src, uint32_t events)
{
	struct link *l = CONTAINER_OF(src, struct link, src);
	struct exchange *x = l->x;

	if (!x) { /* idle: the backend closed it, or speaks out of turn */
		link_close(l);
		return;
	}
	if (x->state == CONNECTING) {
		connected(l);
		return;
	}
	if ((events & EPOLLOUT) && l->out.len && send_rest(l) < 0) {
		link_broken(l, EXCHANGE_BROKEN, "the connection broke");
		return;
	}
	if (x->paused) {
		/* Nothing is read now; only a broken socket gets here. */
		if (events & (EPOLLERR | EPOLLHUP))
			link_broken(l, EXCHANGE_BROKEN, "the connection broke");
		return;
	}
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
		readable(l);
}
