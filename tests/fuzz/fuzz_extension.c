#include "proxy/extension.h"

#include <stdlib.h>

#include "lib/scan.h"
#include "lib/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct span object)
{
	struct scan_error why;

	if (object.len &&
	    (scan_document(object, NULL, 0, NULL, &why) != SCAN_OK ||
	     value_type(object) != VALUE_OBJECT ||
	     span_find(object, '\n') < object.len))
		abort();
}

/* What a backend declares: what is kept and offered is an object on one line,
 * within its limit, and keeping it once more changes nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct extension_source sources[2] = { { .era = VIEW_MODERN } };
	struct buf kept = { .max = EXTENSION_BYTES_MAX };
	struct buf again = { .max = 1 << 20 };
	struct span text = span_of(data, size);
	struct scan_error why;

	if (scan_document(text, NULL, 0, NULL, &why) != SCAN_OK)
		return 0;
	extension_keep(text, &kept);
	if (buf_err(&kept) < 0)
		abort();
	check(buf_span(&kept));
	extension_keep(buf_span(&kept), &again);
	if (!span_eq(buf_span(&kept), buf_span(&again)))
		abort();
	extension_client(text);
	for (unsigned i = 0; i < 8; i++) {
		sources[0].extensions = buf_span(&kept);
		sources[1].extensions = i & 1 ? buf_span(&kept) : SPAN("");
		sources[1].era = i & 2 ? VIEW_MODERN : VIEW_LEGACY;
		buf_reset(&again);
		if (extension_offer(sources, 2,
		                    i & 4 ? VIEW_MODERN : VIEW_LEGACY,
		                    &again) < 0)
			abort();
		check(buf_span(&again));
	}
	buf_free(&kept);
	buf_free(&again);
	return 0;
}
