/*
 * local - what a worker answers itself: pages, and the methods that need no
 * backend. Every function ends the request.
 */
#ifndef WORKER_LOCAL_H
#define WORKER_LOCAL_H

#include "worker/pages.h"
#include "worker/request.h"

/* A page for GET and HEAD. */
void local_page(struct request *r, const struct h1_request *head,
                enum page page);

/* What a browser asks before it sends the real request (Fetch, 3.2.2). */
void local_preflight(struct request *r);

/* A method whose work is one of WORK_INITIALIZE, _EMPTY, _SET_LEVEL, _DISCOVER
 * and _LIST. */
void local_method(struct request *r, const struct message *m);

/* The answer to an initialize with this raw id. */
void local_initialized(struct request *r, struct span id,
                       enum revision revision);

/* An empty result for the request with this raw id. */
void local_empty(struct request *r, struct span id);

/* tools/call of an own tool; e is an ENTRY_OWN entry. */
void local_own_tool(struct request *r, const struct message *m,
                    const struct entry *e);

/* Begin a result in b: everything up to its first member. */
void local_start_result(struct buf *b, struct span id);

#endif
