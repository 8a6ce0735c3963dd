/*
 * stream - event streams to clients that stay open: who hears what.
 *
 * A stream belongs to a modern client's subscriptions/listen or to a legacy
 * client's GET (worker/listen opens them). It tells of changes of the gateway's
 * own catalogue, as clients of its era see it, and of the resources and tasks
 * that its client wants to hear of. Changes that follow each other closely are
 * told once; a client that reads slowly is told once when it goes on, of a task
 * the last state. A task that asks for what its client has not declared in its
 * subscriptions/listen is not told of in that state.
 *
 * A long-lived stream is the exception to the rule that a request is served by
 * one snapshot: it moves to each new one, its caller's scopes by their names,
 * and what it watches is routed and judged anew. A resource that is heard of
 * elsewhere then, or again, may have changed meanwhile: its client is told so
 * when that backend knows that it is watched. A stream ends when its session or
 * its caller's token expires, and when the configuration changes who the
 * callers are: then its client comes again.
 */
#ifndef WORKER_STREAM_H
#define WORKER_STREAM_H

#include "proxy/watch.h"
#include "worker/request.h"

#define STREAM_GATHER_MS  50   /* changes of lists told as one */
#define STREAM_CALM_MS    500  /* between two of the same kind, at least */
#define STREAM_POLL_MS    50   /* between two looks at the board */
#define STREAM_REFRESH_MS 5000 /* has it expired; its session is in use */
#define STREAM_HOLD_MS    1000 /* until backends know what is watched */

#define LISTENS_TOOLS     1u
#define LISTENS_PROMPTS   2u
#define LISTENS_RESOURCES 4u
#define LISTENS_ALL       7u

struct stream;

/* The streams of a worker, to which its watches belong; NULL without memory. */
struct streams *streams_new(struct worker *w);
void streams_free(struct streams *all);

/* Are there as many as there may be (limits.streams)? */
bool stream_is_full(const struct worker *w);

/*
 * r is an open stream from now on, for these LISTENS_*; its head is sent, and
 * first, one event's JSON, or a comment when that is empty. id is the raw id of
 * a modern request. A legacy one's is empty, and r->caller has its session,
 * whose stream was taken with clients_hold(): it is released when it ends.
 * False, and nothing is sent: no memory.
 */
MUST_CHECK bool stream_open(struct request *r, uint8_t listens, struct span id,
                            struct span first);

/* Tell of it from now on, under this name. */
void stream_watch(struct request *r, enum watch_kind kind, struct span uri);

/* Nothing is sent before the backends know which tasks are watched, or
 * STREAM_HOLD_MS have passed; then first, whose bytes the stream takes over. */
void stream_hold(struct request *r, struct buf *first);

/* What this session subscribed to has changed. */
void stream_resubscribe(struct worker *w, uint64_t session);

/* r is no open stream any more; harmless when it was none. */
void stream_leave(struct request *r);

/* The client has taken what was kept for it. */
void stream_drained(struct request *r);

/* From old to now, which is w->snap: move all streams, tell of changes. */
void streams_adopt(struct worker *w, const struct snapshot *old);

/* Draining: end all, modern ones with their result, so that clients listen
 * elsewhere. */
void stream_end_all(struct worker *w);

/* A comment on an event stream that is silent, so that no proxy cuts it. */
void stream_keepalive(struct request *r);

#endif
