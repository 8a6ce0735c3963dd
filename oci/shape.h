/*
 * shape - writes JSON values in the form that a pack describes.
 *
 * A shape says what becomes of a value:
 *
 *	"path.to[0].member"           what is there (oci/path), or null
 *	"$argument"                   what the tool's owner says it stands for
 *	{"from": path, "fields": {"member": shape, ...}}   an object
 *	{"from": path, "each": {"member": shape, ...}}     an array of objects
 *	{"from": path, "each": shape}                      an array
 *	{"not": path}                 true for false and false for true
 *	{"count": path}               the number of elements
 *	{"const": value}
 *
 * What is missing in the value is null in the result; "each" and "count" take
 * the array "items" of a collection as well. The members of one object are
 * compiled once and then written for every element of a list, so that the
 * bytes of each element are gone over one time.
 */
#ifndef OCI_SHAPE_H
#define OCI_SHAPE_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/output.h"
#include "oci/path.h"
#include "oci/tool.h"

#define SHAPE_DEPTH_MAX   16   /* shapes in shapes */
#define SHAPE_MEMBERS_MAX 4096 /* of one object */

struct shape;

/* Where shapes come from. Zeroed before its first use, but for run, owner and
 * put_reference. */
struct shape_source {
	struct tool_run *run; /* has the memory of everything compiled */
	/* Write the value of a reference: a raw string, "$..." */
	void (*put_reference)(void *owner, struct output *o, struct span raw);
	void *owner;
	bool bad; /* something was no shape, or memory was short */
	/* private */
	void *last;
};

/* The members of one object; wants[i] is the path of shapes[i]. */
struct shape_group {
	size_t n;
	struct shape *shapes;
	struct path_want *wants;
};

/*
 * Compile members, {"member": shape, ...}, raw JSON. Never NULL. When
 * source->bad is set, before or by this, the group must not be written.
 */
struct shape_group *shape_compile(struct shape_source *source,
                                  struct span members);

/*
 * Write the members, without braces, from what wants have found: filled in by
 * path_find_all(), path_next(), or the caller.
 */
void shape_put_members(struct shape_source *source, struct output *o,
                       const struct shape_group *group);

/* Write an object of them, as the next element or root; null when value, in
 * which they were found, is no object itself. */
void shape_put_found(struct shape_source *source, struct output *o,
                     const struct shape_group *group, struct span value);

#endif
