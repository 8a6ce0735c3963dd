/*
 * secure - exchanges with https:// backends, through lib/fetch.
 */
#ifndef PROXY_SECURE_H
#define PROXY_SECURE_H

#include "proxy/upstream.h"

/* Send x through lib/fetch. On failure x is told so on the next turn. */
void secure_start(struct exchange *x);

/* The rest of the answer belongs to another exchange now. */
void secure_hand_over(struct exchange *x);

#endif
