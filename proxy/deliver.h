/*
 * deliver - the last message of a call: a backend's result or error, turned
 * into one of the client's era, or an error in our own words.
 *
 * Every function ends the call.
 */
#ifndef PROXY_DELIVER_H
#define PROXY_DELIVER_H

#include "proxy/relay.h"

/* found is what relay's table located in a message that has a result. */
void deliver_result(struct call *c, const struct span *found);

/* The same for a message that has an error. */
void deliver_error(struct call *c, const struct span *found);

#endif
