/*
 * upstream - requests to backends, and the connections they travel on.
 *
 * An exchange is one request and its answer. It takes an idle connection of the
 * backend's pool, or opens one, or waits for one while max_connections are
 * busy. http:// is spoken by the own client on the loop; https:// goes through
 * lib/fetch. Owners see no difference.
 *
 * A request is sent a second time only when it cannot have been executed:
 * the connection was never made, or not a byte was written to it; or when its
 * owner said that executing it twice does no harm and no byte of an answer
 * came.
 *
 * Callbacks run from the loop, never from inside exchange_start().
 */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include "lib/base.h"
#include "lib/h1.h"
#include "lib/loop.h"
#include "lib/span.h"
#include "shm/board.h"
#include "shm/snapshot.h"

struct upstream; /* the pools of one worker */
struct exchange;
struct link;
struct fetch;
struct fetcher;

/* What an answer's head says. Spans live during the callback. */
struct exchange_head {
	int status;
	struct span content_type, session_id;
	bool has_length;
	uint64_t length; /* bytes of the body, when has_length */
};

enum exchange_end {
	EXCHANGE_COMPLETE,
	EXCHANGE_REFUSED, /* could not connect */
	EXCHANGE_BROKEN, /* the connection ended inside the answer, or before */
	EXCHANGE_GARBAGE, /* not HTTP */
	EXCHANGE_TIMEOUT, /* connect, first byte, or silence */
	EXCHANGE_BUSY,    /* no connection came free in time */
	EXCHANGE_TOO_LARGE,
};

struct exchange_ops {
	void (*head)(struct exchange *x, const struct exchange_head *head);
	/* Body bytes, transfer coding removed; valid during the call. */
	void (*body)(struct exchange *x, struct span bytes);
	/*
	 * It is over; x may be reused or freed. detail is a short sentence for
	 * people, never NULL, without anything the backend sent.
	 */
	void (*end)(struct exchange *x, enum exchange_end why,
	            const char *detail);
};

enum exchange_method { EXCHANGE_POST, EXCHANGE_GET, EXCHANGE_DELETE };

/* Lives in its owner; zero it before the first use. */
struct exchange {
	/* set by the owner */
	const struct exchange_ops *ops;
	const struct snapshot *snap; /* the owner holds a reference */
	uint32_t backend;            /* index in the snapshot */
	struct span fields; /* more header lines, each with CR LF; kept by the
	                       owner until the head of the answer is there */
	struct span body;   /* likewise; of a POST only */
	enum exchange_method method;
	bool repeatable; /* executing it twice does no harm */
	/* The answer is an event stream that stays open: it takes none of
	   max_connections, may be of any size, says nothing about how well
	   the backend is, and stream_idle_timeout is the only limit. */
	bool stream;
	/* It says something about what already has a connection, which may wait
	   for it: it takes none of max_connections either. */
	bool small;
	/* upstream's own */
	struct upstream *up;
	struct link *link;
	struct fetch *fetch;
	struct exchange *next, **prev; /* in the queue of its backend */
	struct timer timer;
	uint8_t state;
	bool paused;
	bool unwanted; /* the rest of an answer: its time is never extended */
	uint8_t tries;
	uint64_t received; /* body bytes */
};

/* The pools of one worker; NULL when out of memory. */
struct upstream *upstream_new(struct loop *loop, struct board *board,
                              struct slot *slot);

/* Every exchange must have ended or been cancelled. */
void upstream_free(struct upstream *up);

/*
 * A new snapshot is served from now on: idle connections to backends that went
 * away or moved are closed.
 */
void upstream_adopt(struct upstream *up, const struct snapshot *snap);

/* Begin; the result comes through x->ops. */
void exchange_start(struct upstream *up, struct exchange *x);

/*
 * Give up: no callback comes any more. The connection is closed, unless the
 * answer was complete. Harmless when x is not running.
 */
void exchange_cancel(struct exchange *x);

/*
 * The owner has what it wanted: no callback comes any more, and x may be
 * reused. What is left of the answer is read and thrown away, for a moment,
 * so that the connection can serve again.
 */
void exchange_detach(struct exchange *x);

/* Stop and go on reading the body (back-pressure). */
void exchange_pause(struct exchange *x);
void exchange_resume(struct exchange *x);

/* Is it between exchange_start() and its end? */
bool exchange_running(const struct exchange *x);

#endif
