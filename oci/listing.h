/*
 * listing - the page of a list that a step function has read and only has to
 * write: what matches, from "offset" on, at most "limit" of it.
 *
 *	"total": n or null, "count": n, "offset": n, KEY: [...],
 *	"has_more": true, "next_offset": n or null
 *
 * as oci/slice has them.
 */
#ifndef OCI_LISTING_H
#define OCI_LISTING_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/output.h"
#include "oci/tool.h"

/* A member of an answer and the path (oci/path) of its value in an item. */
struct listing_field {
	const char *key;
	const char *path;
};

/* Write a member for each field, null for what is not there. */
void listing_fields(struct output *o, struct span item,
                    const struct listing_field *fields, size_t n);

/* Is part somewhere in text, in any case of ASCII letters? The empty part is
 * in every text. */
bool listing_contains(struct span text, struct span part);

/* How a list is shown. context is the caller's. */
struct listing {
	const char *key;
	bool complete; /* all items are there */
	/* Does the item belong to the list? NULL: all do. */
	bool (*matches)(void *context, struct span item);
	/* Write it, one value. */
	void (*write)(void *context, struct output *o, struct span item);
	void *context;
};

/* Write the members above into the open object of o; items are raw values. */
void listing_write(struct tool_run *run, struct output *o,
                   const struct listing *listing, const struct span *items,
                   size_t n);

/* The elements of an array, or of the "items" of an object, as an array that
 * lives as long as the run; at most TOOL_ITEMS_MAX of them. */
struct span *listing_items(struct tool_run *run, struct span json, size_t *n);

#endif
