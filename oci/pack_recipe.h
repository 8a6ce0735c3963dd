/*
 * pack_recipe - what a tool of a pack does and shows: its requests, its answer,
 * its Markdown; checked against the catalogue and against each other. And the
 * outputSchema that follows from the answer.
 *
 * Only oci/pack*.c use this.
 */
#ifndef OCI_PACK_RECIPE_H
#define OCI_PACK_RECIPE_H

#include "lib/buf.h"
#include "lib/json.h"
#include "oci/pack_entry.h"

/* Check "requests", "answer" and "markdown" of a tool. */
void pack_recipe_check(struct pack_reader *r, struct json_value tool);

/* Append the outputSchema of a tool with requests that has none. */
void pack_recipe_output(struct json_value tool, struct buf *out);

#endif
