/*
 * mirror - arguments of a tool that travel in the head too: Mcp-Param-* fields,
 * by the tool's x-mcp-header (MCP 2026-07-28, "Custom headers").
 *
 * entry is the tool's; NULL when no list has it: then it declares none.
 */
#ifndef PROXY_MIRROR_H
#define PROXY_MIRROR_H

#include "lib/buf.h"
#include "lib/h1.h"
#include "proxy/message.h"
#include "shm/snapshot.h"

/*
 * Check Mcp-Param-* fields of a modern request against its arguments
 * (MCP 2026-07-28, "Custom headers"). False fills *why (-32020).
 */
MUST_CHECK bool mirror_check(const struct snapshot *snap,
                             const struct entry *entry,
                             const struct h1_head *head, struct span arguments,
                             struct problem *why);

/* Append the fields that repeat these arguments, a JSON object. */
void mirror_add(const struct snapshot *snap, const struct entry *entry,
                struct span arguments, struct buf *out);

/* Append the Mcp-Param-* fields that the tool does not declare, as they came.
 */
void mirror_add_others(const struct snapshot *snap, const struct entry *entry,
                       const struct h1_head *head, struct buf *out);

#endif
