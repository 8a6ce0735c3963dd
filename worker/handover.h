/*
 * handover - a request that another worker has to serve.
 *
 * A call that waits for its client's answer waits in one worker. Whoever gets
 * the answer hands the whole request over to that worker: of this machine, by
 * its port on 127.0.0.1 that only workers can use, or of another replica, by
 * the address that the place names. The request travels as it came, with the
 * caller's own token, is judged again over there, and its answer streams back.
 * What must be known everywhere is told to all workers and replicas instead.
 *
 * Each such request carries a field that only a process with the session keys
 * can make, and that says how far it has come: so it cannot go in circles, and
 * a client cannot pretend.
 *
 * What fails is logged, with the address and the reason: a worker says so once
 * in HANDOVER_QUIET_MS, and then how many more there were (unsaid).
 */
#ifndef WORKER_HANDOVER_H
#define WORKER_HANDOVER_H

#include "proxy/sealed.h"
#include "worker/request.h"

#define HANDOVER_CONNECT_MS 2000
#define HANDOVER_TAKEN_MS   5000 /* until what needs no backend is answered */
#define HANDOVER_LATE_MS    2000 /* later than the one that waits for it says */
#define HANDOVER_HELD_MAX   65536 /* bytes of an answer, then it is passed on */
#define HANDOVER_FIELDS_MAX 131072 /* bytes of a request's fields */
#define HANDOVER_NEWS_MAX   256    /* being told to others at the same time */
#define HANDOVER_QUIET_MS   10000  /* between two warnings that it failed */

/* How far a request has come. */
enum handover_hops {
	HANDOVER_NONE,    /* from a client */
	HANDOVER_REPLICA, /* from another replica */
	HANDOVER_WORKER,  /* from a worker of this machine */
};

struct handover; /* of one request that is served elsewhere */

/* Read the field; anything that does not hold is from a client. */
enum handover_hops handover_hops(const struct snapshot *snap,
                                 const struct h1_head *head);

/* This worker, as others find it. */
struct place handover_here(const struct worker *w, const struct snapshot *snap);

/* Is the place this very worker? */
bool handover_is_here(const struct worker *w, const struct place *place);

/*
 * Can r be handed over to the place? Not when the worker there has ended, the
 * replica has no address, or r has come too far already.
 */
bool handover_can(const struct request *r, const struct place *place);

/*
 * Hand r over; it is answered later, also when that fails. id is that of its
 * message, raw, or empty. Everything is copied. To a replica it goes by TLS
 * when this one has TLS, never without; that fails when there is no public_url,
 * which the configuration asks for only where replicas are named.
 *
 * A stream is passed on as it comes, and so is a JSON document of more than
 * HANDOVER_HELD_MAX; it may be of any size that is allowed over there. An error
 * says to make the call again only when nothing of it was sent, else that it
 * may have been executed.
 *
 * Whoever has the call ends it in time. A worker of this machine breaks its
 * connection when it dies, so there is no limit for it; a replica may be silent
 * for as long as the call's backend, by request_timeout or stream_idle_timeout,
 * and HANDOVER_LATE_MS, but HANDOVER_TAKEN_MS where no backend is waited for.
 */
void handover_give(struct request *r, const struct h1_request *head,
                   struct span body, const struct place *place, struct span id);

/* Tell all replicas the same request, and all other workers here if workers is
 * set; nobody waits for their answers. What was told is told no further than
 * to the workers of a replica. Over HANDOVER_NEWS_MAX it is lost. Each has
 * HANDOVER_TAKEN_MS, or, when r is for a backend, its request_timeout and
 * HANDOVER_LATE_MS: the one told may ask it before it answers, and would take
 * the end of the connection for that of the request. */
void handover_tell(struct request *r, const struct h1_request *head,
                   struct span body, bool workers);

/* The client has taken what was sent. */
void handover_resume(struct handover *h);

/* The request is over; NULL is fine. */
void handover_end(struct handover *h);

/* End what is still being told, and free what w has for all of this; its
 * requests have ended. */
void handover_fini(struct worker *w);

#endif
