#include "oci/tally.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 64

/* FNV-1a, 32 bits: names are few, and nobody gains by making them collide. */
static uint32_t hash(struct span name, struct span second)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < name.len; i++)
		h = (h ^ (unsigned char)name.at[i]) * 16777619u;
	h = (h ^ 0xffu) * 16777619u; /* no byte of UTF-8: the border */
	for (size_t i = 0; i < second.len; i++)
		h = (h ^ (unsigned char)second.at[i]) * 16777619u;
	return h;
}

/* The slot of a name, or the free one it would take. */
static size_t find_slot(const struct tally *tally, struct span name,
                        struct span second)
{
	size_t at = hash(name, second) & (tally->n_slots - 1);

	for (;; at = (at + 1) & (tally->n_slots - 1)) {
		uint32_t slot = tally->slots[at];

		if (slot == 0 ||
		    (span_eq(tally->rows[slot - 1].name, name) &&
		     span_eq(tally->rows[slot - 1].second, second)))
			return at;
	}
}

/* Room for one more row, with half of the slots free. */
static void grow(struct tool_run *run, struct tally *tally)
{
	struct tally_row *rows = tally->rows;

	if (tally->n_rows < tally->cap)
		return;
	tally->n_slots = tally->n_slots ? tally->n_slots * 2 : SLOTS_MIN;
	tally->cap = tally->n_slots / 2;
	tally->rows = tool_alloc(run, tally->cap * sizeof(*rows));
	if (tally->n_rows)
		memcpy(tally->rows, rows, tally->n_rows * sizeof(*rows));
	tally->slots = tool_alloc(run, tally->n_slots * sizeof(uint32_t));
	for (size_t i = 0; i < tally->n_rows; i++)
		tally->slots[find_slot(tally, tally->rows[i].name,
		                       tally->rows[i].second)] =
			(uint32_t)i + 1;
}

bool tally_add(struct tool_run *run, struct tally *tally, struct span name,
               struct span second, double amount, size_t *row)
{
	size_t at;

	grow(run, tally);
	at = find_slot(tally, name, second);
	if (tally->slots[at] == 0) {
		if (tally->n_rows == TALLY_ROWS_MAX)
			return false;
		tally->rows[tally->n_rows++] =
			(struct tally_row){ .name = name, .second = second };
		tally->slots[at] = (uint32_t)tally->n_rows;
	}
	tally->rows[tally->slots[at] - 1].sum += amount;
	tally->rows[tally->slots[at] - 1].n++;
	tally->sum += amount;
	if (row)
		*row = tally->slots[at] - 1;
	return true;
}

static int larger_first(const void *a, const void *b)
{
	const struct tally_row *x = a, *y = b;

	if (x->sum != y->sum)
		return x->sum > y->sum ? -1 : 1;
	return span_cmp(x->name, y->name);
}

void tally_sort(struct tally *tally)
{
	if (tally->n_rows)
		qsort(tally->rows, tally->n_rows, sizeof(*tally->rows),
		      larger_first);
}
