/*
 * census - how many there are of each word: states, severities, types.
 *
 * Zeroed is empty. Words are kept as spans, not copied.
 */
#ifndef OCI_CENSUS_H
#define OCI_CENSUS_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/output.h"

#define CENSUS_WORDS_MAX 32 /* different ones; further ones are "other" */

struct census {
	struct census_word {
		struct span word;
		size_t count;
	} words[CENSUS_WORDS_MAX];
	size_t n;     /* in words, in the order they first came */
	size_t other; /* of further words */
	size_t total;
};

/* One more of word; an empty one counts as "unknown". */
void census_add(struct census *t, struct span word);

/* How many of a word. */
size_t census_count(const struct census *t, const char *word);

/* Write an object: word to count. */
void census_write(const struct census *t, struct output *o, const char *key);

#endif
