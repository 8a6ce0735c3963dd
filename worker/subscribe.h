/*
 * subscribe - resources/subscribe and resources/unsubscribe of legacy clients
 * (MCP 2025-11-25, "Resources", "Subscriptions").
 *
 * A subscription is asked of the backend first, so that a resource that it does
 * not know, or does not tell of, is refused in its own words: a legacy backend
 * by the same request, in the session that all callers share, and taken back
 * there at once; a modern one by a subscriptions/listen that ends when it is
 * acknowledged. What is accepted stands on the board (shm/clients) before the
 * client is told so; the worker that has the session's stream does the rest.
 * Without a session there is nobody to tell: it is accepted, and that is all.
 */
#ifndef WORKER_SUBSCRIBE_H
#define WORKER_SUBSCRIBE_H

#include "worker/request.h"

/* Serve the request, which was routed and permitted. The other replicas are
 * told: each asks and records for itself, since any may have the stream. */
void subscribe_start(struct request *r, const struct h1_request *head,
                     struct span body, const struct message *m,
                     const struct route *route);

/* The request is over. NULL is fine. */
void subscribe_end(struct subscribing *s);

#endif
