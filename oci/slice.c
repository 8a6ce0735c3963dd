#include "oci/slice.h"

#include "oci/path.h"

static size_t bounded(int64_t n, size_t most)
{
	return n < 0 ? 0 : (uint64_t)n > most ? most : (size_t)n;
}

static size_t limit_of(const struct tool_run *run)
{
	return bounded(tool_integer(run, "limit", SLICE_LIMIT_DEFAULT),
	               SLICE_LIMIT_MAX);
}

static size_t offset_of(const struct tool_run *run)
{
	return bounded(tool_integer(run, "offset", 0), TOOL_ITEMS_MAX);
}

size_t slice_wanted(const struct tool_run *run, bool filtered)
{
	/* one more than is shown tells whether there is a next page */
	size_t wanted = offset_of(run) + limit_of(run) + 1;

	return filtered ? TOOL_ITEMS_MAX : MIN(wanted, TOOL_ITEMS_MAX);
}

void slice_init(struct slice *page, struct tool_run *run)
{
	*page = (struct slice){
		.offset = offset_of(run),
		.limit = limit_of(run),
	};
	page->items = tool_alloc(run, MAX(page->limit, (size_t)1) *
	                                      sizeof(page->items[0]));
}

void slice_add(struct slice *page, struct span item)
{
	if (page->matches++ >= page->offset && page->n < page->limit)
		page->items[page->n++] = item;
}

void slice_add_all(struct slice *page, const struct tool_ask *ask,
                   bool (*match)(void *owner, struct span item), void *owner)
{
	struct value_iter it = path_items(tool_ask_answer(ask), "");
	struct span item;

	while (value_array_next(&it, &item))
		if (!match || match(owner, item))
			slice_add(page, item);
	page->more |= tool_ask_more(ask);
}

/* Never behind an empty page: a caller would go round in circles. */
static bool has_more(const struct slice *page)
{
	return page->n &&
	       (page->more || page->matches > page->offset + page->n);
}

void slice_head(const struct slice *page, struct output *o)
{
	if (page->more)
		output_null(o, "total");
	else
		output_integer(o, "total", (int64_t)page->matches);
	output_integer(o, "count", (int64_t)page->n);
	output_integer(o, "offset", (int64_t)page->offset);
}

void slice_tail(const struct slice *page, struct output *o)
{
	output_flag(o, "has_more", has_more(page));
	if (has_more(page))
		output_integer(o, "next_offset",
		               (int64_t)(page->offset + page->n));
	else
		output_null(o, "next_offset");
}
