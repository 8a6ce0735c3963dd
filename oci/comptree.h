/*
 * comptree - the tree of the tenancy's compartments: names, parents, depths.
 *
 * The tenancy is the root, at depth 0. Deleted compartments are in the tree
 * too: costs outlive them. A compartment that is not known counts as a child
 * of nothing.
 */
#ifndef OCI_COMPTREE_H
#define OCI_COMPTREE_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/tool.h"

#define COMPTREE_DEPTH_MAX 16 /* more than a tenancy can have */

struct comptree_node {
	struct span id, name, parent; /* parent: an OCID */
};

/* Zeroed before its first use; lives as long as the run. */
struct comptree {
	struct comptree_node *nodes; /* in the order of their OCIDs */
	size_t n;
	struct span root; /* OCID of the tenancy */

	/* private */
	struct tool_ask *list, *tenancy;
};

/* Ask for all compartments of a tenancy. Failure does not end the run. */
void comptree_ask(struct tool_run *run, struct comptree *tree,
                  struct span tenancy);

/* Build the tree of the answers. False when there was none: the tree then has
 * no nodes, and comptree_error() says why. */
bool comptree_read(struct tool_run *run, struct comptree *tree);
struct span comptree_error(const struct comptree *tree);

/* Its name; empty when it is not known. */
struct span comptree_name(const struct comptree *tree, struct span id);

/* 0 for the tenancy; -1 when it is not known. */
int comptree_depth(const struct comptree *tree, struct span id);

/* The compartment at that depth on the way from the root to id, or id itself
 * when it is not as deep, or not known. */
struct span comptree_above(const struct comptree *tree, struct span id,
                           int depth);

/* Is id the compartment top, or below it? */
bool comptree_within(const struct comptree *tree, struct span id,
                     struct span top);

/* The names from the root to id with " / " between them. */
struct span comptree_path(struct tool_run *run, const struct comptree *tree,
                          struct span id);

#endif
