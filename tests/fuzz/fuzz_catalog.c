#include "proxy/catalog.h"

#include <stdlib.h>

#include "lib/scan.h"

static struct board *board;

static void config(struct builder *b, uint32_t flags)
{
	struct settings settings = { 0 };
	struct backend backend = { .flags = flags };

	builder_init(b);
	backend.identifier = backend.name = builder_text(b, SPAN("id"));
	struct ref r = builder_array(b, &settings, 1, sizeof(settings));
	builder_header(b)->settings = r;
	r = builder_array(b, &backend, 1, sizeof(backend));
	builder_header(b)->backends = r;
	builder_end_config(b);
}

static void build(struct catalog_backend *known, uint32_t flags)
{
	struct catalog_backend *all[BACKENDS_MAX] = { known };
	struct snapshot *snap;
	struct scan_error why;
	struct builder b;

	config(&b, flags);
	assert(catalog_build(&b, board, all) == 0);
	int err = snapshot_open(builder_freeze(&b), &snap);
	assert(err == 0);
	for (unsigned i = 0; i < VIEWS * LIST_KINDS; i++) {
		const struct list *list =
			&snapshot_view(snap, i % VIEWS)->lists[i / VIEWS];
		const struct entry *e = snapshot_array(snap, list->entries);

		for (uint32_t n = 0; n < list->entries.len; n++) {
			struct span json = span_of(snap->base + e[n].json.off,
			                           e[n].json.len);
			struct span name = snapshot_text(snap, e[n].name);

			assert(scan_document(json, NULL, 0, NULL, &why) ==
			       SCAN_OK);
			assert(snapshot_find(snap, list, name) == &e[n]);
		}
	}
	snapshot_unref(snap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Items of a backend: whatever they say, every list is good JSON and every
 * entry is found by its name. The first byte says which list of which era. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct catalog_backend known = { 0 };
	struct buf text = { .max = 1 << 20 };
	struct scan_error why;
	int fd;

	if (!board && board_new(16, 16, &board, &fd) < 0)
		abort();
	buf_putc(&text, '[');
	buf_add(&text, data + 1, size ? size - 1 : 0);
	buf_putc(&text, ']');
	if (size &&
	    scan_document(buf_span(&text), NULL, 0, NULL, &why) == SCAN_OK) {
		struct catalog_era *era = &known.eras[data[0] % 2];
		struct buf *items = &era->items[data[0] / 2 % LIST_KINDS];

		era->known = true;
		items->max = 1 << 20;
		buf_add(items, data + 1, size - 1);
		buf_putc(items, ',');
		build(&known, data[0] & 128 ? BACKEND_NAMESPACE : 0);
		buf_free(items);
	}
	buf_free(&text);
	return 0;
}
