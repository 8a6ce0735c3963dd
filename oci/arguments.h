/*
 * arguments - checks the arguments of one call against a tool's recipe and
 * writes them the way that tools read them.
 *
 * A recipe is what oci/pack has made of a pack's entry; its "parameters" are
 * JSON Schema, of which these words count:
 *
 *	type        string, integer, number, boolean, array, object; without
 *	            it any value is good
 *	enum        for strings; case does not matter, written as listed
 *	pattern     for strings (oci/pattern)
 *	format      date-time and date, for strings (RFC 3339)
 *	ocid        our own: the type or the types of an OCID
 *	minimum, maximum, minLength, maxLength, minItems, maxItems
 *	items       for arrays: the schema of each element
 *	additionalProperties  for objects: the schema of each member
 *	default     of an argument that is not given
 *
 * What clients, and the models behind them, send in good faith is taken:
 *
 *	- {"params": {...}} for all arguments, the way of an older server, when
 *	  it is the only member and the tool has no parameter of that name; the
 *	  object may also be a string with JSON in it
 *	- null for an argument that is not given, and "" for an optional one
 *	  (unless it has a minLength of 0)
 *	- 5.0, "5" and "5.0" for the integer 5; "0.5" for a number
 *	- "true", "False" for booleans
 *	- an array or an object as a string with JSON in it, and one string for
 *	  an array of strings
 *	- white space around a string
 *	- a date for a date-time (its midnight, UTC), a time without a zone
 *	  (UTC), a date-time for a date (its day in UTC)
 *
 * Everything else is refused with a sentence for a person.
 */
#ifndef OCI_ARGUMENTS_H
#define OCI_ARGUMENTS_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"

#define ARGUMENTS_NAME_MAX   64   /* bytes of a parameter's name */
#define ARGUMENTS_SHOWN_MAX  80   /* bytes of a wrong value in a sentence */
#define ARGUMENTS_TEXT_MAX   1024 /* bytes of a sentence, with its NUL */
#define ARGUMENTS_DEPTH_MAX  4    /* arrays in arrays that are checked */
#define ARGUMENTS_NESTED_MAX (1 << 20) /* bytes of JSON in a string */

/* Why arguments are refused. */
struct arguments_fault {
	/* The argument; "" when it is about all of them. */
	char argument[ARGUMENTS_NAME_MAX + 1];
	/* One sentence without a full stop: the argument's name, what was
	   given, what is expected. Printable UTF-8. */
	char text[ARGUMENTS_TEXT_MAX];
};

/*
 * Check the arguments of a call, raw JSON that is valid, or empty for none.
 * Appends one flat object to out, in the order of the recipe's parameters:
 * those that were given, in their normal form, and the defaults of the others.
 *
 * Returns 0, or with *why filled in, and out as it was or failed:
 *	-EINVAL   the arguments are refused
 *	-ENOBUFS  they do not fit into out
 *	-ENOMEM
 * Allocates nothing but in out, unless JSON comes inside a string.
 */
MUST_CHECK int arguments_check(struct span recipe, struct span arguments,
                               struct buf *out, struct arguments_fault *why);

/*
 * The same for one value that is not null, by its schema; name is for the
 * sentence. For defaults, which are checked when a pack is loaded.
 */
MUST_CHECK int arguments_value(struct span name, struct span schema,
                               struct span value, struct buf *out,
                               struct arguments_fault *why);

#endif
