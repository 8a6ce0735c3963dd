/*
 * link - a plain connection to a backend: connect, send, read, keep.
 *
 * The inner side of proxy/upstream, shared by its three files: upstream.c has
 * the pools and the exchanges, link.c the own HTTP/1.1 client, secure.c what
 * goes through lib/fetch.
 */
#ifndef PROXY_LINK_H
#define PROXY_LINK_H

#include "lib/buf.h"
#include "lib/chunked.h"
#include "proxy/upstream.h"

#define LINK_SCRATCH_IN  65536 /* bytes read from a backend at once */
#define LINK_SCRATCH_OUT 16384 /* of a request that goes out in one piece */

enum exchange_state {
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
	unsigned n_busy; /* links and fetches that count */
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
	uint32_t keep_ms;    /* how long the backend keeps it, 0: unknown */
	uint32_t address;    /* index in the origin's */
	bool reused;         /* carried an exchange before this one */
	bool written;        /* a byte of this exchange's request went out */
	uint32_t silence_ms; /* longest between two bytes of this answer */
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
	char in[LINK_SCRATCH_IN];
	char out[LINK_SCRATCH_OUT];
};

static inline const struct backend *exchange_backend(const struct exchange *x)
{
	return snapshot_backend(x->snap, x->backend);
}

static inline struct pool *exchange_pool(const struct exchange *x)
{
	return &x->up->pools[exchange_backend(x)->slot];
}

/* Does x count among max_connections? */
static inline bool exchange_counts(const struct exchange *x)
{
	return !x->stream && !x->small;
}

/* x takes one of max_connections, and gives it back. */
static inline void exchange_take(const struct exchange *x)
{
	if (exchange_counts(x))
		exchange_pool(x)->n_busy++;
}

static inline void exchange_give(const struct exchange *x)
{
	if (exchange_counts(x))
		exchange_pool(x)->n_busy--;
}

/* ---- of upstream.c ---- */

/* Take x off its connection and tell its owner. x may be gone afterwards. */
void exchange_finish(struct exchange *x, enum exchange_end why,
                     const char *detail);

/* The end is already known; tell it from the loop, not from inside start. */
void exchange_fail_later(struct exchange *x);

/* One of the exchange's times is over: connect, answer, silence. */
void exchange_due(struct timer *t);

/* ---- of link.c ---- */

/* A new connection for x, to its address of this index or a later one. On
 * failure x is told so on the next turn. */
void link_open(struct exchange *x, uint32_t address);

/* Wait for what its exchange waits for: nothing to read while that is paused.
 */
void link_watch(struct link *l);

/* How long x waits for the first byte of its answer. */
static inline uint64_t link_patience_ms(const struct exchange *x)
{
	return x->stream ? exchange_backend(x)->stream_idle_ms
	                 : exchange_backend(x)->request_timeout_ms;
}

/* Send x on an idle connection; false: there is none that works. */
bool link_reuse(struct exchange *x);

/* A complete answer to x was read: keep the connection, if it may be kept. */
void link_release(struct link *l, const struct exchange *x);

/* The connection is lost before or inside the answer. */
void link_broken(struct link *l, enum exchange_end why, const char *detail);

/* Close for good; an idle link leaves its pool first. */
void link_close(struct link *l);

/* Close all idle connections of a pool. */
void link_close_idle(struct pool *pool);

#endif
