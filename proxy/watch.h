/*
 * watch - which resources and tasks of backends this worker's clients want to
 * hear of.
 *
 * The union of what all streams of the worker want is asked of each backend
 * once (proxy/tap), and what it tells is spread to all who want to hear it.
 * While nobody wants anything of a backend, nothing is open there.
 *
 * A modern backend is asked by one subscriptions/listen. When the union grows,
 * a new stream is opened before the old one is closed, so that no change is
 * missed, and after a moment, so that many wishes at once are one stream. One
 * that refuses the whole for one of it is asked for one more at a time; so it
 * is when a task that it told of may be what it does not know any more. A
 * legacy backend is asked in a session of its own, by a GET stream and one
 * resources/subscribe for each resource; so is one with a session for each
 * client, since what a client subscribes to by itself ends with its session.
 *
 * A lost stream is opened again, later and later. Unless the backend numbers
 * its events and so can go on, everybody is then told that what he watches may
 * have changed. Changes of one resource that follow each other are told once in
 * WATCH_GATHER_MS. A change of a part of a resource that is watched is a change
 * of that resource.
 *
 * Tasks are those of modern backends that have the extension. Each state that
 * the backend tells of is passed on as it comes. What was missed while a stream
 * was lost is not made up for: whoever has a task asks for it from time to time
 * anyhow. A task stays watched after its end, until nobody wants to hear of it.
 */
#ifndef PROXY_WATCH_H
#define PROXY_WATCH_H

#include "lib/base.h"
#include "lib/loop.h"
#include "lib/span.h"
#include "proxy/session.h"
#include "proxy/upstream.h"
#include "shm/snapshot.h"

#define WATCH_URIS_MAX       4096  /* of one backend and worker, tasks too */
#define WATCH_DEBOUNCE_MS    10    /* from a wish to the backend */
#define WATCH_LINGER_MS      2000  /* from the last wish to the end */
#define WATCH_OVERLAP_MS     200   /* of two streams */
#define WATCH_GATHER_MS      50    /* changes told as one */
#define WATCH_BACKOFF_MIN_MS 500   /* until a lost stream is opened again; */
#define WATCH_BACKOFF_MAX_MS 60000 /* doubled each time */

struct watches; /* of one worker */
struct watched; /* a resource or a task of a backend */

enum watch_kind { WATCH_RESOURCE, WATCH_TASK };

/* One who wants to hear of one resource or task. Lives in its owner, zeroed but
 * for what the owner sets. The callbacks neither add nor drop watchers. */
struct watcher {
	/* set by the owner */
	enum watch_kind kind;
	/* It has changed. task: the raw members of a task, as the backend
	   knows it, valid during the call; empty for a resource. */
	void (*updated)(struct watcher *w, struct span task);
	/* watch_is_settled() has become true; may be said more than once.
	   NULL: not wanted. */
	void (*settled)(struct watcher *w);
	/* kept here */
	struct watcher *next, **prev; /* prev NULL: watches nothing */
	struct watched *of;
};

/* NULL without memory. */
struct watches *watches_new(struct loop *loop, struct upstream *up,
                            struct sessions *sessions);

/* No watcher is left, or will be called again. NULL is fine. */
void watches_free(struct watches *all);

/* Another snapshot: backends that moved are asked anew. Those whose watchers
 * belong elsewhere now are the owners' to move. */
void watches_adopt(struct watches *all, struct snapshot *snap);

/*
 * Watch the resource with this URI of a backend's own, or the task with this
 * id; backend is its index in the snapshot that was adopted last. False: it
 * tells of nothing like that, too many, or no memory.
 */
MUST_CHECK bool watch_add(struct watches *all, uint32_t backend,
                          struct span uri, struct watcher *w);

/* Harmless when it watches nothing. */
void watch_drop(struct watcher *w);

/* Is it this one that is watched? */
bool watch_is(const struct watcher *w, const struct watches *all,
              uint32_t backend, struct span uri);

/* Has the backend said whether it will tell of this? Also when it is nothing
 * that is watched. */
bool watch_is_settled(const struct watcher *w);

/* The era in which a backend is asked; false: it tells of nothing of the kind.
 */
bool watch_era(const struct snapshot *snap, uint32_t backend,
               enum watch_kind kind, enum view_era *era);

#endif
