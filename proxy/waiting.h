/*
 * waiting - calls that wait for their clients' answers, across the eras.
 *
 * A legacy backend asks in the middle of a call, on the stream of its answer; a
 * client of 2026-07-28 can only be asked by a result, input_required. So the
 * client's request ends with that result, the call with its backend is parked
 * here, and requestState says which it is; the client's next request brings the
 * answers and is the call's request from then on.
 *
 * A modern backend asks by a result; a legacy client is asked by requests on
 * the stream of its own. Their ids say, sealed, which call and question they
 * belong to. When all are answered, the backend is called again.
 *
 * All of it is in one worker and ends after interactive_timeout: a parked
 * call's backend is told that the user has cancelled, a client's call fails.
 */
#ifndef PROXY_WAITING_H
#define PROXY_WAITING_H

#include "proxy/call.h"
#include "proxy/question.h"
#include "proxy/sealed.h"

#define WAITING_QUESTIONS_MAX 16    /* of one call at the same time */
#define WAITING_ROUNDS_MAX    32    /* of one call */
#define WAITING_GATHER_MS     20    /* for questions that come together */
#define WAITING_RETRY_MS      200   /* a state without a question: later */
#define WAITING_STATE_MAX     65536 /* bytes of a backend's requestState */

/* ---- a legacy backend asks a modern client ---- */

/*
 * The backend of c asks this; found is of its message. In a moment c's client
 * gets an input_required with all that was asked by then, and its request is
 * over. False: c is no call for that, or the client cannot be asked that. The
 * call may have failed when it returns true: too many wait.
 */
MUST_CHECK bool waiting_park(struct call *c, struct span id, struct span method,
                             struct span params);

/* The parked call of a state that was sealed here; NULL: it is over, or was
 * resumed already. */
struct call *waiting_find(struct proxy *proxy, const struct sealed *state);

/*
 * The client is back: its answers go to the backend, and reply is where the
 * call's answer goes from now on. Questions that msg leaves open are asked
 * again. The call may be over, or parked, when it returns.
 */
void waiting_resume(struct call *c, const struct message *msg,
                    struct reply *reply);

/* ---- a modern backend asks a legacy client ---- */

/* The result is input_required: ask the client on its stream. c goes on waiting
 * or has failed when it returns. */
void waiting_ask(struct call *c, struct span requests, struct span state);

/*
 * A client's answer to such a question: s is its sealed id, the call is one of
 * this worker. result is the raw member; empty when it is an error. Does
 * nothing when nobody waits for it any more.
 */
void waiting_answer(struct proxy *proxy, const struct sealed *s,
                    struct span result);

/* ---- both ---- */

/* A hash of what a request asks for: a state belongs to it alone. name is the
 * backend's own name or URI, arguments are raw, or empty. */
uint64_t waiting_digest(struct span method, struct span name,
                        struct span arguments);

/* The same of the request that c has sent. */
uint64_t waiting_call_digest(const struct call *c);

/* The call is over, or its client is gone: it waits no more. */
void waiting_end(struct call *c);

/* Give up all that wait without a client; their backends are told. */
void waiting_end_all(struct proxy *proxy);

#endif
