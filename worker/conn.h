/*
 * conn - a client's connection: bytes in, whole requests out; answers back.
 *
 * While nothing is half read or half written, a connection holds no buffer:
 * requests are read into the worker's one scratch buffer and answers are
 * written straight to the socket.
 */
#ifndef WORKER_CONN_H
#define WORKER_CONN_H

#include <sys/uio.h>

#include "lib/chunked.h"
#include "lib/ip.h"
#include "worker/serve.h"

enum conn_state {
	CONN_PROXY,  /* a PROXY protocol header comes first */
	CONN_IDLE,   /* between two requests */
	CONN_HEAD,   /* a head began and has not ended */
	CONN_BODY,   /* the head is there, the body is not */
	CONN_BUSY,   /* a request is being answered */
	CONN_LINGER, /* the last answer is out; the rest is thrown away */
	CONN_CLOSED,
};

struct conn {
	struct source src;
	struct timer timer;
	struct worker *w;
	struct conn *next, **prev;
	struct tls *tls;
	struct request *req;     /* in hand; NULL: none */
	struct buf in;           /* of a request that is not whole */
	struct buf out;          /* what the socket did not take */
	struct body_state *body; /* of a chunked request body */
	size_t seen;     /* bytes of in already searched for a head's end */
	uint64_t served; /* requests so far */
	struct ip peer;  /* the client's address as far as we know it */
	uint16_t peer_port;
	uint8_t state;
	bool trusted;     /* the connection comes from trusted_proxies */
	bool handover;    /* from another worker of this machine */
	bool counted;     /* among the connections of its address */
	bool close;       /* after the answer */
	bool continued;   /* 100 Continue was sent for this request */
	bool checked;     /* the head of this request was let through */
	bool gone;        /* the client closed its side */
	bool processing;  /* inside the loop over requests */
	bool wants_write; /* TLS needs EPOLLOUT to read on */
};

/* Take a socket that was accepted. Closes it when it cannot be served.
 * handover: another worker connected, without TLS and beyond the limits of
 * clients. */
void conn_accept(struct worker *w, int fd, bool handover);

/*
 * Send, or keep what the socket does not take now. Sets and clears the
 * reply's full mark by how much is kept.
 */
void conn_send(struct conn *c, const struct iovec *iov, int n);

/* The request in hand has been answered: go on with the next, or close. */
void conn_done(struct conn *c);

/*
 * Hold back what is sent to c until conn_uncork(), so that it leaves in one
 * piece. One connection of a worker at a time; another one's end the first's.
 */
void conn_cork(struct conn *c);

/* Send what was held back, if anything was. */
void conn_uncork(struct worker *w);

/*
 * Cut the answer that is being sent, so that the client sees that it is not
 * whole. The connection ends from the loop.
 */
void conn_break(struct conn *c);

/* Close at once; the request in hand is cancelled. */
void conn_abort(struct conn *c);

/* Draining: close what is idle, let the rest end. */
void conn_drain(struct conn *c);

#endif
