/* Any JSON as the body of any model: a verdict, and a reason when it is bad.
 * The first two bytes choose the model, or else that the rest is looked for as
 * an operation. */
#include "lib/scan.h"
#include "oci/model.h"
#include "oci/operation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(struct span text)
{
	const struct operation *out[OPERATION_NEAREST_MAX];
	size_t n = operation_nearest(text, out);

	assert(n <= OPERATION_NEAREST_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct model *model;
	struct scan_error error;
	struct model_fault why;
	struct span text;

	if (size < 2)
		return 0;
	model = model_at((data[0] * 256u + data[1]) % model_count());
	text = span_of(data + 2, size - 2);
	if (data[0] == UINT8_MAX)
		ask(text);
	else if (scan_document(text, NULL, 0, NULL, &error) != SCAN_OK)
		return -1;
	else if (model_check(model_service(model), model_name(model), text,
	                     &why))
		assert(!why.path[0] && !why.text[0]);
	else
		assert(why.text[0]);
	return 0;
}
