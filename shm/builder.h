/*
 * builder - writes a snapshot, piece by piece, in ordinary memory.
 *
 * Everything appended is found again by its offset. Failure sticks as in buf:
 * append freely, and ask once, in builder_freeze(). Structures are aligned to
 * eight bytes; pointers from builder_at() are valid until the next append.
 */
#ifndef SHM_BUILDER_H
#define SHM_BUILDER_H

#include "lib/buf.h"
#include "shm/layout.h"
#include "shm/snapshot.h"

struct builder {
	struct buf bytes;
};

/* An empty snapshot: a header with magic, version and zeros. */
void builder_init(struct builder *b);

/*
 * Start from the configuration part of another snapshot; its catalogue is left
 * behind, so origins and views are unset.
 */
void builder_copy_config(struct builder *b, const struct snapshot *from);

void builder_free(struct builder *b);

/* The header; valid until the next append. NULL when the builder has failed. */
struct header *builder_header(struct builder *b);

/* Append a string and a NUL. The empty string gives a ref with off != 0. */
struct ref builder_text(struct builder *b, struct span text);

/*
 * Append n elements of size bytes, copied from elements (zeros when NULL).
 * n may be 0. The place is aligned to eight bytes.
 */
struct ref builder_array(struct builder *b, const void *elements, size_t n,
                         size_t size);

/* Memory of an offset; NULL when the builder has failed. */
void *builder_at(struct builder *b, struct ref r);

/* What was appended so far is the configuration part. */
void builder_end_config(struct builder *b);

/*
 * Seal what was built. The builder is empty afterwards in every case.
 * Returns a descriptor, the caller's, or -ENOBUFS (over LAYOUT_MAX), -ENOMEM,
 * or -errno of segment_freeze().
 */
MUST_CHECK int builder_freeze(struct builder *b);

#endif
