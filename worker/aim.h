/*
 * aim - the backend that a resource or a task leads to, for a caller who wants
 * to hear of it.
 */
#ifndef WORKER_AIM_H
#define WORKER_AIM_H

#include "proxy/watch.h"
#include "worker/request.h"

struct aim {
	uint32_t backend; /* index in r->snap */
	size_t len;
	char own[MESSAGE_URI_MAX]; /* the backend's own name */
};

/* By its public URI or id. False: it leads nowhere, r's caller may not use it,
 * or its backend does not tell of changes. */
MUST_CHECK bool aim_find(const struct request *r, enum watch_kind kind,
                         struct span uri, struct aim *aim);

#endif
