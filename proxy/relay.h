/*
 * relay - an answer of a backend, checked and turned into one for the client.
 *
 * Used by proxy/call alone; see there.
 */
#ifndef PROXY_RELAY_H
#define PROXY_RELAY_H

#include "proxy/call.h"

/* What is looked for in a backend's message. */
enum relay_want {
	RELAY_ID,
	RELAY_METHOD_NAME,
	RELAY_PARAMS,
	RELAY_RESULT,
	RELAY_ERROR,
	RELAY_PARAMS_TOKEN,
	RELAY_PARAMS_LEVEL,
	RELAY_RESULT_TYPE,
	RELAY_RESULT_TTL,
	RELAY_RESULT_SCOPE,
	RELAY_RESULT_IS_ERROR,
	RELAY_RESULT_REQUESTS,
	RELAY_RESULT_STATE,
	RELAY_ERROR_CODE,
	RELAY_ERROR_MESSAGE,
	RELAY_ERROR_DATA,
	RELAY_WANTS,
};

#define PARTS_MAX 14

/* The bytes of an answer, in pieces that need not be copied together. */
struct parts {
	struct iovec iov[PARTS_MAX];
	int n;
};

static inline void parts_add(struct parts *p, struct span s)
{
	assert(p->n < PARTS_MAX);
	p->iov[p->n].iov_base = (void *)(uintptr_t)s.at;
	p->iov[p->n].iov_len = s.len;
	p->n++;
}

extern const struct exchange_ops relay_ops;

/* End the call with an error (-32603) that names its backend. */
void relay_fail(struct call *c, enum outcome outcome, const char *fmt, ...)
	PRINTF(3, 4);

/* The same for a backend whose answer does not hold: what says how. */
void relay_nonsense(struct call *c, const char *what);

/* Post a message of our own to the call's backend, in the call's session. */
void relay_post(struct call *c, struct span body);

/* Tell a legacy backend that nobody waits for the call any more. */
void relay_cancel(struct call *c);

/* A request of the backend's that came beside the call's own stream. */
void relay_apart(struct call *c, struct span text);

/* One message as an event of the answer; nothing for a client that takes no
 * stream. */
void relay_event(struct call *c, const struct parts *p);

/* The last message of an answer, whole or as the last event. */
void relay_finish(struct reply *r, int status, struct span message);

/* Is this raw id the one that the call has at its backend? */
bool relay_our_id(const struct call *c, struct span raw);

/* Is the call that a loop began with still being answered? */
static inline bool relay_works(const struct call *c, uint32_t attempt)
{
	return c->running && c->attempt == attempt;
}

/* text, in which line ends are white space, on one line: itself, or a copy in
 * room. */
struct span relay_one_line(struct buf *room, struct span text);

/* The revision that a legacy backend chose; offered is 2025-11-25. */
enum revision relay_revision(const struct call *c);

/* Send the composed request: at the start, and once more after a session was
 * lost. */
void call_send(struct call *c);

/* Send it again under another id, with these members added to its params; each
 * begins with a comma. Those of the time before are gone. */
void call_repeat(struct call *c, struct span members);

/* c is the call of another request of its client now. */
void call_renew(struct call *c, const struct message *msg);

/* Ready to begin, with what every call has. */
void call_prepare(struct call *c);

/* c outlives the request that it began with. */
void call_hold(struct call *c);

/* Has its method results that ask for input (MCP 2026-07-28, "Multi round-trip
 * requests")? */
bool call_takes_input(const struct call *c);

#endif
