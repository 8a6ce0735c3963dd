#include "worker/conn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/proxyproto.h"
#include "worker/request.h"
#include "worker/stream.h"

#define FULL_BYTES    65536 /* kept for a client before its backend must wait */
#define DRAINED       16384 /* and when it may go on */
#define LINGER_MS     1000
#define DRAIN_IDLE_MS 1000  /* an idle connection of a draining worker */
#define PIPELINE_MAX  65536 /* bytes behind the request in hand */
#define CORK_KEEP     65536 /* bytes of room kept for held back output */
#define JOIN_MAX      4096  /* bytes of an answer sent from one place */
#define TLS_PIECE     16384 /* bytes of one TLS record */

/* A chunked body: in holds the head, then what was decoded, then the rest. */
struct body_state {
	struct chunked decoder;
	size_t head;    /* bytes of the head */
	size_t decoded; /* bytes behind it */
};

static void on_timer(struct timer *t);
static void process(struct conn *c, struct span in);

/* ---- how many from where ---- */

/* False: this address has as many connections as it may have. */
static bool count_address(struct conn *c)
{
	int64_t most = c->w->snap->settings->limits_connections_per_address;

	if (most == 0 || c->trusted)
		return true;
	c->counted = address_take(&c->w->addresses, &c->peer, (uint64_t)most);
	return c->counted;
}

static void uncount_address(struct conn *c)
{
	if (c->counted)
		address_release(&c->w->addresses, &c->peer);
	c->counted = false;
}

/* ---- the end of a connection ---- */

static void on_gone(struct source *src)
{
	struct conn *c = CONTAINER_OF(src, struct conn, src);
	struct worker *w = c->w;

	c->next = w->spare_conns;
	w->spare_conns = c;
	serve_check_drained(w);
}

static void drop(struct conn *c)
{
	struct worker *w = c->w;

	if (c->state == CONN_CLOSED)
		return;
	c->state = CONN_CLOSED;
	if (w->corked == c) {
		w->corked = NULL;
		w->cork.len = 0;
	}
	loop_timer_stop(w->loop, &c->timer);
	uncount_address(c);
	tls_close(c->tls);
	c->tls = NULL;
	free(c->body);
	c->body = NULL;
	buf_free(&c->in);
	buf_free(&c->out);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	w->n_conns--;
	atomic_store_explicit(&w->me->connections_open, w->n_conns,
	                      memory_order_relaxed);
	loop_close(w->loop, &c->src);
}

void conn_abort(struct conn *c)
{
	struct request *r = c->req;

	if (c->state == CONN_CLOSED)
		return;
	c->req = NULL;
	drop(c);
	if (r)
		request_cancel(r);
}

/*
 * The last answer is written. A socket closed with unread bytes resets the
 * connection and may take the answer with it (RFC 9112, section 9.6): so say
 * that we are done, and read what still comes for a moment.
 */
static void linger(struct conn *c)
{
	if (c->gone || c->tls) {
		drop(c);
		return;
	}
	c->state = CONN_LINGER;
	shutdown(c->src.fd, SHUT_WR);
	loop_set(c->w->loop, &c->src, EPOLLIN | EPOLLRDHUP);
	loop_timer(c->w->loop, &c->timer, LINGER_MS, on_timer);
}

/* ---- out ---- */

/* So much waits for the client that no more is answered for now. */
static bool congested(const struct conn *c)
{
	return c->out.len > FULL_BYTES;
}

static void interest(struct conn *c)
{
	uint32_t events = EPOLLRDHUP;

	if (c->state == CONN_CLOSED)
		return;
	if (c->gone)
		events = 0;
	else if (c->in.len < PIPELINE_MAX ||
	         (c->state != CONN_BUSY && !congested(c)))
		events |= EPOLLIN;
	if (c->out.len || c->wants_write)
		events |= EPOLLOUT;
	loop_set(c->w->loop, &c->src, events);
}

static size_t total(const struct iovec *iov, int n)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += iov[i].iov_len;
	return sum;
}

static void keep(struct conn *c, const struct iovec *iov, int n, size_t skip)
{
	c->out.max = SIZE_MAX / 4;
	for (int i = 0; i < n; i++) {
		size_t over = MIN(skip, iov[i].iov_len);

		skip -= over;
		buf_add(&c->out, (char *)iov[i].iov_base + over,
		        iov[i].iov_len - over);
	}
}

/*
 * Small answers are put together first: one copy of a few hundred bytes costs
 * less than the kernel's walk over many pieces.
 */
static ssize_t write_joined(struct conn *c, const struct iovec *iov, int n)
{
	char joined[JOIN_MAX];
	size_t len = 0;

	for (int i = 0; i < n; i++) {
		memcpy(joined + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	return send(c->src.fd, joined, len, MSG_NOSIGNAL);
}

static ssize_t write_plain(struct conn *c, const struct iovec *iov, int n)
{
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)iov,
		            .msg_iovlen = (size_t)n };
	ssize_t sent;

	if (n == 1)
		sent = send(c->src.fd, iov->iov_base, iov->iov_len,
		            MSG_NOSIGNAL);
	else if (total(iov, n) <= JOIN_MAX)
		sent = write_joined(c, iov, n);
	else
		sent = sendmsg(c->src.fd, &m, MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	return sent;
}

/* Encrypt and send what is kept. False: the connection is broken. */
static bool write_tls(struct conn *c)
{
	size_t done = 0;
	uint32_t want = 0;

	while (done < c->out.len) {
		ssize_t n = tls_write(c->tls, c->out.bytes + done,
		                      MIN(c->out.len - done, (size_t)TLS_PIECE),
		                      &want);

		if (n == -EAGAIN)
			break;
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	buf_consume(&c->out, done);
	return true;
}

static void mark_full(struct conn *c)
{
	if (c->req)
		c->req->reply.full = c->out.len > FULL_BYTES;
}

/* The client is gone, noticed while answering: the call ends from the loop. */
static void lost(struct conn *c)
{
	c->gone = true;
	c->close = true;
	buf_free(&c->out);
	/* on_ready() or the timer will find it; nothing is freed in here. */
	shutdown(c->src.fd, SHUT_RDWR);
}

void conn_break(struct conn *c)
{
	if (c->state != CONN_CLOSED && !c->gone)
		lost(c);
}

void conn_cork(struct conn *c)
{
	conn_uncork(c->w);
	c->w->corked = c;
}

void conn_uncork(struct worker *w)
{
	struct conn *c = w->corked;
	struct iovec iov = { w->cork.bytes, w->cork.len };

	w->corked = NULL;
	if (!c || iov.iov_len == 0)
		return;
	conn_send(c, &iov, 1);
	w->cork.len = 0;
	if (w->cork.cap > CORK_KEEP)
		buf_free(&w->cork);
}

/* True: held back. */
static bool hold(struct conn *c, const struct iovec *iov, int n)
{
	struct buf *b = &c->w->cork;

	if (c->w->corked != c)
		return false;
	b->max = SIZE_MAX / 4;
	for (int i = 0; i < n; i++)
		buf_add(b, iov[i].iov_base, iov[i].iov_len);
	return true;
}

void conn_send(struct conn *c, const struct iovec *iov, int n)
{
	size_t sent = 0;

	if (c->state == CONN_CLOSED || c->gone || hold(c, iov, n))
		return;
	if (c->tls) {
		keep(c, iov, n, 0);
		if (!write_tls(c))
			lost(c);
	} else {
		if (c->out.len == 0) {
			ssize_t k = write_plain(c, iov, n);

			if (k < 0) {
				lost(c);
				return;
			}
			sent = (size_t)k;
		}
		if (sent < total(iov, n))
			keep(c, iov, n, sent);
	}
	if (c->out.len) {
		interest(c);
		loop_timer(c->w->loop, &c->timer,
		           (uint64_t)c->w->snap->settings->limits_write_timeout,
		           on_timer);
	} else if (c->out.cap) {
		buf_free(&c->out);
	}
	mark_full(c);
}

static void flush(struct conn *c)
{
	if (c->tls) {
		if (!write_tls(c)) {
			conn_abort(c);
			return;
		}
	} else {
		struct iovec iov = { c->out.bytes, c->out.len };
		ssize_t n = write_plain(c, &iov, 1);

		if (n < 0) {
			conn_abort(c);
			return;
		}
		buf_consume(&c->out, (size_t)n);
	}
	loop_timer(c->w->loop, &c->timer,
	           (uint64_t)c->w->snap->settings->limits_write_timeout,
	           on_timer);
	if (c->out.len == 0) {
		buf_free(&c->out);
		interest(c);
		if (!c->req && c->close)
			linger(c);
		else if (!c->req)
			loop_timer(c->w->loop, &c->timer,
			           (uint64_t)c->w->snap->settings
			                   ->limits_idle_timeout,
			           on_timer);
	}
	if (c->req && c->req->reply.full && c->out.len < DRAINED) {
		c->req->reply.full = false;
		request_drained(c->req);
	}
	/* What was sent ahead has waited for this. */
	if (!c->req && !c->close && c->state == CONN_IDLE && c->in.len &&
	    c->out.len < DRAINED)
		process(c, buf_span(&c->in));
}

/* ---- in ---- */

/* Keep what was not used. in may lie inside c->in. */
static void stash(struct conn *c, struct span in)
{
	if (c->in.len && in.at >= c->in.bytes &&
	    in.at <= c->in.bytes + c->in.len) {
		buf_consume(&c->in, c->in.len - in.len);
		return;
	}
	c->in.len = 0;
	c->in.max = (size_t)c->w->snap->settings->limits_body_bytes * 2 +
	            4 * SERVE_SCRATCH;
	if (in.len)
		buf_add_span(&c->in, in);
}

static void arm(struct conn *c, int64_t ms)
{
	loop_timer(c->w->loop, &c->timer, (uint64_t)ms, on_timer);
}

static void ask_for_more(struct conn *c, const struct h1_request *head)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct iovec iov = { (void *)(uintptr_t)text, sizeof(text) - 1 };

	if (!head->expect_continue || c->continued)
		return;
	c->continued = true;
	conn_send(c, &iov, 1);
}

/* Take the coding off what has come; true when the body is whole. */
static bool decode(struct conn *c, struct span *rest, bool *bad)
{
	struct body_state *b = c->body;
	size_t at = b->head + b->decoded;
	struct span in = span_of(c->in.bytes + at, c->in.len - at);
	size_t most = (size_t)c->w->snap->settings->limits_body_bytes;

	*bad = false;
	for (;;) {
		struct span piece = chunked_next(&b->decoder, &in);

		if (piece.len == 0)
			break;
		memmove(c->in.bytes + b->head + b->decoded, piece.at,
		        piece.len);
		b->decoded += piece.len;
		if (b->decoded > most) {
			request_refuse(c, 413,
			               "The body is over limits.body_bytes");
			return false;
		}
	}
	/* What is announced counts already. */
	if (b->decoder.state != CHUNK_BAD &&
	    b->decoder.left > most - b->decoded) {
		request_refuse(c, 413, "The body is over limits.body_bytes");
		return false;
	}
	if (b->decoder.state == CHUNK_BAD) {
		*bad = true;
		return false;
	}
	if (b->decoder.state == CHUNK_DONE) {
		*rest = in;
		return true;
	}
	/* What is left of the input was used up; close the gap. */
	c->in.len = b->head + b->decoded;
	return false;
}

static void serve(struct conn *c, const struct h1_request *head,
                  struct span body)
{
	struct worker *w = c->w;
	int64_t most = w->snap->settings->limits_requests_per_connection;

	c->served++;
	c->state = CONN_BUSY;
	c->checked = false;
	c->continued = false;
	c->seen = 0;
	if (!head->head.keep_alive || w->draining ||
	    (most && c->served >= (uint64_t)most))
		c->close = true;
	request_serve(c, head, body);
}

/* A request whose body is not here yet. False: it was refused. */
static bool wait_for_body(struct conn *c, const struct h1_request *head)
{
	if (!c->checked && !request_precheck(c, head))
		return false;
	c->checked = true;
	c->state = CONN_BODY;
	ask_for_more(c, head);
	arm(c, c->w->snap->settings->limits_body_timeout);
	return true;
}

/* The rest of a chunked body, in c->in. Returns what is behind it. */
static struct span chunked_body(struct conn *c, bool *more)
{
	struct span rest = { NULL, 0 };
	bool bad;

	*more = false;
	if (!decode(c, &rest, &bad)) {
		if (bad)
			request_refuse(c, 400,
			               "The chunked coding of the body is "
			               "broken");
		else if (c->state != CONN_CLOSED && !c->close)
			arm(c, c->w->snap->settings->limits_body_timeout);
		return rest;
	}

	/* The head's spans are of another time: read it again in place. */
	struct body_state b = *c->body;
	free(c->body);
	c->body = NULL;
	if (h1_parse_request(span_of(c->in.bytes, b.head), 0, &c->w->limits,
	                     &c->w->head) != H1_OK) {
		request_refuse(c, 400, "The head changed its meaning");
		return rest;
	}
	serve(c, &c->w->head, span_of(c->in.bytes + b.head, b.decoded));
	*more = true;
	return rest;
}

static bool begin_chunked(struct conn *c, struct span in,
                          const struct h1_request *head)
{
	size_t n = head->head.bytes;

	if (!c->checked && !request_precheck(c, head))
		return false;
	c->checked = true;
	c->body = calloc(1, sizeof(*c->body));
	if (!c->body) {
		request_refuse(c, 503, "Out of memory");
		return false;
	}
	c->body->head = n;
	ask_for_more(c, head);
	if (c->state == CONN_CLOSED)
		return false;
	stash(c, in);
	c->state = CONN_BODY;
	return buf_err(&c->in) == 0;
}

static bool read_proxy_header(struct conn *c, struct span *in)
{
	struct proxyproto p;

	switch (proxyproto_parse(*in, &p)) {
	case PROXYPROTO_MORE:
		stash(c, *in);
		return false;
	case PROXYPROTO_OK:
		break;
	default:
		drop(c); /* there is no HTTP to answer with yet */
		return false;
	}
	*in = span_from(*in, p.bytes);
	if (p.has_source) {
		c->peer = p.source;
		c->peer_port = p.port;
		c->trusted = false;
	}
	c->state = CONN_IDLE;
	if (!count_address(c)) {
		count_own(&c->w->me->refused, 1);
		request_refuse(c, 429,
		               "Too many connections from this address");
		return false;
	}
	return true;
}

/* One request off the front of in. False: no more now. */
static bool next_request(struct conn *c, struct span *in)
{
	struct h1_request *head = &c->w->head;
	enum h1_result result =
		h1_parse_request(*in, c->seen, &c->w->limits, head);

	if (result == H1_MORE) {
		if (c->state != CONN_HEAD)
			arm(c, c->w->snap->settings->limits_header_timeout);
		c->state = CONN_HEAD;
		c->seen = in->len;
		return false;
	}
	c->seen = 0;
	if (result != H1_OK) {
		request_refuse(c, h1_status(result), h1_reason(result));
		return false;
	}
	if (head->head.body == H1_BODY_CHUNKED) {
		if (!begin_chunked(c, *in, head))
			return false;
		bool more;
		*in = chunked_body(c, &more);
		return more;
	}
	if (head->head.content_length >
	    (uint64_t)c->w->snap->settings->limits_body_bytes) {
		request_refuse(c, 413, "The body is over limits.body_bytes");
		return false;
	}
	size_t whole = head->head.bytes + (size_t)head->head.content_length;
	if (in->len < whole) {
		wait_for_body(c, head);
		return false;
	}
	struct span body = span_of(in->at + head->head.bytes,
	                           (size_t)head->head.content_length);
	struct span rest = span_from(*in, whole);
	serve(c, head, body);
	*in = rest;
	return true;
}

static bool may_begin(const struct conn *c)
{
	return c->state != CONN_CLOSED && c->state != CONN_LINGER && !c->req &&
	       !c->close;
}

static void process(struct conn *c, struct span in)
{
	bool more = true;

	c->processing = true;
	if (c->state == CONN_PROXY && !read_proxy_header(c, &in)) {
		c->processing = false;
		return;
	}
	if (c->body) {
		in = chunked_body(c, &more);
		if (c->body) {
			c->processing = false;
			interest(c);
			return;
		}
	}
	while (more && in.len && may_begin(c) && !congested(c))
		more = next_request(c, &in);
	c->processing = false;
	if (c->state == CONN_CLOSED)
		return;
	if (!c->body && (c->req || may_begin(c)))
		stash(c, in);
	if (c->in.len == 0 && c->in.cap)
		buf_free(&c->in);
	if (buf_err(&c->in) < 0) {
		conn_abort(c);
		return;
	}
	interest(c);
}

void conn_done(struct conn *c)
{
	if (c->w->corked == c)
		conn_uncork(c->w);
	c->req = NULL;
	if (c->state == CONN_CLOSED)
		return;
	if (c->close || c->w->draining)
		c->close = true;
	if (c->gone) { /* the event that says so is on its way */
		c->state = CONN_IDLE;
		return;
	}
	if (c->close && c->out.len == 0) {
		linger(c);
		return;
	}
	c->state = CONN_IDLE;
	if (c->out.len)
		return; /* the write timeout is running */
	arm(c, c->w->snap->settings->limits_idle_timeout);
	if (c->processing || c->in.len == 0)
		return;
	/* What the client sent ahead waits here. */
	process(c, buf_span(&c->in));
}

static ssize_t read_some(struct conn *c)
{
	struct worker *w = c->w;
	ssize_t n;

	if (c->tls) {
		uint32_t want = 0;

		n = tls_read(c->tls, w->in, sizeof(w->in), &want);
		if (n == -EAGAIN) {
			c->wants_write = want == EPOLLOUT;
			interest(c);
		}
		return n;
	}
	n = recv(c->src.fd, w->in, sizeof(w->in), 0);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : os_error();
	return n;
}

/* False: there is nothing more to read now. */
static bool readable(struct conn *c)
{
	ssize_t n = read_some(c);
	struct span in;

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		/* An answer that is on its way out still goes out. */
		if (n == 0 && !c->req && c->out.len && c->close) {
			c->gone = true;
			interest(c);
			return false;
		}
		conn_abort(c);
		return false;
	}
	if (c->state == CONN_LINGER)
		return true;
	in = span_of(c->w->in, (size_t)n);
	if (c->close && !c->req)
		return true; /* nothing behind the last answer counts */
	if (c->in.len || c->req || c->body) {
		c->in.max =
			(size_t)c->w->snap->settings->limits_body_bytes * 2 +
			4 * SERVE_SCRATCH;
		buf_add_span(&c->in, in);
		if (buf_err(&c->in) < 0) {
			conn_abort(c);
			return false;
		}
		in = buf_span(&c->in);
	}
	if (c->req) {
		interest(c);
		return true; /* pipelined: it waits */
	}
	if (c->state == CONN_BODY)
		arm(c, c->w->snap->settings->limits_body_timeout);
	process(c, in);
	return true;
}

static void on_ready(struct source *src, uint32_t events)
{
	struct conn *c = CONTAINER_OF(src, struct conn, src);

	if (events & EPOLLOUT) {
		c->wants_write = false;
		if (c->out.len)
			flush(c);
		if (c->state == CONN_CLOSED)
			return;
	}
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		if (c->gone) {
			conn_abort(c);
			return;
		}
		bool more = readable(c);
		/* Records that are decrypted already raise no event. */
		while (more && c->tls && c->state != CONN_CLOSED &&
		       tls_pending(c->tls))
			more = readable(c);
	}
}

static void on_timer(struct timer *t)
{
	struct conn *c = CONTAINER_OF(t, struct conn, timer);

	if (c->out.len) { /* the client takes nothing */
		conn_abort(c);
		return;
	}
	switch ((enum conn_state)c->state) {
	case CONN_BUSY:
		if (c->gone) {
			conn_abort(c);
			return;
		}
		if (c->req)
			stream_keepalive(c->req);
		arm(c, c->w->snap->settings->keepalive_interval);
		return;
	case CONN_BODY:
		request_refuse(c, 408, "The body stopped coming");
		return;
	case CONN_HEAD:
		request_refuse(c, 408, "The head did not come in time");
		return;
	case CONN_PROXY:
	case CONN_IDLE:
	case CONN_LINGER:
		drop(c);
		return;
	case CONN_CLOSED:
		return;
	}
}

static struct conn *take_conn(struct worker *w)
{
	struct conn *c = w->spare_conns;

	if (c)
		w->spare_conns = c->next;
	else
		c = malloc(sizeof(*c));
	if (c)
		*c = (struct conn){ .w = w };
	return c;
}

static void set_peer(struct conn *c)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	const struct snapshot *snap = c->w->snap;

	if (getpeername(c->src.fd, (struct sockaddr *)&from, &len) < 0 ||
	    !ip_from_sockaddr((const struct sockaddr *)&from, &c->peer,
	                      &c->peer_port))
		memset(&c->peer, 0, sizeof(c->peer));
	c->trusted = ip_nets_contain(snapshot_array(snap, snap->head->trusted),
	                             snap->head->trusted.len, &c->peer);
}

void conn_accept(struct worker *w, int fd, bool handover)
{
	const struct settings *s = w->snap->settings;
	struct conn *c = take_conn(w);
	int one = 1;

	if (!c) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->src.fd = fd;
	c->src.on_ready = on_ready;
	c->src.on_gone = on_gone;
	if (loop_add(w->loop, &c->src, EPOLLIN | EPOLLRDHUP) < 0 ||
	    (w->tls && !handover && !(c->tls = tls_accept(w->tls, fd)))) {
		close(fd);
		c->next = w->spare_conns;
		w->spare_conns = c;
		return;
	}
	c->next = w->conns;
	if (c->next)
		c->next->prev = &c->next;
	c->prev = &w->conns;
	w->conns = c;
	w->n_conns++;
	count_own(&w->me->connections, 1);
	atomic_store_explicit(&w->me->connections_open, w->n_conns,
	                      memory_order_relaxed);
	c->handover = handover;
	set_peer(c);
	if (handover) {
		arm(c, s->limits_idle_timeout);
		c->state = CONN_IDLE;
		return;
	}
	c->state = s->proxy_protocol && c->trusted ? CONN_PROXY : CONN_IDLE;
	arm(c, c->tls ? s->tls_handshake_timeout : s->limits_idle_timeout);
	if (w->n_conns > (uint64_t)s->limits_connections) {
		count_own(&w->me->refused, 1);
		request_refuse(c, 503, "Too many connections");
	} else if (c->state != CONN_PROXY && !count_address(c)) {
		count_own(&w->me->refused, 1);
		request_refuse(c, 429,
		               "Too many connections from this address");
	}
}

void conn_drain(struct conn *c)
{
	/* One more request may be on its way: close what stays silent. */
	if (c->state == CONN_IDLE && !c->out.len)
		arm(c, DRAIN_IDLE_MS);
}
