/*
 * builtin - calls of the tools that this process carries out itself: those of
 * Oracle Cloud.
 *
 * The other side of proxy/call: the same request and the same way back, but
 * oci/runner in the place of a backend.
 */
#ifndef PROXY_BUILTIN_H
#define PROXY_BUILTIN_H

#include "lib/base.h"
#include "lib/loop.h"
#include "oci/runner.h"
#include "proxy/call.h"
#include "proxy/message.h"
#include "proxy/reply.h"
#include "shm/snapshot.h"

#define BUILTIN_STREAM_MS                                                      \
	10000                     /* then a client that takes events gets some \
	                           */
#define BUILTIN_COMPARTMENTS  256 /* mutation_compartments that count */
#define BUILTIN_OPERATION_MAX 160 /* bytes of an operation, for records */

struct builtin; /* what all calls of one worker share */

struct builtin_call; /* one call */

/* Without a channel calls fail with a sentence. cache may be NULL. NULL without
 * memory. */
struct builtin *builtin_new(struct loop *loop, struct cache *cache);
void builtin_free(struct builtin *builtin);

/* Signatures come from the keeper on this descriptor, which is taken over. */
void builtin_connect(struct builtin *builtin, int fd);

/*
 * Carry out a tools/call; route leads to a backend with BACKEND_OCI. may_write:
 * the caller's scopes allow changes. Everything needed of msg is copied. The
 * answer goes to reply, later or at once; *out is the call, for builtin_end(),
 * and is set before anything is answered.
 */
void builtin_start(struct builtin *builtin, struct reply *reply,
                   struct snapshot *snap, const struct message *msg,
                   const struct route *route, bool may_write,
                   struct builtin_call **out);

/* The request is over, answered or not: nothing is sent any more. NULL is
 * fine. */
void builtin_end(struct builtin_call *c);

/* For the audit trail: what was asked of the cloud, and the cloud's id of that
 * request; empty when nothing was, or not yet. */
struct span builtin_operation(const struct builtin_call *c);
struct span builtin_request_id(const struct builtin_call *c);

#endif
