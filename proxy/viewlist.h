/*
 * viewlist - one list of a view while a snapshot is built: its items, each name
 * once, and how they are written down for clients.
 */
#ifndef PROXY_VIEWLIST_H
#define PROXY_VIEWLIST_H

#include "lib/base.h"
#include "lib/span.h"
#include "proxy/tooldef.h"
#include "shm/builder.h"
#include "shm/layout.h"

/* Bytes of an item that clients see as something else. */
struct view_edit {
	struct span at;
	struct span text; /* a JSON string that means this; at NULL: nothing */
};

#define VIEW_EDITS_MAX 5 /* its name, two URIs, execution, outputSchema */

/* An item. Its spans are its maker's, and outlive it. */
struct view_item {
	struct span name, upstream;
	struct span raw; /* as the backend wrote it, but for these: */
	struct view_edit edits[VIEW_EDITS_MAX]; /* in their order */
	unsigned n_edits;
	bool cut;        /* one of them because of the view's era */
	struct ref json; /* then: its place in the items of the list */
	const struct tooldef_mirror *mirrors;
	const char *strings; /* what the mirrors' places are relative to */
	struct scope_set needs;
	uint32_t n_mirrors;
	uint32_t backend, flags, metric, order;
};

struct view_list {
	struct view_item *at;
	size_t n, cap;
	uint32_t *table; /* 1 + index at the place of its name; 0: free */
	size_t places;   /* a power of two, at least twice n */
};

/* Clients see text in place of the bytes at, a value in item->raw. No two edits
 * overlap, and there are at most VIEW_EDITS_MAX. */
void view_item_edit(struct view_item *item, struct span at, struct span text);

/* Append a copy of item. *taken is the item that has its name already; NULL: it
 * was appended. 0 or -ENOMEM. */
MUST_CHECK int view_list_add(struct view_list *list,
                             const struct view_item *item,
                             const struct view_item **taken);

/* In their order: by item->order, then by name. 0 or -ENOMEM. */
MUST_CHECK int view_list_sort(struct view_list *list);

/* Write a sorted list into a snapshot. 0, -ENOBUFS: too large; or -ENOMEM. */
MUST_CHECK int view_list_put(struct builder *out, struct view_list *list,
                             struct list *to);

/* Do clients and backends see the same in both? */
bool view_list_same(const struct view_list *a, const struct view_list *b);

void view_list_free(struct view_list *list);

#endif
