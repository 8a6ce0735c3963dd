/*
 * aside - what a legacy backend asks beside the streams of its calls.
 *
 * A server should ask on the stream of the request that made it ask, but many
 * libraries send questions on the stream that a client opens by GET (MCP
 * 2025-11-25, "Listening for Messages from the Server"). So while calls run
 * whose clients can be asked, that stream of their session is open. A question
 * on it belongs to the one call that runs in the session; when there are
 * several, nobody can tell, and the backend is told so. That holds too while a
 * call of another caller waits for its client, and from the moment that one was
 * left before its answer: its backend may go on and ask.
 */
#ifndef PROXY_ASIDE_H
#define PROXY_ASIDE_H

#include "proxy/call.h"

#define ASIDE_WAIT_MS                                                         \
	100                 /* for its head, which many servers send with the \
	                       first event; then the call goes anyway */
#define ASIDE_IDLE_MS 60000 /* it stays open without a call */
#define ASIDE_MAX     2048  /* of one worker */

struct aside; /* one stream */

/*
 * Is the stream of c's session there, or not to be had? c->fields are set.
 * True: c may go, and belongs to it from now on. False: it is being opened, and
 * call_send() follows.
 */
MUST_CHECK bool aside_ready(struct call *c);

/* c is over, or given up while its exchange still runs; harmless when it
 * belongs to none. */
void aside_leave(struct call *c);

/* c failed, or its exchange ended, without its answer: the backend may go on.
 * Harmless when it belongs to none. */
void aside_abandon(struct call *c);

/* Close all. */
void aside_end_all(struct proxy *proxy);

#endif
