/*
 * tally - sums by name, or by two names: costs by service, by compartment and
 * service.
 *
 * Names are compared byte by byte and must live as long as the tally, which
 * lives as long as the run.
 */
#ifndef OCI_TALLY_H
#define OCI_TALLY_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/tool.h"

#define TALLY_ROWS_MAX 10000 /* what TOOL_ITEMS_MAX items can need */

struct tally_row {
	struct span name, second; /* second is empty when there is one name */
	double sum;
	size_t n; /* additions */
};

/* Zeroed before its first use. */
struct tally {
	struct tally_row *rows; /* in the order they came, until sorted */
	size_t n_rows;
	double sum; /* of all */

	/* private */
	size_t cap;
	uint32_t *slots; /* row + 1; 0: free */
	size_t n_slots;
};

/* Add an amount; false, and nothing is added, beyond TALLY_ROWS_MAX rows. The
 * row's index is written to *row unless that is NULL. */
bool tally_add(struct tool_run *run, struct tally *tally, struct span name,
               struct span second, double amount, size_t *row);

/* Largest sum first, equal ones by name. Nothing may be added afterwards. */
void tally_sort(struct tally *tally);

#endif
