/*
 * model - what the bodies of requests and answers look like: the types of
 * their members, which must be there, which values they may have.
 *
 * A model belongs to a service. A type is a text: the name of a model of the
 * same service, "str", "int", "float", "bool", "datetime", "date", "object"
 * (anything), "stream" and "bytes" (no JSON at all), "list[TYPE]" or
 * "dict(str, TYPE)".
 *
 * Models lie in the catalogue (oci/operation) and live as long as the program.
 */
#ifndef OCI_MODEL_H
#define OCI_MODEL_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"

#define MODEL_DEPTH_MAX    32           /* values within values */
#define MODEL_DESCRIBE_MAX (64u * 1024) /* bytes of one description */
#define MODEL_PATH_MAX     256          /* bytes, with its NUL */
#define MODEL_TEXT_MAX     512          /* bytes, with its NUL */

struct model; /* one of the catalogue's; compare by address */

size_t model_count(void);

/* In the order of service and name; i is less than model_count(). */
const struct model *model_at(size_t i);

/* NULL when the service has no model of this name; names are exact. */
const struct model *model_find(struct span service, struct span name);

struct span model_service(const struct model *model);
struct span model_name(const struct model *model);

/* The model that this one is a kind of; NULL when it is none. */
const struct model *model_base(const struct model *model);

struct model_field {
	struct span name;
	struct span type;
	bool required;
	size_t values;          /* how many values are allowed; 0 for any */
	const uint32_t *choice; /* for model_value() */
};

/* The members, those of the base model too. */
size_t model_fields(const struct model *model);

/* i is less than model_fields(). */
void model_field(const struct model *model, size_t i, struct model_field *out);

/* By its exact name; false when there is none: out is then not touched. */
bool model_field_find(const struct model *model, struct span name,
                      struct model_field *out);

/* An allowed value; i is less than field->values. */
struct span model_value(const struct model_field *field, size_t i);

/*
 * Some models are of several kinds, and one member says which: its name; empty
 * for all others.
 */
struct span model_discriminator(const struct model *model);

/* The kinds: each value of that member, and the model it stands for. */
size_t model_kinds(const struct model *model);
void model_kind(const struct model *model, size_t i, struct span *value,
                const struct model **kind);

/*
 * Append the JSON Schema of a type: one object. Models within it are written
 * out down to depth (0: none of them), then as {"$ref": "NAME"}, which the
 * caller can ask for by that name. Kinds are a "oneOf". When the next piece
 * would pass MODEL_DESCRIBE_MAX models are no longer written out, and the
 * outermost object has "cut": true. Returns false when there is no such
 * type; nothing is then appended.
 */
bool model_describe(struct span service, struct span type, unsigned depth,
                    struct buf *out);

/* What is wrong with a body. */
struct model_fault {
	char path[MODEL_PATH_MAX]; /* "sourceDetails.imageId", "rules[2].port";
	                              empty: the whole body */
	char text[MODEL_TEXT_MAX]; /* one sentence, what would be right */
};

/*
 * Is raw, one JSON value that lib/scan has found good, a body of this type?
 * False with the first fault: a member that the model does not have (with the
 * nearest that it has), a required one that is missing or null, a value of the
 * wrong type or not among those allowed, a kind that does not exist, more than
 * MODEL_DEPTH_MAX values within each other. Null stands for "not given".
 * A type that does not exist is a fault too.
 */
bool model_check(struct span service, struct span type, struct span raw,
                 struct model_fault *why);

#endif
