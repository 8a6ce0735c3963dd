/*
 * clientsession - the sessions of legacy clients (MCP 2025-11-25, "Session
 * Management").
 *
 * A session id is sealed (proxy/sealed) and says everything: nothing is kept
 * here for it, and any worker of any replica with the same session_key reads
 * it. Nobody needs one: a request without is served all the same, but then its
 * client cannot be asked anything, hears of no changes, cannot cancel a call or
 * go on with a stream, and sets no log level.
 */
#ifndef WORKER_CLIENTSESSION_H
#define WORKER_CLIENTSESSION_H

#include "worker/request.h"

/* Bytes of what is said of sessions with backends, sealed in a client's id of
 * REQUEST_SESSION_MAX characters. */
#define CLIENTSESSION_BACKENDS_MAX 2900

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

/* The same for a request without a message: its session must be there. */
MUST_CHECK bool clientsession_find(struct request *r,
                                   const struct h1_head *head,
                                   struct problem *p);

/* What a client can be asked, by its raw capabilities, in its revision. */
uint32_t clientsession_abilities(struct span capabilities,
                                 enum revision revision);

/*
 * The answer to an initialize hands a session id out; sessions are the client's
 * own with backends (proxy/backsession). False: they are not in it, for it
 * would be too long, or there is none: session ids are off.
 */
bool clientsession_open(struct request *r, uint32_t abilities,
                        enum revision revision, struct span sessions);

/* May a DELETE end a session here? Not without one (then it is 405). */
bool clientsession_can_end(const struct request *r, const struct h1_head *head);

/*
 * DELETE: the session is unknown from now on, here at once, and on the replicas
 * as soon as they were told; its own sessions with backends end too. Answers r:
 * 204, or 404 for a session that is not this caller's.
 */
void clientsession_end(struct request *r, const struct h1_request *head);

#endif
