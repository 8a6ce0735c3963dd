/* A stream in pieces of two sizes: the same events, as long as none of them is
 * too large. */
#include "lib/sse.h"

static uint64_t events(struct span in, size_t size, bool *failed)
{
	struct sse s = { .data = { .max = 4096 } };
	enum sse_result result = SSE_MORE;
	struct sse_event ev;
	uint64_t hash = 0;

	for (; in.len && result != SSE_TOO_LARGE; in = span_from(in, size)) {
		struct span piece = span_first(in, size);

		while ((result = sse_next(&s, &piece, &ev)) == SSE_EVENT)
			for (size_t i = 0; i <= ev.data.len; i++)
				hash = hash * 31 + ev.type.len + ev.id.len +
				       (i ? (uint8_t)ev.data.at[i - 1] : 0);
	}
	*failed = result == SSE_TOO_LARGE;
	sse_fini(&s);
	return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	bool failed[2];
	uint64_t a = events(in, SIZE_MAX, &failed[0]);
	uint64_t b = events(in, size ? data[0] % 7 + 1u : 1, &failed[1]);

	assert(failed[0] || failed[1] || a == b);
	return 0;
}
