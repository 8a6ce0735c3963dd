/* A body in one piece and byte by byte: the same bytes, the same state. */
#include "lib/chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chunked whole = { 0 }, bytewise = { 0 };
	struct span in = span_of(data, size), run;
	size_t n = 0, m = 0;

	while (run = chunked_next(&whole, &in), run.len)
		n += run.len;
	for (size_t i = 0; i < size; i++) {
		in = span_of(data + i, 1);
		m += chunked_next(&bytewise, &in).len;
	}
	assert(n == m && whole.state == bytewise.state);
	assert(whole.left == bytewise.left);
	return 0;
}
