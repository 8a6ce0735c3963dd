#include "shm/segment.h"
#include "shm/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Whatever is accepted must be readable without leaving the segment. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct snapshot *s;
	int fd = size ? segment_freeze("fuzz", bytes, size) : -1;

	if (fd < 0 || snapshot_open(fd, &s) < 0)
		return 0;
	for (int kind = 0; kind < LIST_KINDS; kind++)
		snapshot_find(s, &snapshot_view(s, VIEW_MODERN)->lists[kind],
		              span_of(bytes, MIN(size, 8u)));
	snapshot_scope(s, SPAN("read"));
	snapshot_unref(s);
	return 0;
}
