/*
 * ocid - Oracle Cloud identifiers: ocid1.TYPE.REALM.[REGION][.FUTURE].UNIQUE
 *
 * "ocid1.instance.oc1.iad.anuwcljt..." is an instance in Ashburn; a resource of
 * the whole realm has no region: "ocid1.tenancy.oc1..aaaa...". The region is an
 * identifier or a key. Nothing is looked up: what exists, the service knows.
 */
#ifndef OCI_OCID_H
#define OCI_OCID_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"

#define OCID_MAX      255 /* bytes */
#define OCID_TYPE_MAX 64  /* bytes of a type */

struct ocid {
	struct span type;   /* "instance" */
	struct span realm;  /* "oc1" */
	struct span region; /* "iad", "eu-frankfurt-1" or empty */
	struct span future; /* reserved; nearly always empty */
	struct span unique;
};

enum ocid_error {
	OCID_OK,
	OCID_EMPTY,
	OCID_TOO_LONG,  /* over OCID_MAX */
	OCID_BAD_BYTE,  /* not a letter, a digit, '.', '-' or '_' */
	OCID_NO_PREFIX, /* does not begin "ocid1." */
	OCID_BAD_TYPE,  /* the type is empty or over OCID_TYPE_MAX */
	OCID_BAD_REALM, /* not "oc" and a number */
	OCID_BAD_REGION,
	OCID_NO_UNIQUE, /* fewer than five parts, or nothing after the last */
	OCID_TOO_MANY,  /* more than six parts */
	OCID_ERRORS_MAX,
};

/*
 * Take an OCID apart. Letters of the first three parts are lower case. Returns
 * OCID_OK and fills *out with spans into text, or says what is wrong; *out is
 * then empty.
 */
enum ocid_error ocid_parse(struct span text, struct ocid *out);

/* The error as a sentence for a person; a constant, never NULL. */
const char *ocid_error(enum ocid_error error);

/*
 * Is text an OCID of that type? "compartment" takes a tenancy too, which is its
 * own root compartment. An empty type takes every OCID.
 */
bool ocid_is(struct span text, struct span type);

/*
 * Append why text is not an OCID of that type, as a sentence without a full
 * stop: "this is the OCID of a vcn; an instance's is needed". Nothing is
 * appended when it is one. The OCID is not repeated. Errors stick in the
 * buffer.
 */
void ocid_explain(struct span text, struct span type, struct buf *into);

/*
 * The first OCID in a longer text: from the "ocid1." that no letter or digit
 * stands before, as far as its bytes go; dots, dashes and underscores at its
 * end are not part of it. The empty span when there is none.
 */
struct span ocid_next(struct span text);

#endif
