#include "oci/functions.h"

#include "lib/value.h"
#include "oci/mapping.h"

static const struct tool_function mapping = {
	.name = "",
	.step = mapping_step,
	.state_bytes = MAPPING_STATE_BYTES,
};

/* One row for each file with step functions. */
static const struct {
	const struct tool_function *functions;
	const size_t *n;
} tables[] = {
	{ &mapping, NULL },
};

const struct tool_function *functions_by_name(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (size_t k = 0; tables[i].n && k < *tables[i].n; k++)
			if (span_eq(name,
			            span_str(tables[i].functions[k].name)))
				return &tables[i].functions[k];
	return NULL;
}

const struct tool_function *functions_find(struct span recipe)
{
	struct span name;

	if (value_string_plain(value_get(recipe, SPAN("function")), &name))
		return functions_by_name(name);
	return &mapping;
}
