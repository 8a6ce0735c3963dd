/*
 * batch - an array of messages in one POST (MCP 2025-03-26, "Sending Messages
 * to the Server").
 *
 * Each element is served like a message that came alone: a request of its own,
 * judged, recorded and answered by itself. BATCH_AT_ONCE of them are at work at
 * the same time; the bytes of the others are kept. What each request is
 * answered becomes an element of one JSON array; or, when the client takes
 * event streams and one of the answers is in pieces (progress, questions of the
 * backend, more than 256 KiB), an event each. Their order is that in which they
 * were ready. What fails is that element's own; a batch without a request is
 * answered 202.
 *
 * An answer that comes in pieces is held until it is whole, for it must not
 * mix with the others'. What is held of all answers together is at most
 * limits.message_bytes; one that would pass that becomes an error.
 */
#ifndef WORKER_BATCH_H
#define WORKER_BATCH_H

#include "worker/request.h"

#define BATCH_AT_ONCE 16 /* elements of one batch that are at work */

struct batch; /* lives in its request */

/*
 * Take apart a body that message_read() says is a batch, from a client of any
 * revision: a newer one than 2025-03-26 is refused, as are an empty batch and
 * one over limits.batch. body stands in memory behind its head, and both are
 * valid during the call only. When it returns, r is answered or at work.
 */
void batch_start(struct request *r, const struct h1_request *head,
                 struct span body);

/* The client is gone: cancel what is at work, begin nothing more. */
void batch_cancel(struct batch *b);

/* The client has taken what was kept for it. */
void batch_resume(struct batch *b);

/* Its request is over. NULL is fine. */
void batch_free(struct batch *b);

#endif
