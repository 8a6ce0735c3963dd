/*
 * lookup - the addresses of host names, without waiting for them.
 *
 * The system's resolver blocks, so each look-up has a thread of its own: only
 * for processes that may have threads.
 */
#ifndef LIB_LOOKUP_H
#define LIB_LOOKUP_H

#include <sys/socket.h>

#include "lib/base.h"
#include "lib/loop.h"
#include "lib/span.h"

#define LOOKUP_ADDRESSES_MAX 8 /* of one host name */
#define LOOKUP_THREADS_MAX   8 /* at once; further look-ups wait */

struct lookups; /* those of one loop */
struct lookup;  /* one host name */

/* NULL when there is no memory or no descriptor. */
struct lookups *lookups_new(struct loop *loop);

/*
 * Cancel all; those that a thread is busy with finish on their own. Not from a
 * callback. NULL is fine.
 */
void lookups_free(struct lookups *all);

/*
 * Find the addresses of a host name or an address literal. on_done is called
 * once, from the loop, with 0 and at least one address, the port filled in, in
 * the system's order; or with -EHOSTUNREACH and none. The look-up is gone then.
 * Returns NULL when there is no memory or host is longer than 253 bytes.
 */
struct lookup *
lookup_start(struct lookups *all, struct span host, uint16_t port,
             void (*on_done)(void *owner, int err,
                             const struct sockaddr_storage *at, size_t n),
             void *owner);

/* on_done will not be called. */
void lookup_cancel(struct lookup *lookup);

#endif
