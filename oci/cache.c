#include "oci/cache.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/clock.h"

#define EPOCHS 64 /* credentials whose changes are told apart */

/*
 * One answer. mark is odd while somebody writes. A writer that is killed
 * leaves it odd: such a place is free for whoever comes after its time, with
 * the next even number taken from the odd one.
 */
struct place {
	_Atomic uint64_t mark;
	_Atomic uint64_t until_ms; /* monotonic; 0: empty */
	_Atomic uint64_t busy_ms;  /* when the writer began */
	uint64_t epoch;            /* of its credential, when it was stored */
	uint64_t check;            /* of everything below */
	uint32_t tier, len;
	uint8_t key[CACHE_KEY_LEN];
	char bytes[CACHE_PLACE_MAX];
};

struct tally {
	_Alignas(64) _Atomic uint64_t hits;
	_Atomic uint64_t misses, evictions, expirations, stored;
};

struct cache {
	size_t places;
	uint64_t ttl_ms[CACHE_TIERS];
	struct tally tallies[CACHE_TIERS];
	_Atomic uint64_t epochs[EPOCHS];
	_Alignas(64) struct place place[];
};

#define BUSY_MS 1000 /* no writer takes this long: it is dead */

size_t cache_bytes(size_t places)
{
	size_t n = sizeof(struct cache) + places * sizeof(struct place);

	return (n + 63) & ~(size_t)63;
}

struct cache *cache_init(void *memory, size_t places,
                         const uint64_t ttl_ms[CACHE_TIERS])
{
	struct cache *cache = memory;

	assert(places > 0);
	cache->places = places;
	memcpy(cache->ttl_ms, ttl_ms, sizeof(cache->ttl_ms));
	return cache;
}

static const char *const names[CACHE_TIERS] = {
	[CACHE_STATIC] = "static",           [CACHE_CONFIG] = "config",
	[CACHE_OPERATIONAL] = "operational", [CACHE_METRICS] = "metrics",
	[CACHE_REALTIME] = "realtime",
};

const char *cache_tier_name(enum cache_tier tier)
{
	return (unsigned)tier < CACHE_TIERS ? names[tier] : "unknown";
}

bool cache_tier_of(const char *name, enum cache_tier *out)
{
	for (enum cache_tier t = 0; name && t < CACHE_TIERS; t++) {
		if (strcmp(name, names[t]) == 0) {
			*out = t;
			return true;
		}
	}
	return false;
}

uint64_t cache_ttl_ms(const struct cache *cache, enum cache_tier tier)
{
	return cache->ttl_ms[tier];
}

size_t cache_places(const struct cache *cache)
{
	return cache->places;
}

/* --- keys -----------------------------------------------------------------
 */

static uint64_t word(const uint8_t key[CACHE_KEY_LEN])
{
	uint64_t n;

	memcpy(&n, key, sizeof(n));
	return n;
}

static struct place *at(struct cache *cache, const uint8_t *key, unsigned probe)
{
	return &cache->place[(word(key) + probe) % cache->places];
}

static _Atomic uint64_t *epoch_of(struct cache *cache, uint64_t credential)
{
	return &cache->epochs[credential % EPOCHS];
}

/*
 * FNV-1a by words: finds mixed bytes, not an enemy; whoever can write here is
 * one of us. Taken of what a process has for itself, never of the place: there
 * a writer that was only thought dead may still change it.
 */
static uint64_t sum(const uint8_t *key, uint64_t epoch, uint64_t until_ms,
                    uint32_t tier, struct span answer)
{
	uint64_t h = 0xcbf29ce484222325, n;
	size_t i = 0;

	h = (h ^ epoch ^ ((uint64_t)tier << 32) ^ answer.len) * 0x100000001b3;
	h = (h ^ until_ms) * 0x100000001b3;
	for (size_t k = 0; k < CACHE_KEY_LEN; k += sizeof(n)) {
		memcpy(&n, key + k, sizeof(n));
		h = (h ^ n) * 0x100000001b3;
	}
	for (; i + sizeof(n) <= answer.len; i += sizeof(n)) {
		memcpy(&n, answer.at + i, sizeof(n));
		h = (h ^ n) * 0x100000001b3;
		h ^= h >> 29;
	}
	for (; i < answer.len; i++)
		h = (h ^ (unsigned char)answer.at[i]) * 0x100000001b3;
	return h;
}

static void add(_Atomic uint64_t *n)
{
	atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

/* --- reading --------------------------------------------------------------
 */

enum found { ABSENT, STALE, FRESH };

/* Copy what a place holds when it is whole and of this key. *until_ms is what
 * was seen there. */
static enum found read_place(struct place *p, const uint8_t *key,
                             uint64_t epoch, uint64_t now_ms,
                             uint64_t *until_ms, struct buf *out)
{
	uint64_t mark = atomic_load_explicit(&p->mark, memory_order_acquire);
	uint64_t until =
		atomic_load_explicit(&p->until_ms, memory_order_relaxed);
	size_t before = out->len;
	uint32_t len = p->len, tier = p->tier;
	uint64_t check = p->check;

	*until_ms = until;
	if (mark & 1 || until == 0 || memcmp(p->key, key, CACHE_KEY_LEN) != 0)
		return ABSENT;
	if (until <= now_ms || p->epoch != epoch)
		return STALE;
	if (len > CACHE_PLACE_MAX)
		return ABSENT;
	buf_add(out, p->bytes, len);
	atomic_thread_fence(memory_order_acquire);
	if (buf_err(out) == 0 &&
	    atomic_load_explicit(&p->mark, memory_order_relaxed) == mark &&
	    sum(key, epoch, until, tier, span_from(buf_span(out), before)) ==
	            check)
		return FRESH;
	out->len = MIN(before, out->len);
	return ABSENT;
}

bool cache_find(struct cache *cache, enum cache_tier tier, uint64_t credential,
                const uint8_t key[CACHE_KEY_LEN], struct buf *out)
{
	struct tally *tally = &cache->tallies[tier];
	uint64_t epoch = atomic_load(epoch_of(cache, credential));
	uint64_t now_ms = clock_mono_ms();

	for (unsigned i = 0; i < CACHE_PROBES_MAX; i++) {
		struct place *p = at(cache, key, i);
		uint64_t until;

		switch (read_place(p, key, epoch, now_ms, &until, out)) {
		case FRESH:
			add(&tally->hits);
			return true;
		case STALE:
			/* Unless it has been written again meanwhile. */
			if (atomic_compare_exchange_strong(&p->until_ms, &until,
			                                   0))
				add(&tally->expirations);
			break;
		case ABSENT:
			break;
		}
	}
	add(&tally->misses);
	return false;
}

/* --- writing --------------------------------------------------------------
 */

/* The place to write to: that of the key, an empty one, or the one that would
 * be the first to be too old. */
static struct place *choose(struct cache *cache, const uint8_t *key)
{
	struct place *best = at(cache, key, 0);
	uint64_t best_ms = UINT64_MAX;

	for (unsigned i = 0; i < CACHE_PROBES_MAX; i++) {
		struct place *p = at(cache, key, i);
		uint64_t until = atomic_load_explicit(&p->until_ms,
		                                      memory_order_relaxed);

		if (until && memcmp(p->key, key, CACHE_KEY_LEN) == 0)
			return p;
		if (until < best_ms) {
			best = p;
			best_ms = until;
		}
	}
	return best;
}

/*
 * Mark a place as being written; false: somebody else does that. The time is
 * there before the mark, so that nobody finds a new mark with an old time. The
 * other process may have read the clock after us.
 */
static bool lock(struct place *p, uint64_t now_ms, uint64_t *mark)
{
	uint64_t old = atomic_load(&p->mark);

	if (old & 1) {
		uint64_t since = atomic_load(&p->busy_ms);

		if (now_ms < since + BUSY_MS)
			return false;
		*mark = old + 2; /* its writer is dead */
	} else {
		*mark = old + 1;
	}
	atomic_store(&p->busy_ms, now_ms);
	if (!atomic_compare_exchange_strong(&p->mark, &old, *mark))
		return false;
	atomic_thread_fence(memory_order_release);
	return true;
}

uint64_t cache_epoch(struct cache *cache, uint64_t credential)
{
	return atomic_load(epoch_of(cache, credential));
}

void cache_store(struct cache *cache, enum cache_tier tier, uint64_t epoch,
                 const uint8_t key[CACHE_KEY_LEN], struct span answer)
{
	struct tally *tally = &cache->tallies[tier];
	uint64_t now_ms = clock_mono_ms(), mark;
	struct place *p;

	if (answer.len > CACHE_PLACE_MAX || cache->ttl_ms[tier] == 0)
		return;
	p = choose(cache, key);
	if (!lock(p, now_ms, &mark))
		return;
	uint64_t until = atomic_exchange(&p->until_ms, 0);
	if (until > now_ms && memcmp(p->key, key, CACHE_KEY_LEN) != 0)
		add(&cache->tallies[p->tier % CACHE_TIERS].evictions);
	memcpy(p->key, key, CACHE_KEY_LEN);
	p->tier = tier;
	p->len = (uint32_t)answer.len;
	p->epoch = epoch;
	if (answer.len)
		memcpy(p->bytes, answer.at, answer.len);
	until = now_ms + cache->ttl_ms[tier];
	p->check = sum(key, epoch, until, tier, answer);
	atomic_store(&p->until_ms, until);
	/* Not when somebody took the place over: it is theirs now. */
	if (atomic_compare_exchange_strong(&p->mark, &mark, mark + 1))
		add(&tally->stored);
}

void cache_forget(struct cache *cache, uint64_t credential)
{
	atomic_fetch_add(epoch_of(cache, credential), 1);
}

void cache_count(const struct cache *cache, enum cache_tier tier,
                 struct cache_counts *out)
{
	const struct tally *tally = &cache->tallies[tier];
	uint64_t now_ms = clock_mono_ms();

	*out = (struct cache_counts){
		.hits = atomic_load(&tally->hits),
		.misses = atomic_load(&tally->misses),
		.evictions = atomic_load(&tally->evictions),
		.expirations = atomic_load(&tally->expirations),
		.stored = atomic_load(&tally->stored),
	};
	for (size_t i = 0; i < cache->places; i++)
		if (cache->place[i].tier == tier &&
		    atomic_load(&cache->place[i].until_ms) > now_ms)
			out->size++;
}

/* --- shared by fork --------------------------------------------------------
 */

static struct cache *shared;

int cache_share(size_t places, const uint64_t ttl_ms[CACHE_TIERS])
{
	void *memory = mmap(NULL, cache_bytes(places), PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return os_error();
	shared = cache_init(memory, places, ttl_ms);
	return 0;
}

struct cache *cache_shared(void)
{
	return shared;
}
