#include "oci/listing.h"

#include <string.h>

#include "oci/path.h"
#include "oci/slice.h"

void listing_fields(struct output *o, struct span item,
                    const struct listing_field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++)
		output_path(o, fields[i].key, item, fields[i].path);
}

bool listing_contains(struct span text, struct span part)
{
	for (size_t i = 0; i + part.len <= text.len; i++)
		if (span_eq_nocase(span_of(text.at + i, part.len), part))
			return true;
	return part.len == 0;
}

static bool is_match(const struct listing *listing, struct span item)
{
	return !listing->matches || listing->matches(listing->context, item);
}

void listing_write(struct tool_run *run, struct output *o,
                   const struct listing *listing, const struct span *items,
                   size_t n)
{
	struct slice page;

	slice_init(&page, run);
	page.more = !listing->complete;
	for (size_t i = 0; i < n; i++)
		if (is_match(listing, items[i]))
			slice_add(&page, items[i]);
	slice_head(&page, o);
	output_array(o, listing->key);
	for (size_t i = 0; i < page.n; i++)
		listing->write(listing->context, o, page.items[i]);
	output_end(o);
	slice_tail(&page, o);
}

struct span *listing_items(struct tool_run *run, struct span json, size_t *n)
{
	struct value_iter it = path_items(json, "");
	size_t count = MIN(path_count(json, ""), (size_t)TOOL_ITEMS_MAX);
	struct span *items = tool_alloc(run, count * sizeof(*items) + 1);

	*n = 0;
	while (*n < count && value_array_next(&it, &items[*n]))
		++*n;
	return items;
}
