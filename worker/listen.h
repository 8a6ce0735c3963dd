/*
 * listen - clients that want to hear of changes.
 *
 * subscriptions/listen of modern clients (MCP 2026-07-28, "Subscriptions"), and
 * the GET stream of legacy ones (MCP 2025-11-25, "Listening for Messages from
 * the Server"), which needs a session, and of which a session has one on a
 * machine. A GET with the id of an event goes on with the stream of a call
 * instead (proxy/rejoin).
 */
#ifndef WORKER_LISTEN_H
#define WORKER_LISTEN_H

#include "worker/request.h"

#define LISTEN_URIS_MAX  128 /* resources that one stream watches */
#define LISTEN_TASKS_MAX 128 /* and tasks */

/* Open a stream: what is acknowledged is what the gateway can tell of, and the
 * caller may hear. 406 when Accept does not allow text/event-stream, -32021 for
 * tasks of a client that has not declared the extension, -32602 for more than
 * there may be. */
void listen_open(struct request *r, const struct h1_request *head,
                 const struct message *m);

/*
 * GET of the endpoint, by a caller who was identified. 405 without a session
 * or where there are none, 406 without text/event-stream, 404 for a session
 * that is not this caller's, 400 for an event id that is not, 409 when the
 * session has a stream, 503 for one too many.
 */
void listen_get(struct request *r, const struct h1_request *head);

#endif
