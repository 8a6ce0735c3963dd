/*
 * slice - one page of a list whose items a step function picks itself and then
 * works on, before it writes them.
 *
 *	struct slice page;
 *
 *	tool_ask_items(ask, slice_wanted(run, filtered));
 *	...
 *	slice_init(&page, run);
 *	slice_add_all(&page, ask, matches, owner);
 *	slice_head(&page, &o);    total, count, offset
 *	...                       page.items[0] to page.items[page.n - 1]
 *	slice_tail(&page, &o);    has_more, next_offset
 *
 * Filters come before paging: offset counts what matches.
 */
#ifndef OCI_SLICE_H
#define OCI_SLICE_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/output.h"
#include "oci/tool.h"

#define SLICE_LIMIT_MAX     1000 /* items of a page */
#define SLICE_LIMIT_DEFAULT 20   /* of a tool without a default */

struct slice {
	struct span *items; /* of this page, raw JSON */
	size_t n;
	bool more; /* there are items that were not read */
	/* private */
	size_t offset, limit, matches;
};

/* How many items to ask a service for, so that the page that the arguments
 * offset and limit speak of is there. filtered: not all will match. */
size_t slice_wanted(const struct tool_run *run, bool filtered);

/* Begin, by the arguments offset and limit; the items live as long as the run.
 */
void slice_init(struct slice *page, struct tool_run *run);

/* An item that matches, in the order of the list. */
void slice_add(struct slice *page, struct span item);

/* Add every item of an answer of tool_ask_items() that match takes (NULL: all),
 * and note whether there were more than could be read. */
void slice_add_all(struct slice *page, const struct tool_ask *ask,
                   bool (*match)(void *owner, struct span item), void *owner);

/* Write "total" (null: not known), "count" and "offset". */
void slice_head(const struct slice *page, struct output *o);

/* Write "has_more" and "next_offset" (null: this was the last page). */
void slice_tail(const struct slice *page, struct output *o);

#endif
