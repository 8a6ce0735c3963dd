/*
 * forward - a client's message as its backend gets it.
 *
 * Written anew: id, method and name in our own spelling, _meta as the backend's
 * era has it, the other members of params byte for byte.
 */
#ifndef PROXY_FORWARD_H
#define PROXY_FORWARD_H

#include "proxy/call.h"
#include "proxy/trace.h"

/* Append the message to c->body, and note in c where its parts are. */
void forward_message(struct call *c, const struct message *msg,
                     const struct route *route, const struct trace *trace);

/* Append the header fields that name the target to c->fields, for a backend of
 * 2026-07-28 ("Standard headers"). */
void forward_fields(struct call *c, const struct message *msg,
                    const struct h1_head *head, const struct route *route);

#endif
