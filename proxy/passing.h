/*
 * passing - an answer that is too long to be held, on its way through.
 *
 * It is checked as it passes: valid JSON, to our request, a result; what a
 * client of 2026-07-28 misses in the result is added at its end. A client of an
 * older revision gets it as it is (proxy/downgrade): without a tree nothing can
 * be taken out of its middle.
 *
 * Used by proxy/relay alone.
 */
#ifndef PROXY_PASSING_H
#define PROXY_PASSING_H

#include "proxy/call.h"

/* Does what was gathered in c->in show that it must not pass as it is: that it
 * asks for input, or is a task? */
bool passing_must_not(const struct call *c);

/* From what was gathered on, which is freed, it passes. */
void passing_begin(struct call *c);

/* More of it. Ends the call when it does not hold. */
void passing_more(struct call *c, struct span in);

/* It is complete: was it ours? Ends the call. */
void passing_end(struct call *c);

#endif
