#include "oci/comptree.h"

#include <stdlib.h>
#include <string.h>

#include "oci/path.h"

void comptree_ask(struct tool_run *run, struct comptree *tree,
                  struct span tenancy)
{
	tree->root = tenancy;
	tree->list = tool_ask(run, "identity/Identity/ListCompartments");
	tool_ask_query(tree->list, "compartmentId", tenancy);
	tool_ask_query(tree->list, "compartmentIdInSubtree", SPAN("true"));
	tool_ask_query(tree->list, "accessLevel", SPAN("ANY"));
	tool_ask_items(tree->list, TOOL_ITEMS_MAX);
	tool_ask_cache(tree->list, "config");
	tool_ask_optional(tree->list);
	/* The root is not in the list. */
	tree->tenancy = tool_ask(run, "identity/Identity/GetTenancy");
	tool_ask_path(tree->tenancy, "tenancyId", tenancy);
	tool_ask_cache(tree->tenancy, "static");
	tool_ask_optional(tree->tenancy);
}

static int by_id(const void *a, const void *b)
{
	const struct comptree_node *x = a, *y = b;

	return span_cmp(x->id, y->id);
}

bool comptree_read(struct tool_run *run, struct comptree *tree)
{
	struct span answer = tool_ask_answer(tree->list);
	struct value_iter it = path_items(answer, "");
	size_t max = MIN(path_count(answer, ""), (size_t)TOOL_ITEMS_MAX);
	struct span raw;

	tree->nodes = tool_alloc(run, (max + 1) * sizeof(*tree->nodes));
	tree->nodes[tree->n++] = (struct comptree_node){
		.id = tree->root,
		.name = path_text(run, tool_ask_answer(tree->tenancy), "name"),
	};
	while (tree->n <= max && value_array_next(&it, &raw))
		tree->nodes[tree->n++] = (struct comptree_node){
			.id = path_text(run, raw, "id"),
			.name = path_text(run, raw, "name"),
			.parent = path_text(run, raw, "compartmentId"),
		};
	qsort(tree->nodes, tree->n, sizeof(*tree->nodes), by_id);
	return tool_ask_ok(tree->list);
}

struct span comptree_error(const struct comptree *tree)
{
	return tool_ask_error(tree->list);
}

static const struct comptree_node *find(const struct comptree *tree,
                                        struct span id)
{
	struct comptree_node key = { .id = id };

	if (tree->n == 0)
		return NULL;
	return bsearch(&key, tree->nodes, tree->n, sizeof(key), by_id);
}

struct span comptree_name(const struct comptree *tree, struct span id)
{
	const struct comptree_node *node = find(tree, id);

	return node ? node->name : SPAN("");
}

int comptree_depth(const struct comptree *tree, struct span id)
{
	const struct comptree_node *node = find(tree, id);
	int depth = 0;

	while (node && depth < COMPTREE_DEPTH_MAX) {
		if (span_eq(node->id, tree->root))
			return depth;
		node = find(tree, node->parent);
		depth++;
	}
	return -1;
}

struct span comptree_above(const struct comptree *tree, struct span id,
                           int depth)
{
	int at = comptree_depth(tree, id);

	for (; at > depth; at--)
		id = find(tree, id)->parent;
	return id;
}

bool comptree_within(const struct comptree *tree, struct span id,
                     struct span top)
{
	const struct comptree_node *node;

	for (int i = 0; i < COMPTREE_DEPTH_MAX; i++) {
		if (span_eq(id, top))
			return true;
		node = find(tree, id);
		if (!node || node->parent.len == 0)
			return false;
		id = node->parent;
	}
	return false;
}

static char *append(char *at, struct span text)
{
	if (text.len)
		memcpy(at, text.at, text.len);
	return at + text.len;
}

struct span comptree_path(struct tool_run *run, const struct comptree *tree,
                          struct span id)
{
	static const struct span between = { " / ", 3 };
	const struct comptree_node *way[COMPTREE_DEPTH_MAX] = { NULL };
	const struct comptree_node *node = find(tree, id);
	size_t n = 0, len = 0;
	char *text, *at;

	for (; node && n < COMPTREE_DEPTH_MAX; n++) {
		way[n] = node;
		len += node->name.len + between.len;
		node = find(tree, node->parent);
	}
	text = at = tool_alloc(run, len + 1);
	while (n-- > 0) {
		at = append(at, way[n]->name);
		if (n > 0)
			at = append(at, between);
	}
	return span_of(text, (size_t)(at - text));
}
