/*
 * access - may this request be served: where from, by whom, for what.
 *
 * Functions that return false with a request have answered it: it is gone.
 */
#ifndef WORKER_ACCESS_H
#define WORKER_ACCESS_H

#include "worker/request.h"

/*
 * Check Host and Origin. False fills *p (403). An allowed Origin is noted in
 * r, for the fields of CORS.
 */
MUST_CHECK bool access_source(struct request *r, const struct h1_request *head,
                              struct problem *p);

/* Who asks, and has he the scopes that every request needs? False: answered
 * with 401, 403 or 503 (MCP, "Authorization"; RFC 6750, section 3). */
MUST_CHECK bool access_identify(struct request *r,
                                const struct h1_request *head);

/* May this caller use that? False: answered with 403. */
MUST_CHECK bool access_permit(struct request *r, const struct h1_request *head,
                              const struct scope_set *needs, struct span id);

/* What the caller has; NULL: everything. */
const struct scope_set *access_scopes(const struct request *r);

/* Did the client come by https, as far as we know? */
bool access_secure(const struct request *r);

/* Do the caller's scopes allow changes by tools of this process? */
bool access_may_write(const struct request *r);

#endif
