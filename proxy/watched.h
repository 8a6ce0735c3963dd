/*
 * watched - the resources and tasks of one backend that somebody watches, by
 * their URIs and ids.
 *
 * Part of proxy/watch, which says what the members mean.
 */
#ifndef PROXY_WATCHED_H
#define PROXY_WATCHED_H

#include "lib/base.h"
#include "lib/span.h"
#include "proxy/watch.h"

#define WATCHED_PLACES 256 /* of the hash table */
#define WATCHED_STATES 8   /* of a task, remembered while streams overlap */

struct watched {
	struct watched_set *set;
	struct watched *next; /* in its place */
	struct watcher *watchers;
	bool asked;    /* it is in the union that was asked for last */
	bool honoured; /* while a backend's answer is read: it is in there */
	bool told;     /* the backend knows that we want it, */
	bool refused;  /* or did not want to */
	bool posting;  /* a request about it is under way */
	bool changed;  /* to be told at the next flush */
	enum watch_kind kind;
	/* Of a task: hashes of the last that were told, and how many were. */
	uint32_t states[WATCHED_STATES];
	unsigned n_states;
	size_t place, len;
	char uri[]; /* of a task: its id */
};

/* Zeroed, it is ready. */
struct watched_set {
	unsigned n;
	struct watched *places[WATCHED_PLACES];
};

/* NULL: it is not there. */
struct watched *watched_find(const struct watched_set *set,
                             enum watch_kind kind, struct span uri);

/* The resource that is watched and has this URI, or is a whole that it is a
 * part of: the longest that ends before one of its slashes. */
struct watched *watched_find_whole(const struct watched_set *set,
                                   struct span uri);

/* The one that is there, or a new one; NULL: WATCH_URIS_MAX, or no memory. */
struct watched *watched_add(struct watched_set *set, enum watch_kind kind,
                            struct span uri);

void watched_remove(struct watched *u);

/* All of them, in no order: the first behind NULL, NULL behind the last. */
struct watched *watched_next(const struct watched_set *set,
                             const struct watched *u);

static inline struct span watched_uri(const struct watched *u)
{
	return span_of(u->uri, u->len);
}

#endif
