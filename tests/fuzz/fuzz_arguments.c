/*
 * fuzz_arguments - a recipe, then on the next line arguments: what is taken is
 * valid JSON and is taken again as it is, what is refused has a reason.
 */
#include <stdlib.h>

#include "lib/scan.h"
#include "lib/value.h"
#include "oci/arguments.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_json(struct span text)
{
	struct scan_error why;

	return scan_document(text, NULL, 0, NULL, &why) == SCAN_OK;
}

/* A default stands as it is in the recipe, so it may not be normal. */
static void again(struct span recipe, struct span flat)
{
	struct buf out = { .max = 8 << 20 };
	struct arguments_fault why;

	if (arguments_check(recipe, flat, &out, &why) == 0 &&
	    !is_json(buf_span(&out)))
		abort();
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span recipe = span_of(data, size), arguments;
	struct buf out = { .max = 4 << 20 };
	struct arguments_fault why;

	arguments = span_from(recipe, span_find(recipe, '\n'));
	recipe.len -= arguments.len;
	if (!is_json(recipe) || !is_json(arguments))
		return 0;
	if (arguments_check(recipe, arguments, &out, &why) < 0) {
		if (why.text[0] == '\0' || out.len)
			abort();
	} else if (!is_json(buf_span(&out))) {
		abort();
	} else {
		again(recipe, buf_span(&out));
	}
	buf_free(&out);
	return 0;
}
