/*
 * resume - clients that come back with answers to questions.
 *
 * A client of 2026-07-28 repeats its request with requestState and
 * inputResponses; a legacy client posts a JSON-RPC response. Both carry,
 * sealed, what they answer: a question that goes straight to a backend, or a
 * call that waits in some worker. When that is another one, the request is
 * handed over.
 */
#ifndef WORKER_RESUME_H
#define WORKER_RESUME_H

#include "proxy/waiting.h"
#include "worker/request.h"

enum resume_result {
	RESUME_NONE,    /* a request by itself: it goes its way */
	RESUME_TAKEN,   /* it is answered, or will be */
	RESUME_REFUSED, /* the problem says why */
};

/*
 * Judge requestState of a routed request. RESUME_NONE: the backend's own state,
 * if there was one, is in m again, in room; sealed_free() it after the call has
 * been started, whatever the result was.
 */
MUST_CHECK enum resume_result
resume_request(struct request *r, const struct h1_request *head,
               struct span body, struct message *m, const struct route *route,
               struct sealed_room *room, struct problem *p);

/*
 * A posted response. True: the request was handed over and is answered later.
 * False: it was passed on, or answers nothing any more.
 */
MUST_CHECK bool resume_response(struct request *r,
                                const struct h1_request *head, struct span body,
                                const struct message *m);

#endif
