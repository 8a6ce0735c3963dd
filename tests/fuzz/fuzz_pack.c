/*
 * fuzz_pack - any bytes as a tool pack: what is loaded is valid JSON, its
 * definitions may be shown, and its recipes take or refuse arguments.
 */
#include "lib/scan.h"
#include "oci/arguments.h"
#include "oci/pack.h"
#include "proxy/tooldef.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_function(struct span name)
{
	return name.len > 0;
}

static void look_at(const struct pack_tool *t, struct tooldef *def)
{
	struct buf flat = { .max = 1 << 20 };
	struct arguments_fault fault;
	struct scan_error why;

	assert(scan_document(t->recipe, NULL, 0, NULL, &why) == SCAN_OK);
	assert(scan_document(t->definition, NULL, 0, NULL, &why) == SCAN_OK);
	(void)tooldef_read(LIST_TOOLS, VIEW_MODERN, t->definition, def);
	if (arguments_check(t->recipe, SPAN("{}"), &flat, &fault) == 0)
		assert(scan_document(buf_span(&flat), NULL, 0, NULL, &why) ==
		       SCAN_OK);
	buf_free(&flat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pack_rules rules = { .has_function = has_function };
	struct packs packs = { 0 };
	struct tooldef def = { 0 };
	int n = pack_load_all(&packs, span_of(data, size), &rules);

	assert(n >= 0 || n == -ENOMEM);
	for (size_t i = 0; i < packs.n_tools; i++)
		look_at(&packs.tools[i], &def);
	tooldef_fini(&def);
	pack_fini(&packs);
	return 0;
}
