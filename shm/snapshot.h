/*
 * snapshot - the configuration and the catalogue, frozen.
 *
 * The master writes the configuration part, the keeper adds the catalogue; the
 * result is sealed, and after that nobody can change a byte, the kernel sees
 * to it. A worker opens the sealed segment, starts every new request on it,
 * and lets go when the last request that began on it has ended. Nothing here
 * is written by two, so nothing here is locked.
 */
#ifndef SHM_SNAPSHOT_H
#define SHM_SNAPSHOT_H

#include <stdint.h>

#include "lib/base.h"
#include "lib/span.h"
#include "shm/layout.h"

struct snapshot {
	const struct header *head;
	const char *base; /* the header's first byte */
	size_t size;
	uint32_t refs;
	const struct settings *settings;
};

/*
 * Map a sealed segment after checking that it is one of ours: every offset,
 * every length, every index and every NUL behind a string.
 *
 * Owns: takes fd in every case; *out is one reference, for snapshot_unref().
 * Returns 0, or
 *	-EPERM    not sealed: a writer could still change it under us
 *	-EPROTO   magic, version or number of settings are not this build's
 *	-EBADMSG  an offset, a length or an index points outside
 *	-errno    from fstat(2), fcntl(2), mmap(2) or malloc(3)
 */
MUST_CHECK int snapshot_open(int fd, struct snapshot **out);

/* One more reference to a live snapshot. Cannot fail. */
struct snapshot *snapshot_ref(struct snapshot *snap);

/* One reference less; the last unmaps the segment. NULL is allowed. */
void snapshot_unref(struct snapshot *snap);

/* The bytes of a string; the empty span for none. They end with a NUL. */
static inline struct span snapshot_text(const struct snapshot *s, struct ref r)
{
	return r.off ? span_of(s->base + r.off, r.len) : span_of("", 0);
}

/* The first element of an array; cast it to what layout.h says it is. */
static inline const void *snapshot_array(const struct snapshot *s, struct ref r)
{
	return s->base + r.off;
}

static inline const struct backend *snapshot_backend(const struct snapshot *s,
                                                     uint32_t i)
{
	return (const struct backend *)snapshot_array(s, s->head->backends) + i;
}

static inline const struct origin *snapshot_origin(const struct snapshot *s,
                                                   uint32_t i)
{
	return (const struct origin *)snapshot_array(s, s->head->origins) + i;
}

static inline const struct view *snapshot_view(const struct snapshot *s,
                                               enum view_era era)
{
	return (const struct view *)snapshot_array(s, s->head->views) + era;
}

/*
 * Find an entry by its exact public name, in one probe as a rule.
 * Returns NULL if there is none. The entry lives as long as the snapshot.
 */
const struct entry *snapshot_find(const struct snapshot *s,
                                  const struct list *list, struct span name);

/* Whose URI is it that a tool names? NULL: none does. */
const struct reference *snapshot_reference(const struct snapshot *s,
                                           const struct view *view,
                                           struct span uri);

/* The hash that list.table is built with. */
uint32_t snapshot_hash(struct span name);

/* The index of a scope, or -1 when the configuration never names it. */
int snapshot_scope(const struct snapshot *s, struct span scope);

static inline void scope_set_add(struct scope_set *set, unsigned i)
{
	set->bits[i / 64] |= (uint64_t)1 << (i % 64);
}

static inline bool scope_set_has(const struct scope_set *set, unsigned i)
{
	return set->bits[i / 64] >> (i % 64) & 1;
}

/* Is everything in needs also in have? */
static inline bool scope_set_covers(const struct scope_set *have,
                                    const struct scope_set *needs)
{
	uint64_t missing = 0;

	for (size_t i = 0; i < ARRAY_LEN(have->bits); i++)
		missing |= needs->bits[i] & ~have->bits[i];
	return missing == 0;
}

static inline bool scope_set_empty(const struct scope_set *set)
{
	static const struct scope_set none;

	return scope_set_covers(&none, set);
}

#endif
