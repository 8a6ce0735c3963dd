/*
 * pack_type - where a path leads in what an operation answers or takes, by the
 * models of the catalogue: so that a mistyped member is found when a pack is
 * loaded, and not by somebody who wonders about nulls.
 *
 * Only oci/pack*.c use this.
 */
#ifndef OCI_PACK_TYPE_H
#define OCI_PACK_TYPE_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/nearest.h"
#include "oci/operation.h"

/* A type of a service, as oci/model has it; an empty one may be anything. */
struct pack_type {
	struct span service;
	struct span type;
};

/* What an operation answers; items: the array of all its items. */
struct pack_type pack_type_answer(const struct operation *op, bool items);

/* The body that an operation takes. */
struct pack_type pack_type_body(const struct operation *op);

/* The elements of a list, or of the collection that has one. */
struct pack_type pack_type_element(struct pack_type list);

/* The type of a member; false as pack_type_find(). */
bool pack_type_member(struct pack_type from, struct span name,
                      struct pack_type *out, struct nearest *near);

/*
 * The type at a path (oci/path). False when it leads to nothing that the
 * service knows: near->word is then the name that does not exist, and its best
 * the nearest that does.
 */
bool pack_type_find(struct pack_type from, struct span path,
                    struct pack_type *out, struct nearest *near);

#endif
