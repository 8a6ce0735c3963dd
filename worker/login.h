/*
 * login - initialize, where backends have a session for each client.
 *
 * Such a session is opened together with the client's own and travels in its
 * id, so that every worker and replica finds it. All backends are asked at the
 * same time; one that does not answer in time is left out, and the client gets
 * a session with it for each call.
 */
#ifndef WORKER_LOGIN_H
#define WORKER_LOGIN_H

#include "worker/request.h"

#define LOGIN_MS 3000 /* for backends to open their sessions */

struct login; /* of one request */

/*
 * Does this initialize open sessions at backends? Then it is answered later,
 * by local_initialized(). Everything needed of m is copied.
 */
MUST_CHECK bool login_begin(struct request *r, const struct message *m,
                            uint32_t abilities, enum revision revision);

/* The request is over; NULL is fine. */
void login_end(struct login *l);

#endif
