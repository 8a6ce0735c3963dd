/*
 * nearest - which known word somebody may have meant.
 */
#ifndef OCI_NEAREST_H
#define OCI_NEAREST_H

#include "lib/base.h"
#include "lib/span.h"

#define NEAREST_WORD_MAX 64 /* bytes; longer words are near to none */

/* The best candidate so far. All zero but word: ready to use. */
struct nearest {
	struct span word; /* what was written */
	struct span best; /* empty: nothing is near enough */
	unsigned steps;   /* between the two */
};

/*
 * Look at a known word: it becomes the best when fewer letters than for those
 * before have to be inserted, deleted, changed or swapped with a neighbour, and
 * these are at most a third of the longer word, or one word begins or ends the
 * other. Case does not count, nor does a dash for an underscore.
 */
void nearest_look(struct nearest *n, struct span known);

#endif
