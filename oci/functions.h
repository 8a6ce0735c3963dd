/*
 * functions - the step functions that packs may name, all in one place.
 */
#ifndef OCI_FUNCTIONS_H
#define OCI_FUNCTIONS_H

#include "lib/span.h"
#include "oci/tool.h"

/* The function of this name; NULL when there is none. */
const struct tool_function *functions_by_name(struct span name);

/* Who carries out a recipe: its "function", or oci/mapping. Never NULL for a
 * recipe that the check of packs let through. */
const struct tool_function *functions_find(struct span recipe);

#endif
