/*
 * catalog - what the backends offer, and how clients see it.
 *
 * The raw side is what discovery read from each backend, per era. The finished
 * side are the views of a snapshot: public names, collisions decided, sorted,
 * hashed, and every list's JSON ready to be sent.
 *
 * A client of an era sees a backend's catalogue of the same era when there is
 * one, else that of the other era (with members that the era does not have
 * taken out).
 */
#ifndef PROXY_CATALOG_H
#define PROXY_CATALOG_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"
#include "shm/board.h"
#include "shm/builder.h"
#include "shm/snapshot.h"

/* What one era of one backend offers: the items of its lists, all pages. */
struct catalog_era {
	bool known;                   /* this era was read */
	uint32_t abilities;           /* ABILITY_* */
	struct buf items[LIST_KINDS]; /* JSON objects, one after the other, each
	                                 with a comma behind it; validated */
	struct buf instructions;      /* plain text */
	struct buf extensions; /* as extension_keep() made it; or empty */
};

/* Everything discovery knows about one backend. */
struct catalog_backend {
	struct catalog_era eras[VIEWS];
	struct origin origin;
	char legacy_version[16]; /* negotiated; "" when not legacy */
};

/*
 * Append origins and views to b, which holds the configuration part only.
 * known[i] belongs to the i-th backend of the configuration; NULL: nothing is
 * known of it yet. The gateway's own tools are always there. Rows for metrics
 * are taken from board. Collisions and items that must be dropped are logged
 * with backend, name and reason, once per change (same text is not repeated
 * for the same serial).
 *
 * Returns 0 or -ENOMEM; builder_freeze() tells whether the rest fitted.
 */
MUST_CHECK int catalog_build(struct builder *b, struct board *board,
                             struct catalog_backend *const known[]);

/* The scope that a caller needs for tools of this process that change
 * something, when callers have scopes at all. */
#define CATALOG_WRITE_SCOPE "write:tools"

/*
 * What a backend with BACKEND_OCI offers: its definitions, to clients of both
 * eras. For discover_free_known(); NULL without memory.
 */
struct catalog_backend *catalog_own_known(struct span definitions);

/* The row of a tool of this process; NULL: none. base is that of the
 * snapshot. */
const struct recipe_row *catalog_recipe(const char *base,
                                        const struct backend *backend,
                                        struct span name);

/*
 * The scopes for a tool of this name of a backend: those of all its tools, and
 * those of the rules that the name matches. What its entry needs, also when no
 * list has it any more. name is public.
 */
void catalog_needs(const struct snapshot *snap, uint32_t backend,
                   struct span name, struct scope_set *needs);

/* The gateway's own tools; enum is entry.backend of an ENTRY_OWN entry. */
enum own_tool { OWN_HEALTH, OWN_LIST_BACKENDS, OWN_AUDIT_LOG, OWN_TOOLS };

#endif
