/*
 * cancel - notifications/cancelled of legacy clients (MCP 2025-11-25,
 * "Cancellation").
 *
 * It names the request by its id, and may come to another worker or replica
 * than the one that serves that request: then all are told. Only the session
 * that made a request can cancel it; without a session nobody can.
 *
 * A legacy client that merely goes away cancels nothing: its backend goes on.
 * What is needed to cancel that call is kept for a while, since many clients
 * hang up first and say so afterwards.
 */
#ifndef WORKER_CANCEL_H
#define WORKER_CANCEL_H

#include "worker/request.h"

#define CANCEL_LEFT_MAX 1024   /* calls of clients that went away */
#define CANCEL_LEFT_MS  120000 /* that one is kept */

/* r is a request of a session from now on that can be cancelled; id is raw. */
void cancel_watch(struct request *r, struct span id);

/* It is over; harmless when it was not watched. */
void cancel_forget(struct request *r);

/* Its client went away. */
void cancel_left(struct request *r);

/* A notification has come: if it cancels something, do that, here or wherever
 * it is. */
void cancel_take(struct request *r, const struct h1_request *head,
                 struct span body, const struct message *m);

/* Forget everything. */
void cancel_fini(struct worker *w);

#endif
