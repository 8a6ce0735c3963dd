/*
 * hosts - where the hosts are that requests are signed for.
 *
 * Workers look up no names: with a signature they get the addresses of the
 * host. What was found is kept for HOSTS_FRESH_MS; then it is looked up again,
 * and until that has ended, or when it fails, what was found before still
 * serves. Addresses written as numbers are not looked up.
 */
#ifndef OCI_HOSTS_H
#define OCI_HOSTS_H

#include <sys/socket.h>

#include "lib/base.h"
#include "lib/lookup.h"
#include "lib/loop.h"
#include "lib/span.h"

#define HOSTS_MAX      512 /* different ones; the oldest makes room */
#define HOSTS_FRESH_MS 30000
#define HOSTS_RETRY_MS 1000 /* after one that was not found */

struct hosts;

/* Where a host is. */
struct hosts_place {
	size_t n; /* 0: the host is written as an address */
	struct sockaddr_storage at[LOOKUP_ADDRESSES_MAX];
};

enum hosts_state {
	HOSTS_KNOWN,
	HOSTS_COMING,  /* on_news will tell */
	HOSTS_UNKNOWN, /* it has no address, as far as we can find out */
};

/* on_news comes from the loop: a look-up has ended. lookups must outlive it.
 * NULL without memory. */
struct hosts *hosts_new(struct loop *loop, struct lookups *lookups,
                        void (*on_news)(void *owner), void *owner);
void hosts_free(struct hosts *hosts);

/* Where is this host, with its port (443 when it has none)? HOSTS_KNOWN fills
 * *place. */
enum hosts_state hosts_find(struct hosts *hosts, struct span authority,
                            struct hosts_place *place);

#endif
