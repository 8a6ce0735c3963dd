/*
 * fuzz_markdown - any description and any data give a text within its bounds,
 * without control characters. The description is the first line, the data the
 * rest; neither needs to be JSON.
 */
#include "oci/markdown.h"

#include <stdlib.h>

#include "lib/base.h"

#define SLACK (512u << 10) /* one row, or one list of columns, too many */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out = { .max = MARKDOWN_BYTES_MAX + SLACK };
	struct span all = span_of(data, size);
	struct span spec = span_first(all, span_find(all, '\n'));
	struct span structured = span_from(all, spec.len + 1);

	markdown_write(&out, spec, SPAN("title"), structured);
	if (buf_err(&out) < 0)
		abort();
	for (size_t i = 0; i < out.len; i++)
		if ((unsigned char)out.bytes[i] < ' ' && out.bytes[i] != '\n')
			abort();
	buf_reset(&out);
	markdown_write(&out, SPAN(""), spec, structured);
	if (buf_err(&out) < 0)
		abort();
	buf_free(&out);
	return 0;
}
