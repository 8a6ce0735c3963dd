/*
 * pack_schema - the parameters of a tool: checked, merged with those that all
 * tools share, and written as JSON Schema.
 *
 * Only oci/pack*.c use this.
 */
#ifndef OCI_PACK_SCHEMA_H
#define OCI_PACK_SCHEMA_H

#include "lib/buf.h"
#include "lib/json.h"
#include "oci/pack_entry.h"

/* A parameter that a tool takes by naming it in "uses". */
struct pack_shared {
	const char *name;
	const char *schema; /* in the notation of packs */
	bool always;        /* need not be named */
};

extern const struct pack_shared pack_schema_shared[];
extern const size_t pack_schema_n_shared;

/* Check "parameters", "uses" and "required" of a tool. */
void pack_schema_check(struct pack_reader *r, struct json_value tool);

/* Does the tool have an argument of this name? */
bool pack_schema_has(struct json_value tool, struct span name);

/* Append all parameters as one object, the tool's own first, in the notation
 * of packs. */
void pack_schema_parameters(struct json_value tool, struct buf *out);

/* Append the same without what only people read: the part of a recipe that
 * every call goes over. */
void pack_schema_bare(struct span parameters, struct buf *out);

/* Append the inputSchema; parameters is what pack_schema_parameters() wrote. */
void pack_schema_input(struct json_value tool, struct span parameters,
                       struct buf *out);

#endif
