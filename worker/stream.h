/*
 * stream - subscriptions/listen: event streams that stay open.
 *
 * (MCP 2026-07-28, "Subscriptions".) The gateway tells of changes of its own
 * catalogue, which is the sum of its backends'.
 */
#ifndef WORKER_STREAM_H
#define WORKER_STREAM_H

#include "worker/request.h"

/* Open one: acknowledged first, then r is among the worker's streams. */
void stream_open(struct request *r, const struct message *m);

/* r is no open stream any more; harmless when it was none. */
void stream_leave(struct request *r);

/* The catalogue changed: tell those who asked for that. */
void stream_catalog_changed(struct worker *w, const struct snapshot *old,
                            const struct snapshot *now);

/* Draining: end all with their result, so that clients listen elsewhere. */
void stream_end_all(struct worker *w);

/* A comment on an event stream that is silent, so that no proxy cuts it. */
void stream_keepalive(struct request *r);

#endif
