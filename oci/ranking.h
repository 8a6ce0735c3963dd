/*
 * ranking - which operations have to do with the words of a question, and which
 * of them most.
 *
 * A question falls into words as names do (oci/catalogue/words.h); those that
 * say nothing are left out, abbreviations are written out. An operation scores
 * for each word that its name, its service, its client or its path has, or a
 * synonym of it, the more the rarer the word is; then for how much of its name
 * the question says; then a little for being of a well-known service.
 */
#ifndef OCI_RANKING_H
#define OCI_RANKING_H

#include "oci/operation.h"

/* operation_search(), which see. */
size_t ranking_search(struct span query, const struct operation_filter *filter,
                      size_t limit, const struct operation *out[],
                      size_t *total);

#endif
