/*
 * segment - memory that several processes see.
 *
 * A frozen segment is a memfd with every seal set: nobody, not even its maker,
 * can change or resize it. It travels between processes as a descriptor.
 */
#ifndef SHM_SEGMENT_H
#define SHM_SEGMENT_H

#include <stddef.h>

#include "lib/base.h"

/*
 * A new sealed segment with these bytes.
 * Returns its descriptor, the caller's, close-on-exec; or -errno of
 * memfd_create(2), ftruncate(2), mmap(2) or fcntl(2).
 */
MUST_CHECK int segment_freeze(const char *name, const void *bytes, size_t size);

/*
 * Map a frozen segment for reading. fd stays the caller's.
 * Returns 0, -EPERM when a seal is missing (a writer could still change it
 * under us), -EMSGSIZE when it is empty or larger than max, or -errno.
 */
MUST_CHECK int segment_map(int fd, size_t max, const void **at, size_t *size);

/*
 * Anonymous zeroed memory, shared with the children forked later and, through
 * *fd (the caller's), with whoever is sent the descriptor. Kept out of core
 * dumps. Returns 0 or -errno.
 */
MUST_CHECK int segment_share(const char *name, size_t size, void **at, int *fd);

#endif
