#include "proxy/viewlist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- items by their names ---- */

/* The place of name: of its item, or the free one to put it. */
static uint32_t *place_of(const struct view_list *list, struct span name)
{
	size_t i = snapshot_hash(name) & (list->places - 1);

	while (list->table[i] &&
	       !span_eq(list->at[list->table[i] - 1].name, name))
		i = (i + 1) & (list->places - 1);
	return &list->table[i];
}

/* Fill the table anew, for at least n items. */
static bool rehash(struct view_list *list, size_t n)
{
	size_t places = 2;

	while (places < 2 * n)
		places *= 2;
	if (places != list->places) {
		uint32_t *table = calloc(places, sizeof(*table));

		if (!table)
			return false;
		free(list->table);
		list->table = table;
		list->places = places;
	} else {
		memset(list->table, 0, places * sizeof(*list->table));
	}
	for (size_t i = 0; i < list->n; i++)
		*place_of(list, list->at[i].name) = (uint32_t)i + 1;
	return true;
}

static bool make_room(struct view_list *list)
{
	size_t cap = list->cap ? 2 * list->cap : 64;

	if (list->n < list->cap)
		return true;

	struct view_item *grown = realloc(list->at, cap * sizeof(*grown));
	if (!grown)
		return false;
	list->at = grown;
	list->cap = cap;
	return rehash(list, cap);
}

static int by_order_and_name(const void *a, const void *b)
{
	const struct view_item *x = a, *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return span_cmp(x->name, y->name);
}

int view_list_add(struct view_list *list, const struct view_item *item,
                  const struct view_item **taken)
{
	uint32_t *place;

	*taken = NULL;
	if (!make_room(list))
		return -ENOMEM;
	place = place_of(list, item->name);
	if (*place) {
		*taken = &list->at[*place - 1];
		return 0;
	}
	list->at[list->n++] = *item;
	*place = (uint32_t)list->n;
	return 0;
}

int view_list_sort(struct view_list *list)
{
	if (list->n == 0)
		return 0;
	qsort(list->at, list->n, sizeof(*list->at), by_order_and_name);
	return rehash(list, list->n) ? 0 : -ENOMEM;
}

void view_list_free(struct view_list *list)
{
	free(list->at);
	free(list->table);
	*list = (struct view_list){ 0 };
}

/* ---- as clients see them ---- */

/* They are few, and stand in the order of their places. */
void view_item_edit(struct view_item *item, struct span at, struct span text)
{
	unsigned i = item->n_edits++;

	assert(i < VIEW_EDITS_MAX);
	for (; i > 0 && item->edits[i - 1].at.at > at.at; i--)
		item->edits[i] = item->edits[i - 1];
	item->edits[i] = (struct view_edit){ at, text };
}

/* The item as clients see it. */
static void put_json(const struct view_item *item, struct buf *out)
{
	const char *from = item->raw.at;
	const char *end = item->raw.at + item->raw.len;

	for (unsigned i = 0; i < item->n_edits; i++) {
		const struct view_edit *e = &item->edits[i];

		buf_add(out, from, (size_t)(e->at.at - from));
		if (e->text.at)
			buf_add_json(out, e->text);
		from = e->at.at + e->at.len;
	}
	buf_add(out, from, (size_t)(end - from));
}

static struct ref put_mirrors(struct builder *out, const struct view_item *item)
{
	struct mirror mirrors[TOOLDEF_MIRRORS_MAX];

	if (item->n_mirrors == 0)
		return (struct ref){ 0, 0 };
	for (uint32_t i = 0; i < item->n_mirrors; i++) {
		const struct tooldef_mirror *m = &item->mirrors[i];

		mirrors[i] = (struct mirror){
			.field = builder_text(
				out, span_of(item->strings + m->field.off,
			                     m->field.len)),
			.path = builder_text(
				out, span_of(item->strings + m->path.off,
			                     m->path.len)),
			.type = m->type,
		};
	}
	return builder_array(out, mirrors, item->n_mirrors, sizeof(*mirrors));
}

static struct entry put_entry(struct builder *out, const struct view_item *item,
                              struct ref items)
{
	return (struct entry){
		.name = builder_text(out, item->name),
		.upstream = item->upstream.at
		                    ? builder_text(out, item->upstream)
		                    : (struct ref){ 0, 0 },
		.json = { items.off + item->json.off, item->json.len },
		.mirrors = put_mirrors(out, item),
		.needs = item->needs,
		.backend = item->backend,
		.flags = item->flags,
		.metric = item->metric,
		.order = item->order,
	};
}

int view_list_put(struct builder *out, struct view_list *list, struct list *to)
{
	struct buf json = { .max = LAYOUT_MAX };
	struct entry *entries = calloc(list->n + 1, sizeof(*entries));
	bool same_needs = true;
	int err;

	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++) {
		struct view_item *item = &list->at[i];

		item->json.off = (uint32_t)json.len;
		put_json(item, &json);
		item->json.len = (uint32_t)json.len - item->json.off;
		buf_putc(&json, ',');
	}
	err = buf_err(&json);
	to->items = builder_text(out, buf_span(&json));
	buf_free(&json);
	for (size_t i = 0; i < list->n; i++) {
		entries[i] = put_entry(out, &list->at[i], to->items);
		same_needs &= scope_set_empty(&entries[i].needs);
	}
	to->entries = builder_array(out, entries, list->n, sizeof(*entries));
	if (list->n)
		to->table = builder_array(out, list->table, list->places,
		                          sizeof(*list->table));
	to->same_needs = same_needs;
	free(entries);
	return err;
}

/* Equal in what is seen and in what is done. */
static bool same_item(const struct view_item *a, const struct view_item *b)
{
	struct buf x = { .max = LAYOUT_MAX }, y = { .max = LAYOUT_MAX };
	bool same = a->backend == b->backend && a->flags == b->flags &&
	            a->n_mirrors == 0 && b->n_mirrors == 0 &&
	            span_eq(a->name, b->name) &&
	            span_eq(a->upstream, b->upstream);

	if (same && (a->cut || b->cut || !span_eq(a->raw, b->raw))) {
		put_json(a, &x);
		put_json(b, &y);
		same = span_eq(buf_span(&x), buf_span(&y));
		buf_free(&x);
		buf_free(&y);
	}
	return same;
}

bool view_list_same(const struct view_list *a, const struct view_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!same_item(&a->at[i], &b->at[i]))
			return false;
	return true;
}
