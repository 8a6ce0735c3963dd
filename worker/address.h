/*
 * address - how many connections come from one address.
 */
#ifndef WORKER_ADDRESS_H
#define WORKER_ADDRESS_H

#include "lib/base.h"
#include "lib/ip.h"

/* Zeroed, but for seed: nobody is connected. */
struct address_table {
	uint64_t seed; /* of the hash, random */
	struct address_count **buckets;
};

/* One more from here. False, and none more: there are as many as there may be,
 * or there is no memory. */
MUST_CHECK bool address_take(struct address_table *t, const struct ip *ip,
                             uint64_t most);

/* One less: address_take() has counted it. */
void address_release(struct address_table *t, const struct ip *ip);

#endif
