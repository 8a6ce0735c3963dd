/*
 * clientsession - the sessions of legacy clients (MCP 2025-11-25, "Session
 * Management").
 *
 * A session id is sealed (proxy/sealed) and says everything: nothing is kept
 * here for it, and any worker of any replica with the same session_key reads
 * it. Nobody needs one: a request without is served all the same, but then its
 * client cannot be asked anything.
 */
#ifndef WORKER_CLIENTSESSION_H
#define WORKER_CLIENTSESSION_H

#include "worker/request.h"

/*
 * Who calls and what it can do: fills r->caller, from the session of a legacy
 * message, or from the metadata of a modern one. m->revision becomes the
 * session's when no header said one. False fills *p: an id that does not open
 * (forged, another caller's, expired) is 404, and tells the client to
 * initialize again.
 */
MUST_CHECK bool clientsession_read(struct request *r,
                                   const struct h1_head *head,
                                   struct message *m, struct problem *p);

/* The answer to this initialize hands a session id out, unless that is off. */
void clientsession_open(struct request *r, const struct message *m,
                        enum revision revision);

#endif
