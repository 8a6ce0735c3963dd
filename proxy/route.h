/*
 * route - the backend that a message goes to, and its own name for the target.
 *
 * By what the lists have; a URI also by a template, by the prefix that the
 * gateway gives a backend's URIs, or because only one backend can have it.
 */
#ifndef PROXY_ROUTE_H
#define PROXY_ROUTE_H

#include "proxy/message.h"
#include "shm/snapshot.h"

/* Where a message goes. */
struct route {
	const struct entry *entry;
	uint32_t backend;
	bool own;             /* entry is answered by the gateway itself */
	enum view_era server; /* the era to speak to the backend */
	char name[MESSAGE_URI_MAX]; /* the backend's own name or URI */
	size_t name_len;
	char public_name[MESSAGE_URI_MAX]; /* what the client said */
	size_t public_len;
};

/*
 * Find the backend of a forwarded message, but for WORK_BY_TASK (proxy/task).
 * False fills *why: unknown name (-32602), missing parameter.
 */
MUST_CHECK bool route_find(const struct snapshot *snap,
                           const struct message *msg, struct route *route,
                           struct problem *why);

/* The same for a resource by its public URI; false: nobody has it. */
MUST_CHECK bool route_find_uri(const struct snapshot *snap, enum view_era era,
                               struct span uri, struct route *route);

#endif
