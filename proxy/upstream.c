#include "proxy/upstream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/chunked.h"
#include "lib/fetch.h"
#include "lib/log.h"
#include "lib/version.h"

#define SCRATCH_IN  65536 /* bytes read from a backend at once */
#define SCRATCH_OUT 16384 /* a request up to this goes out in one piece */
#define HEAD_MAX    65536 /* bytes of an answer's head */
#define TRIES_MAX   2     /* times one request is written at most */
#define STALE_MS    1000  /* idle longer than this is looked at before use */
#define MARGIN_MS   1000  /* before the backend's own keep-alive ends */
#define REST_MS     2000  /* for the rest of an answer nobody needs */
#define LINES       11

static const struct h1_limits limits = {
	.head_max = HEAD_MAX,
	.target_max = 0,
	.fields_max = H1_FIELDS_MAX,
};

enum state {
	IDLE,    /* not running */
	QUEUED,  /* waits for a connection */
	FAILING, /* the end is known and told on the next turn */
	CONNECTING,
	SENT,      /* waits for the first byte of the answer */
	ANSWERING, /* the head is there */
	FETCHING,  /* lib/fetch has it */
};

struct pool {
	struct link *idle; /* the most recently used first */
	unsigned n_idle;
	unsigned n_busy; /* links and fetches in use */
	struct exchange *queue, **queue_end;
	uint64_t identity; /* of the address the idle links lead to */
};

/* One connection to a backend. */
struct link {
	struct source src;
	struct timer timer; /* while idle */
	struct upstream *up;
	struct pool *pool;
	struct exchange *x;        /* NULL: idle */
	struct link *next, **prev; /* in pool->idle */
	struct buf in;             /* a head that came in pieces */
	struct buf out;            /* what the socket did not take */
	size_t seen;               /* bytes of in already searched */
	uint64_t idle_since_ms;
	uint64_t left;
	struct chunked chunked;
	enum h1_body framing;
	uint32_t keep_ms; /* how long the backend keeps it, 0: unknown */
	uint32_t address; /* index in the origin's */
	bool reused;      /* carried an exchange before this one */
	bool written;     /* a byte of this exchange's request went out */
	bool keep_alive;
	bool last;       /* the piece being handed out ends the body */
	uint32_t serial; /* grows with every exchange it carries */
	uint64_t identity;
};

struct upstream {
	struct loop *loop;
	struct board *board;
	struct slot *slot;
	struct fetcher *fetcher; /* made for the first https backend */
	struct pool pools[BACKENDS_MAX];
	struct h1_response response; /* of the head in hand */
	char in[SCRATCH_IN];
	char out[SCRATCH_OUT];
};

static const struct exchange_ops ignoring;
static void on_ready(struct source *src, uint32_t events);
static void on_timer(struct timer *t);
static void dispatch(struct exchange *x);

static const struct backend *backend_of(const struct exchange *x)
{
	return snapshot_backend(x->snap, x->backend);
}

static struct pool *pool_of(const struct exchange *x)
{
	return &x->up->pools[backend_of(x)->slot];
}

/* Where a backend's connections lead: another address is another pool. */
static uint64_t identity(const struct snapshot *snap, uint32_t backend)
{
	const struct origin *o = snapshot_origin(snap, backend);
	const struct backend *b = snapshot_backend(snap, backend);
	uint64_t h = 14695981039346656037u;
	const unsigned char *p = (const void *)o->addresses;
	struct span host = snapshot_text(snap, b->authority);

	for (size_t i = 0; i < o->n_addresses * sizeof(o->addresses[0]); i++)
		h = (h ^ p[i]) * 1099511628211u;
	for (size_t i = 0; i < host.len; i++)
		h = (h ^ (unsigned char)host.at[i]) * 1099511628211u;
	return h;
}

struct upstream *upstream_new(struct loop *loop, struct board *board,
                              struct slot *slot)
{
	struct upstream *up = calloc(1, sizeof(*up));

	if (!up)
		return NULL;
	up->loop = loop;
	up->board = board;
	up->slot = slot;
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		up->pools[i].queue_end = &up->pools[i].queue;
	return up;
}

static void on_gone(struct source *src)
{
	struct link *l = CONTAINER_OF(src, struct link, src);

	buf_free(&l->in);
	buf_free(&l->out);
	free(l);
}

static void take_idle(struct link *l)
{
	*l->prev = l->next;
	if (l->next)
		l->next->prev = l->prev;
	l->pool->n_idle--;
	loop_timer_stop(l->up->loop, &l->timer);
}

/* Close for good; an idle link leaves its list first. */
static void link_close(struct link *l)
{
	if (l->src.fd < 0)
		return;
	if (l->prev)
		take_idle(l);
	l->prev = NULL;
	loop_close(l->up->loop, &l->src);
}

static void close_idle(struct pool *pool)
{
	while (pool->idle)
		link_close(pool->idle);
}

void upstream_adopt(struct upstream *up, const struct snapshot *snap)
{
	bool there[BACKENDS_MAX] = { false };

	for (uint32_t i = 0; i < snap->head->backends.len; i++) {
		uint32_t slot = snapshot_backend(snap, i)->slot;
		uint64_t now = identity(snap, i);

		there[slot] = true;
		if (up->pools[slot].identity != now)
			close_idle(&up->pools[slot]);
		up->pools[slot].identity = now;
	}
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		if (!there[i])
			close_idle(&up->pools[i]);
}

void upstream_free(struct upstream *up)
{
	if (!up)
		return;
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		close_idle(&up->pools[i]);
	fetcher_free(up->fetcher);
	free(up);
}

bool exchange_running(const struct exchange *x)
{
	return x->state != IDLE;
}

/* ---- the end of an exchange ---- */

/* Somebody who waited may go on; not from inside a callback of another. */
static void serve_queue(struct upstream *up, struct pool *pool)
{
	struct exchange *x = pool->queue;

	(void)up;
	if (!x)
		return;
	pool->queue = x->next;
	if (x->next)
		x->next->prev = &pool->queue;
	else
		pool->queue_end = &pool->queue;
	x->state = IDLE;
	x->next = NULL;
	x->prev = NULL;
	dispatch(x);
}

static void count_end(struct exchange *x, enum exchange_end why)
{
	const struct settings *s = x->snap->settings;
	struct backend_row *row = &x->up->board->backends[backend_of(x)->slot];

	switch (why) {
	case EXCHANGE_COMPLETE:
	case EXCHANGE_TOO_LARGE:
	case EXCHANGE_BUSY:
		return;
	case EXCHANGE_REFUSED:
	case EXCHANGE_BROKEN:
	case EXCHANGE_GARBAGE:
	case EXCHANGE_TIMEOUT:
		break;
	}
	board_breaker_failed(row, loop_now_ms(x->up->loop),
	                     (uint32_t)s->breaker_failures,
	                     (uint64_t)s->breaker_open_time);
}

/* Take x off its link and tell its owner. x may be gone afterwards. */
static void finish(struct exchange *x, enum exchange_end why,
                   const char *detail)
{
	struct upstream *up = x->up;
	struct pool *pool = pool_of(x);
	bool held = x->state == CONNECTING || x->state == SENT ||
	            x->state == ANSWERING || x->state == FETCHING;

	loop_timer_stop(up->loop, &x->timer);
	if (held)
		pool->n_busy--;
	if (x->link)
		x->link->x = NULL;
	x->link = NULL;
	x->fetch = NULL;
	x->state = IDLE;
	if (x->ops != &ignoring)
		count_end(x, why);
	x->ops->end(x, why, detail);
	if (held)
		serve_queue(up, pool);
}

/* The end is already known; tell it from the loop, not from inside start. */
static void fail_later(struct exchange *x)
{
	x->state = FAILING;
	loop_timer(x->up->loop, &x->timer, 0, on_timer);
}

static void on_idle_due(struct timer *t)
{
	link_close(CONTAINER_OF(t, struct link, timer));
}

/* A complete answer was read: the connection serves the next exchange. */
static void link_release(struct link *l, const struct exchange *x)
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
			memcpy(to, iov[i].iov_base, iov[i].iov_len);
			to += iov[i].iov_len;
		}
		return send(fd, up->out, total, MSG_NOSIGNAL);
	}
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = LINES };

	return sendmsg(fd, &m, MSG_NOSIGNAL);
}

/* Write the request; what does not fit goes out when the socket is ready. */
static int send_request(struct link *l, struct exchange *x)
{
	const struct backend *b = backend_of(x);
	char digits[24];
	struct span length = decimal(x->body.len, digits);
	struct iovec iov[LINES];
	const struct span pieces[LINES] = {
		SPAN("POST "),
		snapshot_text(x->snap, b->path),
		SPAN(" HTTP/1.1\r\nHost: "),
		snapshot_text(x->snap, b->authority),
		SPAN("\r\nUser-Agent: oci-mcp-gateway/" VERSION
		     "\r\nContent-Type: application/json\r\n"
		     "Accept: application/json, text/event-stream\r\n"),
		snapshot_text(x->snap, b->fields),
		x->fields,
		SPAN("Content-Length: "),
		length,
		SPAN("\r\n\r\n"),
		x->body,
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
		loop_set(l->up->loop, &l->src, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	}
	x->state = SENT;
	loop_timer(l->up->loop, &x->timer, b->request_timeout_ms, on_timer);
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
		loop_set(l->up->loop, &l->src, EPOLLIN | EPOLLRDHUP);
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
	l->pool = pool_of(x);
	l->identity = l->pool->identity;
	l->address = address;
	l->in.max = HEAD_MAX + SCRATCH_IN;
	return l;
}

/* A new connection for x; on failure x is told so on the next turn. */
static void open_link(struct exchange *x, uint32_t address)
{
	const struct origin *o = snapshot_origin(x->snap, x->backend);
	struct link *l = link_new(x, address);

	while (l && l->address < o->n_addresses &&
	       link_connect(l, &o->addresses[l->address]) < 0)
		l->address++;
	if (!l || l->address >= o->n_addresses) {
		free(l);
		fail_later(x);
		return;
	}
	l->x = x;
	x->link = l;
	x->state = CONNECTING;
	l->pool->n_busy++;
	count_own(&x->up->slot->upstream_connections, 1);
	loop_timer(x->up->loop, &x->timer, backend_of(x)->connect_timeout_ms,
	           on_timer);
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

static bool reuse_link(struct exchange *x)
{
	struct pool *pool = pool_of(x);

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
		pool->n_busy++;
		if (send_request(l, x) == 0) {
			count_own(&x->up->slot->upstream_reused, 1);
			return true;
		}
		/* Not a byte went out: another connection may try. */
		pool->n_busy--;
		l->x = NULL;
		x->link = NULL;
		link_close(l);
	}
	return false;
}

/* ---- https, through lib/fetch ---- */

static void fetched_head(struct fetch *f, const struct fetch_head *head)
{
	struct exchange *x = fetch_owner(f);
	struct span length = fetch_field(f, SPAN("content-length"));
	struct exchange_head h = {
		.status = head->status,
		.content_type = head->content_type,
		.session_id = head->mcp_session_id,
	};

	h.has_length = span_u64(length, UINT64_MAX, &h.length);
	if (head->status < 500)
		board_breaker_ok(&x->up->board->backends[backend_of(x)->slot]);
	x->ops->head(x, &h);
}

static bool too_much(const struct exchange *x)
{
	return x->received > (uint64_t)x->snap->settings->limits_response_bytes;
}

static size_t fetched_body(struct fetch *f, struct span body)
{
	struct exchange *x = fetch_owner(f);

	if (x->paused)
		return FETCH_PAUSE;
	x->received += body.len;
	x->ops->body(x, body);
	return body.len;
}

static void fetched_end(struct fetch *f, int err, const char *sentence)
{
	struct exchange *x = fetch_owner(f);
	enum exchange_end why = EXCHANGE_BROKEN;

	switch (err) {
	case 0:
		why = EXCHANGE_COMPLETE;
		break;
	case -EHOSTUNREACH:
	case -ECONNREFUSED:
	case -EKEYREJECTED:
		why = EXCHANGE_REFUSED;
		break;
	case -ETIMEDOUT:
		why = EXCHANGE_TIMEOUT;
		break;
	case -EMSGSIZE:
		why = EXCHANGE_TOO_LARGE;
		break;
	case -EBADMSG:
		why = EXCHANGE_GARBAGE;
		break;
	default:
		break;
	}
	finish(x, why, sentence);
}

static const struct fetch_events fetched = {
	.on_head = fetched_head,
	.on_body = fetched_body,
	.on_end = fetched_end,
};

static void start_fetch(struct exchange *x)
{
	static const struct span lines[] = {
		{ "Content-Type: application/json", 30 },
		{ "Accept: application/json, text/event-stream", 43 },
		{ "User-Agent: oci-mcp-gateway/" VERSION,
		  sizeof("User-Agent: oci-mcp-gateway/" VERSION) - 1 },
	};
	const struct backend *b = backend_of(x);
	const struct origin *o = snapshot_origin(x->snap, x->backend);
	char fields[SCRATCH_OUT];
	struct span own = snapshot_text(x->snap, b->fields);

	if (!x->up->fetcher)
		x->up->fetcher = fetcher_new(x->up->loop);
	if (!x->up->fetcher || o->n_addresses == 0 ||
	    own.len + x->fields.len > sizeof(fields)) {
		fail_later(x);
		return;
	}
	memcpy(fields, own.at, own.len);
	if (x->fields.len)
		memcpy(fields + own.len, x->fields.at, x->fields.len);

	struct fetch_request req = {
		.method = SPAN("POST"),
		.url = snapshot_text(x->snap, b->url),
		.lines = lines,
		.n_lines = ARRAY_LEN(lines),
		.fields = span_of(fields, own.len + x->fields.len),
		.body = x->body,
		.repeatable = x->repeatable,
		.addresses = o->addresses,
		.n_addresses = o->n_addresses,
		.ca_pem = snapshot_text(x->snap, b->ca_pem),
		.connect_timeout_ms = b->connect_timeout_ms,
		.answer_timeout_ms = b->request_timeout_ms,
		.idle_timeout_ms = b->stream_idle_ms,
		.max_bytes = (uint64_t)x->snap->settings->limits_response_bytes,
		.events = &fetched,
		.owner = x,
	};
	x->fetch = fetch_start(x->up->fetcher, &req);
	if (!x->fetch) {
		fail_later(x);
		return;
	}
	x->state = FETCHING;
	pool_of(x)->n_busy++;
}

/* ---- starting ---- */

static void dispatch(struct exchange *x)
{
	const struct backend *b = backend_of(x);
	struct pool *pool = pool_of(x);

	if (pool->n_busy >= b->max_connections) {
		x->state = QUEUED;
		x->next = NULL;
		x->prev = pool->queue_end;
		*pool->queue_end = x;
		pool->queue_end = &x->next;
		loop_timer(x->up->loop, &x->timer, b->request_timeout_ms,
		           on_timer);
		return;
	}
	if (b->flags & BACKEND_TLS)
		start_fetch(x);
	else if (!reuse_link(x))
		open_link(x, 0);
}

void exchange_start(struct upstream *up, struct exchange *x)
{
	assert(x->state == IDLE);
	x->up = up;
	x->link = NULL;
	x->fetch = NULL;
	x->tries = 1;
	x->paused = false;
	x->received = 0;
	dispatch(x);
}

static void unqueue(struct exchange *x)
{
	struct pool *pool = pool_of(x);

	*x->prev = x->next;
	if (x->next)
		x->next->prev = x->prev;
	else
		pool->queue_end = x->prev;
	x->next = NULL;
	x->prev = NULL;
}

void exchange_cancel(struct exchange *x)
{
	if (x->state == IDLE)
		return;

	struct pool *pool = pool_of(x);
	bool held = x->state >= CONNECTING;

	loop_timer_stop(x->up->loop, &x->timer);
	if (x->state == QUEUED)
		unqueue(x);
	if (x->fetch)
		fetch_cancel(x->fetch);
	if (x->link) {
		x->link->x = NULL;
		link_close(x->link);
	}
	x->link = NULL;
	x->fetch = NULL;
	x->state = IDLE;
	if (held) {
		pool->n_busy--;
		serve_queue(x->up, pool);
	}
}

static void ignore_head(struct exchange *x, const struct exchange_head *head)
{
	(void)x;
	(void)head;
}

static void ignore_body(struct exchange *x, struct span bytes)
{
	(void)x;
	(void)bytes;
}

static void free_rest(struct exchange *x, enum exchange_end why,
                      const char *detail)
{
	(void)why;
	(void)detail;
	snapshot_unref((struct snapshot *)(uintptr_t)x->snap);
	free(x);
}

/* Reads the rest of an answer that nobody needs. */
static const struct exchange_ops ignoring = {
	.head = ignore_head,
	.body = ignore_body,
	.end = free_rest,
};

void exchange_detach(struct exchange *x)
{
	struct link *l = x->state == ANSWERING ? x->link : NULL;
	struct exchange *rest;

	if (l && l->last) {
		loop_timer_stop(x->up->loop, &x->timer);
		x->link = NULL;
		x->state = IDLE;
		l->pool->n_busy--;
		link_release(l, x);
		serve_queue(x->up, l->pool);
		return;
	}
	rest = l || x->fetch ? malloc(sizeof(*rest)) : NULL;
	if (!rest) {
		exchange_cancel(x);
		return;
	}
	loop_timer_stop(x->up->loop, &x->timer);
	*rest = *x;
	rest->ops = &ignoring;
	rest->snap = snapshot_ref((struct snapshot *)(uintptr_t)x->snap);
	x->link = NULL;
	x->fetch = NULL;
	x->state = IDLE;
	loop_timer(rest->up->loop, &rest->timer, REST_MS, on_timer);
	if (l) {
		l->x = rest;
		loop_set(rest->up->loop, &l->src, EPOLLIN | EPOLLRDHUP);
	} else {
		fetch_hand_over(rest->fetch, &fetched, rest);
	}
	if (rest->paused)
		exchange_resume(rest);
}

void exchange_pause(struct exchange *x)
{
	x->paused = true;
	if (x->link && x->state == ANSWERING)
		loop_set(x->up->loop, &x->link->src, 0);
}

void exchange_resume(struct exchange *x)
{
	if (!x->paused)
		return;
	x->paused = false;
	if (x->fetch)
		fetch_resume(x->fetch);
	if (x->link && x->state == ANSWERING) {
		loop_set(x->up->loop, &x->link->src, EPOLLIN | EPOLLRDHUP);
		loop_timer(x->up->loop, &x->timer,
		           backend_of(x)->stream_idle_ms, on_timer);
	}
}

/* ---- the answer ---- */

/* The connection is lost before or inside the answer. */
static void broken(struct link *l, enum exchange_end why, const char *detail)
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
		l->pool->n_busy--;
		loop_timer_stop(x->up->loop, &x->timer);
		count_shared(
			&x->up->board->backends[backend_of(x)->slot].retries,
			1);
		/* Other idle connections are probably as dead as this one. */
		close_idle(l->pool);
		open_link(x, 0);
		return;
	}
	finish(x, why, detail);
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
			l->pool->n_busy--;
			open_link(x, address);
			return;
		}
		finish(x, EXCHANGE_REFUSED, log_errno(-err));
		return;
	}
	loop_set(l->up->loop, &l->src, EPOLLIN | EPOLLRDHUP);
	if (send_request(l, x) < 0)
		broken(l, EXCHANGE_BROKEN, "the connection broke at once");
}

/* All of the body was read; what is left over belongs to nobody. */
static void complete(struct link *l, bool leftover)
{
	struct exchange *x = l->x;

	if (leftover)
		l->keep_alive = false;
	x->link = NULL;
	link_release(l, x);
	finish(x, EXCHANGE_COMPLETE, "");
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
			broken(l, EXCHANGE_TOO_LARGE,
			       "the answer is over limits.response_bytes");
			return;
		}
		x->ops->body(x, piece);
		piece = next;
	}
	if (!l->x || l->serial != serial)
		return; /* cancelled, or serving another exchange already */
	if (l->framing == H1_BODY_CHUNKED && l->chunked.state == CHUNK_BAD)
		broken(l, EXCHANGE_GARBAGE, "its chunked coding is broken");
	else if (at_last(l))
		complete(l, in.len > 0);
}

/* The head in up->response is complete; rest is what came behind it. */
static void answer(struct link *l, struct span rest)
{
	struct exchange *x = l->x;
	const struct h1_response *r = &l->up->response;
	const struct backend *b = backend_of(x);
	bool stream = h1_media_type_is(h1_value(&r->head, H1_CONTENT_TYPE),
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
	loop_timer(l->up->loop, &x->timer,
	           stream ? b->stream_idle_ms : b->idle_timeout_ms, on_timer);
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
				broken(l, EXCHANGE_GARBAGE,
				       "its head is too large");
			return;
		}
		if (r != H1_OK) {
			broken(l, EXCHANGE_GARBAGE, h1_reason(r));
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
	broken(l, EXCHANGE_BROKEN,
	       x->state == ANSWERING ? "the connection ended inside the answer"
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
		const struct backend *b = backend_of(x);

		loop_timer(l->up->loop, &x->timer, b->stream_idle_ms, on_timer);
		deliver(l, in);
		return;
	}
	if (l->in.len) {
		buf_add_span(&l->in, in);
		if (buf_err(&l->in) < 0) {
			broken(l, EXCHANGE_GARBAGE, "its head is too large");
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
		broken(l, EXCHANGE_BROKEN, "the connection broke");
		return;
	}
	if (x->paused) {
		/* Nothing is read now; only a broken socket gets here. */
		if (events & (EPOLLERR | EPOLLHUP))
			broken(l, EXCHANGE_BROKEN, "the connection broke");
		return;
	}
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
		readable(l);
}

static void on_timer(struct timer *t)
{
	struct exchange *x = CONTAINER_OF(t, struct exchange, timer);

	switch ((enum state)x->state) {
	case FAILING:
		finish(x, EXCHANGE_REFUSED,
		       snapshot_origin(x->snap, x->backend)->n_addresses
		               ? "no connection could be made"
		               : "its address is not known");
		return;
	case QUEUED:
		unqueue(x);
		finish(x, EXCHANGE_BUSY, "all max_connections are busy");
		return;
	case CONNECTING:
		broken(x->link, EXCHANGE_TIMEOUT,
		       "no connection within connect_timeout");
		return;
	case SENT:
		broken(x->link, EXCHANGE_TIMEOUT,
		       "no answer within request_timeout");
		return;
	case ANSWERING:
		if (x->paused) /* it is our client who is slow */
			return;
		broken(x->link, EXCHANGE_TIMEOUT,
		       "the answer stopped for longer than idle_timeout");
		return;
	case FETCHING: /* nobody needs the rest any more */
		fetch_cancel(x->fetch);
		finish(x, EXCHANGE_TIMEOUT, "");
		return;
	case IDLE:
		break;
	}
}
