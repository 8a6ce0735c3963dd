/*
 * tally - how many there are of each word: states, severities, types.
 *
 * Zeroed is empty. Words are kept as spans, not copied.
 */
#ifndef OCI_TALLY_H
#define OCI_TALLY_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/output.h"

#define TALLY_WORDS_MAX 32 /* different ones; further ones are "other" */

struct tally {
	struct tally_word {
		struct span word;
		size_t count;
	} words[TALLY_WORDS_MAX];
	size_t n;     /* in words, in the order they first came */
	size_t other; /* of further words */
	size_t total;
};

/* One more of word; an empty one counts as "unknown". */
void tally_add(struct tally *t, struct span word);

/* How many of a word. */
size_t tally_count(const struct tally *t, const char *word);

/* Write an object: word to count. */
void tally_write(const struct tally *t, struct output *o, const char *key);

#endif
