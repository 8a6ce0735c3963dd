/* A header and each of its beginnings: more, or the same verdict. */
#include "lib/proxyproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct proxyproto out, cut;
	enum proxyproto_result whole = proxyproto_parse(in, &out), part;

	for (size_t n = 0; n < MIN(size, 64); n++) {
		part = proxyproto_parse(span_first(in, n), &cut);
		assert(part == PROXYPROTO_MORE || part == whole);
	}
	assert(whole != PROXYPROTO_OK || out.bytes <= size);
	return 0;
}
