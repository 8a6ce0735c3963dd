/*
 * tooldef - what one item of a backend's list says, and whether it may be
 * shown: a tool, a prompt, a resource or a resource template.
 *
 * Reads one JSON object that was found valid as JSON. What it says about
 * itself is not trusted: a name that a person cannot see as it is, a schema
 * that is none, and a header annotation against the rules are each a reason to
 * leave the item out, and never the whole list.
 */
#ifndef PROXY_TOOLDEF_H
#define PROXY_TOOLDEF_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"
#include "shm/layout.h"

#define TOOLDEF_MIRRORS_MAX 64   /* x-mcp-header annotations of one tool */
#define TOOLDEF_FIELD_MAX   128  /* bytes of a name in an annotation */
#define TOOLDEF_URI_MAX     8192 /* bytes of a URI or URI template */

/* An x-mcp-header annotation; places are offsets in strings. */
struct tooldef_mirror {
	struct ref field, path; /* as in struct mirror */
	uint32_t type;          /* MIRROR_* */
};

/* Zeroed before its first use; tooldef_fini() at the end. */
struct tooldef {
	struct span key_raw; /* the name's or URI's value in the item */
	struct ref key;      /* what it means; an offset in strings */
	struct span input_schema, output_schema, execution; /* raw values */
	struct span apps[2]; /* of a tool: raw values of _meta.ui.resourceUri,
	                        and of _meta["ui/resourceUri"] as it was */
	uint32_t flags;      /* ENTRY_READ_ONLY, _IDEMPOTENT, _OUTPUT, _TASK */
	size_t n_mirrors;
	struct tooldef_mirror mirrors[TOOLDEF_MIRRORS_MAX];
	struct buf strings;
};

/*
 * Read an item of a list. era is the one it was listed in: header annotations
 * belong to modern lists (MCP 2026-07-28) and mean nothing in others. Spans
 * point into item, the rest into out->strings until the next call.
 * Returns NULL when it may be shown, else the reason why not, a constant.
 */
const char *tooldef_read(enum list_kind kind, enum view_era era,
                         struct span item, struct tooldef *out);

void tooldef_fini(struct tooldef *def);

/* Is this text free of control, invisible and direction-changing characters? */
bool tooldef_visible(struct span text);

/* Is the "type" of this schema the word "object"? */
bool tooldef_is_object_schema(struct span schema);

/* The bytes to leave out of item so that the member with this value is gone;
 * value is one that tooldef_read() found. */
struct span tooldef_member(struct span item, struct span value);

/* The definition of the gateway's own tool i, as JSON; i is below OWN_TOOLS of
 * proxy/catalog.h. */
struct span tooldef_own(uint32_t i);

#endif
