#include "oci/listing.h"

#include <string.h>

#include "oci/path.h"

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

static size_t count_matches(const struct listing *listing,
                            const struct span *items, size_t n)
{
	size_t matches = 0;

	for (size_t i = 0; i < n; i++)
		matches += is_match(listing, items[i]);
	return matches;
}

/* Matches from offset on, at most limit. */
static void write_page(struct output *o, const struct listing *listing,
                       const struct span *items, size_t n, size_t offset,
                       size_t limit)
{
	size_t matches = 0;

	for (size_t i = 0; i < n && matches < offset + limit; i++)
		if (is_match(listing, items[i]) && matches++ >= offset)
			listing->write(listing->context, o, items[i]);
}

void listing_write(struct tool_run *run, struct output *o,
                   const struct listing *listing, const struct span *items,
                   size_t n)
{
	size_t limit = (size_t)tool_integer(run, "limit", LISTING_LIMIT);
	size_t offset = (size_t)tool_integer(run, "offset", 0);
	size_t matches = count_matches(listing, items, n);
	size_t count = offset < matches ? MIN(limit, matches - offset) : 0;
	bool more = offset + count < matches || !listing->complete;

	if (listing->complete)
		output_integer(o, "total", (int64_t)matches);
	else
		output_null(o, "total");
	output_integer(o, "count", (int64_t)count);
	output_integer(o, "offset", (int64_t)offset);
	output_array(o, listing->key);
	write_page(o, listing, items, n, offset, limit);
	output_end(o);
	output_flag(o, "has_more", more);
	if (offset + count < matches)
		output_integer(o, "next_offset", (int64_t)(offset + count));
	else
		output_null(o, "next_offset");
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
