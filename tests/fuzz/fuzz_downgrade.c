/*
 * fuzz_downgrade - any valid result for any older revision stays valid JSON,
 * and so do tools and the texts of errors.
 */
#include "proxy/downgrade.h"

#include <stdlib.h>

#include "lib/scan.h"
#include "lib/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_json(struct span text)
{
	struct scan_error why;

	return scan_document(text, NULL, 0, NULL, &why) == SCAN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum method_id methods[] = { METHOD_TOOLS_CALL,
		                                  METHOD_PROMPTS_GET };
	struct buf out = { .max = 4 << 20 };
	struct span in = span_of(data, size);

	if (!is_json(in) || value_type(in) != VALUE_OBJECT)
		return 0;
	for (int to = 0; to < REVISIONS; to++)
		for (size_t i = 0; i < ARRAY_LEN(methods); i++)
			assert(is_json(downgrade_result((enum revision)to,
			                                methods[i], in, &out)));
	buf_reset(&out);
	downgrade_tool(in, &out);
	assert(is_json(buf_span(&out)));
	buf_reset(&out);
	downgrade_url_error(value_get(in, SPAN("message")), in, &out);
	assert(is_json(buf_span(&out)));
	buf_free(&out);
	return 0;
}
