/*
 * pass - what is needed to sign: a private key, the name it is known by, and
 * whom it stands for. A pass does not change once somebody uses it; another
 * takes its place, with another generation.
 */
#ifndef OCI_PASS_H
#define OCI_PASS_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/keys.h"
#include "lib/span.h"
#include "oci/claims.h"
#include "oci/credential.h"
#include "oci/region.h"

#define PASS_TOKEN_MAX  16384 /* bytes of a token */
#define PASS_OCID_MAX   256   /* bytes of an OCID or a subject, with NUL */
#define PASS_REGION_MAX (REGION_DOMAIN_MAX + 1)
#define PASS_MARGIN_S   300 /* a token is renewed so long before its end */

struct pass {
	uint64_t generation; /* not 0; differs from every other pass's */
	enum credential_method method;
	struct key *key;     /* owned */
	struct buf key_id;   /* a secret if it is a token */
	struct buf delegate; /* token for opc-obo-token; or empty */
	char tenancy[PASS_OCID_MAX];
	char subject[PASS_OCID_MAX];
	char region[PASS_REGION_MAX]; /* identifier or domain; may be empty */
	char domain[PASS_REGION_MAX]; /* of its realm; may be empty */
	int64_t expires_s;            /* seconds since 1970, UTC; 0: never */
	int64_t renew_s;              /* when to get the next; 0: never */
};

/* A pass without key and name; NULL without memory. */
struct pass *pass_new(enum credential_method method);

/* Wipe what is secret and free. NULL is fine. */
void pass_free(struct pass *pass);

/* The key id of a token: "ST$" and the token, which may have it already. */
void pass_set_token(struct pass *pass, struct span token);

/* Tenancy, subject and times as a token's claims have them; the times of its
 * renewal are PASS_MARGIN_S before its end, or half of its life if that is
 * shorter. Words that a claim does not have stay. */
void pass_set_claims(struct pass *pass, const struct claims *claims,
                     int64_t now_s);

/* Copy text, cut if it does not fit, to one of the words above. */
void pass_set_word(char *word, size_t size, struct span text);

/* Wipe what a buffer holds and free it. */
void pass_wipe(struct buf *secret);

#endif
