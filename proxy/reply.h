/*
 * reply - the way back to a client, as the proxy sees it.
 *
 * The worker owns the connection; the proxy only knows these functions. An
 * answer is either whole, or begun, continued and ended. After whole() or
 * end() the request is over: the reply, the call and everything that belongs
 * to them may be gone when the function returns.
 */
#ifndef PROXY_REPLY_H
#define PROXY_REPLY_H

#include <sys/uio.h>

#include "lib/base.h"
#include "lib/span.h"
#include "shm/board.h"

enum reply_type { REPLY_JSON, REPLY_EVENTS, REPLY_NONE };

struct reply;

struct reply_ops {
	/* A complete answer. The bytes are sent or copied before it returns. */
	void (*whole)(struct reply *r, int status, enum reply_type type,
	              const struct iovec *body, int n);
	/* The head of an answer whose length is not known. */
	void (*begin)(struct reply *r, int status, enum reply_type type);
	/* Bytes of it; sent or copied before it returns. */
	void (*more)(struct reply *r, const struct iovec *body, int n);
	/*
	 * Hold back what is sent from now on, until proxy->uncork(): several
	 * pieces then leave in one. Ends by itself with the request.
	 */
	void (*cork)(struct reply *r);
	/* Its end; complete false: broken off, the client must notice. */
	void (*end)(struct reply *r, bool complete);
};

struct reply {
	const struct reply_ops *ops;
	bool begun;
	bool full; /* the client reads slowly: send no more than you must */
	bool accepts_json, accepts_events;
	enum outcome outcome; /* set by whoever knows, before the end */
	const char *error;    /* for the audit trail; static or in the call */
};

#endif
