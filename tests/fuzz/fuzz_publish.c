#include "proxy/publish.h"

#include <stdlib.h>

#include "lib/scan.h"
#include "lib/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A valid result: what clients get is as valid. The first byte says of what. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct publish how = { .identifier = SPAN("id"),
		               .task = SPAN("\"public\"") };
	struct span text = span_of(data + 1, size ? size - 1 : 0);
	struct buf out = { .max = 16 << 20 };
	struct value_iter it;
	struct span key, value;
	struct scan_error why;

	if (size == 0 || scan_document(text, NULL, 0, NULL, &why) != SCAN_OK ||
	    value_type(text) != VALUE_OBJECT)
		return 0;
	how.kind = data[0] % 5;
	how.complete = data[0] & 128;
	value_iter_init(&it, text);
	while (value_object_next(&it, &key, &value)) {
		buf_reset(&out);
		publish_member(&how, key, value, &out);
		if (scan_document(buf_span(&out), NULL, 0, NULL, &why) !=
		    SCAN_OK)
			abort();
	}
	publish_concerns(&how, text);
	buf_free(&out);
	return 0;
}
