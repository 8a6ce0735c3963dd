/*
 * enlist - tell a legacy backend which resources are watched.
 *
 * resources/subscribe for what is wanted and not told, resources/unsubscribe
 * for what is told and not wanted any more (MCP 2025-11-25, "Resources"), a few
 * at the same time and one at a time for each resource, so that the last word
 * is the right one. An error in an answer is an answer: the backend said no.
 *
 * A session that it does not know any more is an HTTP 404 (MCP 2025-11-25,
 * "Session Management"), with some servers a 400; but one with a JSON-RPC error
 * under the request's own id is from the method, and so a no.
 */
#ifndef PROXY_ENLIST_H
#define PROXY_ENLIST_H

#include "lib/base.h"
#include "lib/buf.h"
#include "proxy/inbox.h"
#include "proxy/session.h"
#include "proxy/upstream.h"
#include "proxy/watched.h"

#define ENLIST_MAX 4 /* requests to one backend at the same time */

struct enlist;

/* A request on its way. */
struct enlist_post {
	struct exchange x;
	struct enlist *all;
	struct watched *about; /* NULL: idle */
	struct snapshot *snap;
	bool wants;
	uint64_t id;
	int status;
	struct inbox box; /* of an answer that may say that there is no such
	                     session */
	bool refused;     /* it is from the method */
	struct buf body, fields;
};

/* Lives in its owner, zeroed. */
struct enlist {
	/* set by the owner */
	struct upstream *up;
	struct sessions *sessions;
	struct watched_set *set;
	/* The request about u was answered: there may be more to tell. u is
	   there during the call; whoever wanted it may have gone meanwhile. */
	void (*done)(struct enlist *e, struct watched *u);
	/* One was not; the session does not exist any more, the network failed,
	   or the backend is too busy (429, 5xx). */
	void (*failed)(struct enlist *e, bool session_gone);
	/* its own */
	uint64_t next_id; /* of requests in the session */
	size_t place; /* of set, where the search for what to tell goes on */
	struct enlist_post posts[ENLIST_MAX];
};

/* Tell what can be told now, in the session for watching, which is open.
 * False: there is nothing to tell, and nothing under way. */
bool enlist_push(struct enlist *e, struct snapshot *snap, uint32_t backend);

/* Stop; what was under way counts as not told. */
void enlist_stop(struct enlist *e);

#endif
