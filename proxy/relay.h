/*
 * relay - an answer of a backend, checked and turned into one for the client.
 *
 * Used by proxy/call alone; see there.
 */
#ifndef PROXY_RELAY_H
#define PROXY_RELAY_H

#include "proxy/call.h"

extern const struct exchange_ops relay_ops;

/* End the call with an error (-32603) that names its backend. */
void relay_fail(struct call *c, enum outcome outcome, const char *fmt, ...)
	PRINTF(3, 4);

/* Send the composed request: at the start, and once more after a session was
 * lost. */
void call_send(struct call *c);

#endif
