/*
 * statictoken - tokens that the administrator wrote down.
 *
 * Only their SHA-256 is kept, in the snapshot and in memory. The configuration
 * gives a token in clear or, better, as "sha256:" and 64 hexadecimal digits, as
 * `oci-mcp-gateway token hash` prints it. That is safe without salt because
 * tokens are random and long; a token shorter than STATICTOKEN_MIN is worth a
 * warning.
 */
#ifndef AUTH_STATICTOKEN_H
#define AUTH_STATICTOKEN_H

#include "lib/base.h"
#include "lib/crypto.h"
#include "lib/span.h"

#define STATICTOKEN_MAX 1024 /* bytes of a token */
#define STATICTOKEN_MIN 16   /* bytes below which a clear token is weak */

/* "sha256:" and 64 digits. */
#define STATICTOKEN_TEXT_LEN (7 + 2 * CRYPTO_HASH_LEN)

struct statictoken {
	uint8_t hash[CRYPTO_HASH_LEN];
	uint32_t index; /* whose it is; the caller's own numbering */
};

/*
 * The hash of a configured token, given in either form. False when it is empty,
 * longer than STATICTOKEN_MAX, holds a byte that the `Authorization` field
 * cannot carry (RFC 6750, section 2.1: b64token), or begins with "sha256:" and
 * does not go on with 64 hexadecimal digits.
 */
MUST_CHECK bool statictoken_parse(struct span text,
                                  uint8_t out[CRYPTO_HASH_LEN]);

/* Is this the hashed form (whether or not it is well-formed)? */
bool statictoken_is_hashed(struct span text);

/* Write "sha256:..." of a token, STATICTOKEN_TEXT_LEN characters, no NUL. */
void statictoken_text(struct span token, char out[STATICTOKEN_TEXT_LEN]);

/*
 * Find the row of a presented token. Every row is compared, in constant time,
 * so that the time taken tells nothing about which rows exist or match.
 * A token presented in the hashed form matches nothing by itself: it is hashed
 * like any other. False: none.
 */
bool statictoken_find(const struct statictoken *rows, size_t n_rows,
                      struct span token, uint32_t *index);

#endif
