/*
 * own - the gateway's own tools, and what it says about its backends.
 *
 * Three tools answer from the snapshot and the board alone: nothing is asked
 * over the network, nothing waits. What they say can be read by whoever may
 * call them, so no URL, address or subject of a token is in it; the audit log
 * file has those.
 */
#ifndef PROXY_OWN_H
#define PROXY_OWN_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"
#include "proxy/catalog.h"
#include "proxy/message.h"
#include "shm/board.h"
#include "shm/snapshot.h"

#define OWN_LIMIT_MAX     100 /* records of one gateway_audit_log */
#define OWN_LIMIT_DEFAULT 20

/*
 * Call an own tool. arguments is the raw value of params.arguments out of a
 * text that was found valid; the empty span stands for {}. Appends the object
 * of a CallToolResult without resultType, which only modern clients get:
 * {"content":[...],"structuredContent":{...},"isError":false}.
 *
 * On false *why is filled in and result must not be sent:
 *	-32602  an argument the tool does not have, a repeated one, a limit
 *	        that is no integer from 1 to OWN_LIMIT_MAX, no object at all
 *	-32603  the answer does not fit into result, or memory is short
 */
MUST_CHECK bool own_call(enum own_tool tool, const struct snapshot *snap,
                         const struct board *board, struct span arguments,
                         struct buf *result, struct problem *why);

/* How many of the configured backends are in which state. */
struct own_tally {
	uint32_t total;
	uint32_t healthy;   /* the last probe succeeded */
	uint32_t degraded;  /* one or two failed: calls still go there */
	uint32_t unhealthy; /* more failed, or it is disconnected */
};

struct own_tally own_tally(const struct snapshot *snap,
                           const struct board *board);

/* The state of backends[i] as the keeper last saw it. */
enum health own_health(const struct snapshot *snap, const struct board *board,
                       uint32_t i);

/* "none", "bearer_token", "api_key" or, for the tools of Oracle Cloud, "auto"
 * and its kin: words of the configuration. */
const char *own_auth_method(const struct backend *backend);

/* A breaker that refuses, lets through, or has one call try: a word for it. */
const char *own_breaker_state(const struct backend_row *row, uint64_t now_ms);

#endif
