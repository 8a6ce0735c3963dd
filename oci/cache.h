/*
 * cache - answers of Oracle Cloud's services, kept for a while in memory that
 * all workers share.
 *
 * A fixed number of places of a fixed size, found by the hash of a key; there
 * is no lock. Who writes marks the place, who reads looks at the mark before
 * and after, and the contents carry a checksum: a worker may be killed between
 * any two stores, and nobody ever gets bytes that do not belong together. An
 * answer that does not fit into one place is not kept.
 *
 * The key is a hash of everything an answer depends on: credential, region,
 * method, URL and body. What somebody changed is forgotten by credential:
 * cache_forget() makes all that was kept for it before too old.
 */
#ifndef OCI_CACHE_H
#define OCI_CACHE_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"

#define CACHE_KEY_LEN    32
#define CACHE_PLACE_MAX  32768 /* bytes of an answer and what goes with it */
#define CACHE_PROBES_MAX 4     /* places a key may be in */

/* How long: the tiers of the product, by name. */
enum cache_tier {
	CACHE_STATIC,      /* shapes, regions, availability domains */
	CACHE_CONFIG,      /* compartments, networks */
	CACHE_OPERATIONAL, /* instances, alarms */
	CACHE_METRICS,
	CACHE_REALTIME, /* never kept */
	CACHE_TIERS,
};

struct cache;

/* What has happened in a tier since the start, in all workers. */
struct cache_counts {
	uint64_t hits, misses, evictions, expirations, stored;
	uint64_t size; /* answers that are kept now and not too old */
};

/* Bytes that a cache of so many places needs; a multiple of 64. */
size_t cache_bytes(size_t places);

/* Make zeroed memory of cache_bytes(places), shared by fork, a cache. Called
 * once, by the process that forks. ttl_ms of each tier; 0: not kept. */
struct cache *cache_init(void *memory, size_t places,
                         const uint64_t ttl_ms[CACHE_TIERS]);

/* "static", ...; NULL-safe: false for an unknown word. */
const char *cache_tier_name(enum cache_tier tier);
bool cache_tier_of(const char *name, enum cache_tier *out);

/* Milliseconds an answer of a tier is kept. */
uint64_t cache_ttl_ms(const struct cache *cache, enum cache_tier tier);

/* Append what is kept under a key; false: nothing that is young enough. Counts
 * a hit or a miss. */
bool cache_find(struct cache *cache, enum cache_tier tier, uint64_t credential,
                const uint8_t key[CACHE_KEY_LEN], struct buf *out);

/* What cache_store() wants to know of the time when an answer was asked for. */
uint64_t cache_epoch(struct cache *cache, uint64_t credential);

/* Keep an answer; one that is too large is not kept. epoch is from before it
 * was asked for: an answer from before a change is no good after it. */
void cache_store(struct cache *cache, enum cache_tier tier, uint64_t epoch,
                 const uint8_t key[CACHE_KEY_LEN], struct span answer);

/* What was kept for this credential may be wrong from now on. */
void cache_forget(struct cache *cache, uint64_t credential);

/* Counts of a tier; looks at every place. */
void cache_count(const struct cache *cache, enum cache_tier tier,
                 struct cache_counts *out);

/* Places there are. */
size_t cache_places(const struct cache *cache);

/*
 * Make the cache of this process and of those it forks from now on, in memory
 * that they share; once. Returns 0 or -errno of mmap(2).
 */
MUST_CHECK int cache_share(size_t places, const uint64_t ttl_ms[CACHE_TIERS]);

/* That cache; NULL: there is none. */
struct cache *cache_shared(void);

#endif
