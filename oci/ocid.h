/*
 * ocid - Oracle Cloud identifiers: ocid1.TYPE.REALM.[REGION][.FUTURE].UNIQUE
 *
 * "ocid1.instance.oc1.iad.anuwcljt..." is an instance in Ashburn; a resource of
 * the whole realm has no region: "ocid1.tenancy.oc1..aaaa...". The region is an
 * identifier or a key. FUTURE is nearly always absent; keys of a vault have
 * one part there, their versions have two. The oldest tenancies have the form
 * "ocidv1:tenancy:oc1:phx:1460406592660:aaaa..." with colons.
 *
 * Only the form is checked: what exists, the service knows.
 */
#ifndef OCI_OCID_H
#define OCI_OCID_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"

#define OCID_MAX       255 /* bytes */
#define OCID_TYPE_MAX  64  /* bytes of a type */
#define OCID_PARTS_MIN 5   /* with the prefix */
#define OCID_PARTS_MAX 8

struct ocid {
	struct span type;   /* "instance" */
	struct span realm;  /* "oc1" */
	struct span region; /* "iad", "eu-frankfurt-1" or empty */
	struct span future; /* all parts between region and unique, dots
	                       between them; may be empty */
	struct span unique;
};

enum ocid_error {
	OCID_OK,
	OCID_EMPTY,
	OCID_TOO_LONG,  /* over OCID_MAX */
	OCID_NO_PREFIX, /* does not begin "ocid1." or "ocidv1:" */
	OCID_BAD_BYTE,  /* not a letter, a digit, '.', '-' or '_' */
	OCID_PARTS,     /* fewer than OCID_PARTS_MIN, over OCID_PARTS_MAX */
	OCID_BAD_TYPE,  /* the type is empty or over OCID_TYPE_MAX */
	OCID_BAD_REALM, /* the realm is empty */
	OCID_NO_UNIQUE, /* nothing after the last dot */
	OCID_ERRORS_MAX,
};

/*
 * Take an OCID apart. Returns OCID_OK and fills *out with spans into text, or
 * says what is wrong first; *out is then empty.
 */
enum ocid_error ocid_parse(struct span text, struct ocid *out);

/* The error as a sentence without a full stop; a constant, never NULL. */
const char *ocid_error(enum ocid_error error);

/*
 * Is text an OCID of that type, any case? "compartment" takes a tenancy too,
 * which is its own root compartment. An empty type takes every OCID.
 */
bool ocid_is(struct span text, struct span type);

/*
 * Append why text is not an OCID of that type, as a sentence without a full
 * stop: "this is the OCID of a vcn; the OCID of an instance is needed". Nothing
 * is appended when it is one. Of text only its type is repeated. Errors stick
 * in the buffer.
 */
void ocid_explain(struct span text, struct span type, struct buf *into);

/*
 * The first OCID in a longer text: what begins like one, as far as its bytes
 * go, without dots, colons, dashes and underscores at the end. What stands
 * before it does not matter, and it may be longer and have more parts than
 * ocid_parse() takes. Fills *out and returns the OCID; the empty span when
 * there is none.
 */
struct span ocid_next(struct span text, struct ocid *out);

#endif
