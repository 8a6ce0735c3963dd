/*
 * claims - what a token that we were given says about itself.
 *
 * Tokens of Oracle Cloud are JSON Web Tokens (RFC 7519). Whoever holds one
 * reads it to know when it ends and whom it stands for; nothing is verified,
 * since it is the cloud that must believe it, not we.
 */
#ifndef OCI_CLAIMS_H
#define OCI_CLAIMS_H

#include "lib/base.h"
#include "lib/keys.h"
#include "lib/span.h"

#define CLAIMS_WORD_MAX  256   /* bytes of a word, with NUL */
#define CLAIMS_TOKEN_MAX 16384 /* bytes of a token */

struct claims {
	int64_t expires_s; /* exp, seconds since 1970, UTC; 0: not there */
	int64_t issued_s;  /* iat; 0: not there */
	char subject[CLAIMS_WORD_MAX]; /* res_id, opc-instance or sub */
	char tenancy[CLAIMS_WORD_MAX]; /* res_tenant, tenant or opc-tenant */
	bool has_key;                  /* there is a readable claim jwk */
	uint8_t key[KEY_SHA256_LEN];   /* hash of that key's DER */
};

/*
 * Read a token; "ST$" in front of it is not part of it. Words that do not fit
 * are left empty. False when it is no token: not three parts, not base64url,
 * not JSON, or a time that is no number.
 */
MUST_CHECK bool claims_read(struct span token, struct claims *out);

/* Does the token not name a key, or name this one? */
bool claims_match(const struct claims *claims, const struct key *key);

#endif
