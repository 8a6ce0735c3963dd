/*
 * lists - tools/list and its kin, out of the snapshot.
 *
 * The items stand ready in the snapshot, in order, with commas between them: a
 * caller who may see all of a page gets that run of bytes as it is. A cursor
 * names the last item of the page before, so pages stay right when the
 * catalogue changes between two of them, and on every replica.
 */
#ifndef PROXY_LISTS_H
#define PROXY_LISTS_H

#include "lib/base.h"
#include "lib/buf.h"
#include "proxy/message.h"
#include "proxy/reply.h"
#include "shm/snapshot.h"

/*
 * Answer a WORK_LIST message. scopes is what the caller has; NULL: everything.
 * scratch is emptied and used for what has to be put together. False fills
 * *why: a cursor that is none of ours (-32602); nothing was sent then.
 */
MUST_CHECK bool lists_reply(const struct snapshot *snap,
                            const struct message *msg,
                            const struct scope_set *scopes, struct buf *scratch,
                            struct reply *reply, struct problem *why);

/* Append the members that modern results carry: resultType, _meta. */
void lists_modern_members(const struct snapshot *snap, bool cacheable,
                          struct buf *out);

#endif
