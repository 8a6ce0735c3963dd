/*
 * backsession - in which legacy session of its backend a call runs.
 *
 * As a rule all clients with the same abilities share one of this worker. With
 * `sessions: per_client` a client brings those that were opened for it, sealed
 * in its own session id; when the backend has forgotten one, another takes its
 * place for as long as this worker lives. A client that brings none gets one
 * for the call alone.
 */
#ifndef PROXY_BACKSESSION_H
#define PROXY_BACKSESSION_H

#include "proxy/call.h"

/* Append what a client's session id says of a session with this backend. */
void backsession_add(const struct snapshot *snap, uint32_t backend,
                     struct span id, struct span version, struct buf *out);

/* The header lines of a client's session with this backend, appended to out;
 * false: it brings none. */
MUST_CHECK bool backsession_find(const struct snapshot *snap, uint32_t backend,
                                 struct span sessions, struct span *id,
                                 struct buf *out);

/* End all of a client's sessions. */
void backsession_delete_all(struct sessions *s, struct snapshot *snap,
                            struct span sessions);

/* Choose, for a call that starts. */
void backsession_begin(struct call *c);

/* Set the fields of its session. False: it is being opened, and call_send()
 * follows; or the call has failed. */
MUST_CHECK bool backsession_ready(struct call *c);

/* The backend does not know it any more: another one next time. */
void backsession_lost(struct call *c);

/* The call is over. */
void backsession_end(struct call *c);

#endif
