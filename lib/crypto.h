/*
 * crypto - random bytes, hashes, sealed messages and base64url: the only file
 * that knows libsodium. (Base64 with padding is lib/base64.)
 *
 * Call crypto_init() once, before the first fork; everything else is safe in
 * every process after that and allocates nothing. Keys are the caller's bytes:
 * make them with crypto_random(), wipe them with crypto_wipe().
 */
#ifndef LIB_CRYPTO_H
#define LIB_CRYPTO_H

#include "lib/base.h"
#include "lib/span.h"

#define CRYPTO_HASH_LEN    32 /* bytes of SHA-256 and of a cache hash */
#define CRYPTO_KEY_LEN     32 /* bytes of a sealing or cache hash key */
#define CRYPTO_SIPHASH_LEN 16 /* bytes of a SipHash key */

/* How much longer a sealed message is: a nonce of 24 and a tag of 16 bytes. */
#define CRYPTO_SEAL_EXTRA 40

/* Characters that n bytes become. */
#define CRYPTO_BASE64URL_LEN(n) (((n)*4 + 2) / 3)

/* 0, or -EIO when the library finds no source of random bytes. */
MUST_CHECK int crypto_init(void);

/* n bytes that nobody can predict. Cannot fail after crypto_init(). */
void crypto_random(void *out, size_t n);

/* SHA-256 of FIPS 180-4. */
void crypto_sha256(struct span in, uint8_t out[CRYPTO_HASH_LEN]);

/*
 * Keyed BLAKE2b (RFC 7693), 32 bytes: the fast hash under which verdicts on
 * tokens are cached. Without the key nobody can make two inputs meet.
 */
void crypto_cache_hash(const uint8_t key[CRYPTO_KEY_LEN], struct span in,
                       uint8_t out[CRYPTO_HASH_LEN]);

/* HMAC-SHA-256 of RFC 2104, with a key of any length. */
void crypto_hmac_sha256(struct span key, struct span in,
                        uint8_t out[CRYPTO_HASH_LEN]);

/* SipHash-2-4: for hash tables whose keys a peer may choose. */
uint64_t crypto_siphash(const uint8_t key[CRYPTO_SIPHASH_LEN], struct span in);

/* Are n bytes equal? Takes the same time wherever they differ. */
bool crypto_equal(const void *a, const void *b, size_t n);

/* Overwrite a secret; the compiler may not leave it out. */
void crypto_wipe(void *at, size_t n);

/*
 * Keep a secret out of swap and core dumps: mlock(2) and MADV_DONTDUMP on the
 * pages that hold it. Returns 0 or -errno (-ENOMEM or -EPERM when
 * RLIMIT_MEMLOCK is too small, which is worth a warning and no more).
 */
MUST_CHECK int crypto_lock_memory(void *at, size_t n);

/*
 * Base64url without padding (RFC 4648, section 5). out takes
 * CRYPTO_BASE64URL_LEN(in.len) characters, no NUL. Returns that number.
 */
size_t crypto_base64url_encode(struct span in, char *out);

/*
 * The way back, strict: no padding, no white space, no other alphabet, no
 * length that cannot be, and the unused bits of the last character are zero, so
 * that one value has one spelling. *len is the number of bytes written to out.
 * False when text is not that, or needs more than cap bytes.
 */
MUST_CHECK bool crypto_base64url_decode(struct span text, void *out, size_t cap,
                                        size_t *len);

/* Lower case hexadecimal: 2 * in.len characters, no NUL. */
void crypto_hex_encode(struct span in, char *out);

/* Exactly 2 * n hexadecimal digits of either case into n bytes, or false. */
MUST_CHECK bool crypto_hex_decode(struct span text, void *out, size_t n);

/*
 * Encrypt and authenticate with XChaCha20-Poly1305 under a fresh random nonce.
 * with is authenticated and not sent (whom it is for); it may be empty.
 * out takes in.len + CRYPTO_SEAL_EXTRA bytes and may not overlap in. Returns
 * the number of bytes written.
 */
size_t crypto_seal(const uint8_t key[CRYPTO_KEY_LEN], struct span in,
                   struct span with, uint8_t *out);

/*
 * Open what crypto_seal() made with the same key and the same with. out takes
 * sealed.len - CRYPTO_SEAL_EXTRA bytes; *len is how many they are. False, and
 * nothing readable in out, when it is too short or was not made so.
 */
MUST_CHECK bool crypto_open(const uint8_t key[CRYPTO_KEY_LEN],
                            struct span sealed, struct span with, uint8_t *out,
                            size_t *len);

#endif
