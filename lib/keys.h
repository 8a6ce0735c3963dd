/*
 * keys - public and private keys, and the signatures made with them.
 *
 * This file and lib/tls are the only ones that know OpenSSL. A key is checked
 * when it is loaded, so that whatever exists is good enough to trust: RSA of
 * KEY_RSA_MIN_BITS to KEY_RSA_MAX_BITS with an odd exponent above 2, EC on
 * P-256 or P-384, Ed25519. What an algorithm may be used with is decided here
 * by the key and never by the message: key_verify() with an algorithm that does
 * not belong to the key's type is false, whatever the bytes.
 *
 * Keys travel between processes as DER (SubjectPublicKeyInfo, RFC 5280).
 * Functions that refuse a key give the reason as a constant sentence in *why.
 */
#ifndef LIB_KEYS_H
#define LIB_KEYS_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"

#define KEY_RSA_MIN_BITS  2048
#define KEY_RSA_MAX_BITS  8192
#define KEY_PEM_MAX       65536 /* bytes of a PEM file, certificates too */
#define KEY_DER_MAX       2048  /* bytes that key_to_der() may append */
#define KEY_SIGNATURE_MAX (KEY_RSA_MAX_BITS / 8)
#define KEY_MD5_LEN       16
#define KEY_SHA1_LEN      20
#define KEY_SHA256_LEN    32
#define KEY_UNIT_MAX      256 /* bytes, NUL included */

enum key_type { KEY_RSA, KEY_P256, KEY_P384, KEY_ED25519 };

/* Signature algorithms of RFC 7518, section 3.1, and RFC 8037. */
enum key_alg {
	KEY_RS256,
	KEY_RS384,
	KEY_RS512,
	KEY_PS256,
	KEY_ES256,
	KEY_ES384,
	KEY_EDDSA,
};

#define KEY_ALG_COUNT    7
#define KEY_ALG_BIT(alg) (1u << (alg))
#define KEY_ALG_ALL      (KEY_ALG_BIT(KEY_ALG_COUNT) - 1)

struct key;

/* The name used in tokens ("RS256") and in the configuration. */
const char *key_alg_name(enum key_alg alg);

/* The algorithm of that exact name; false for any other, "none" and HS* too. */
bool key_alg_of(struct span name, enum key_alg *out);

/* "RSA", "EC P-256", "EC P-384" or "Ed25519". */
const char *key_type_name(enum key_type type);

/*
 * A public key from PEM: "PUBLIC KEY", "RSA PUBLIC KEY" (PKCS#1) or the key of
 * a "CERTIFICATE". The first block counts. A private key is refused: what only
 * verifies must not be given it.
 * Returns 0; -EINVAL with the sentence in *why; -ENOMEM. *out is for
 * key_free().
 */
MUST_CHECK int key_from_pem(struct span pem, struct key **out,
                            const char **why);

/* A public key from what key_to_der() wrote. Returns as key_from_pem(). */
MUST_CHECK int key_from_der(struct span der, struct key **out,
                            const char **why);

/*
 * Public keys from the big-endian numbers of a JSON Web Key (RFC 7518, section
 * 6; RFC 8037, section 2), already taken out of base64url. crv is "P-256",
 * "P-384" or "Ed25519" (then y is empty). Return as key_from_pem().
 */
MUST_CHECK int key_from_rsa(struct span n, struct span e, struct key **out,
                            const char **why);
MUST_CHECK int key_from_curve(struct span crv, struct span x, struct span y,
                              struct key **out, const char **why);

/*
 * A private key from PEM: PKCS#8, PKCS#1 or SEC 1, each of them encrypted or
 * not, "Proc-Type: 4,ENCRYPTED" too. A passphrase for a key that is not
 * encrypted is not used. White space before and any text after the first block
 * is not read. The key can sign, and verify too.
 * Returns as key_from_pem(), with sentences of their own for a passphrase that
 * is missing, one that is wrong, a public key, a certificate and a key that is
 * cut off.
 */
MUST_CHECK int key_private_from_pem(struct span pem, struct span passphrase,
                                    struct key **out, const char **why);

/* A new private key for alg; RSA gets 2048 bits. Returns 0 or -ENOMEM. */
MUST_CHECK int key_generate(enum key_alg alg, struct key **out);

/* Give it back; NULL is fine. */
void key_free(struct key *key);

enum key_type key_type(const struct key *key);
bool key_is_private(const struct key *key);

/* Bytes of an RSA modulus, that is of its signatures; 0 for other types. */
size_t key_rsa_bytes(const struct key *key);

/* May a signature by this key be of this algorithm? */
bool key_allows(const struct key *key, enum key_alg alg);

/* The algorithm a token is signed with when nobody says: RS256 for RSA. */
enum key_alg key_default_alg(const struct key *key);

/*
 * Append the public half as DER (SubjectPublicKeyInfo).
 * Returns 0, or buf_err() of into.
 */
MUST_CHECK int key_to_der(const struct key *key, struct buf *into);

/* Append the public half as PEM. Returns as key_to_der(). */
MUST_CHECK int key_to_pem(const struct key *key, struct buf *into);

/* Append the private key as unencrypted PKCS#8 PEM. Returns as key_to_der(). */
MUST_CHECK int key_private_to_pem(const struct key *key, struct buf *into);

/*
 * Is signature one of bytes, by this key, with this algorithm? ECDSA signatures
 * are r || s of exactly 64 (P-256) or 96 (P-384) bytes (RFC 7518, section 3.4);
 * RSA signatures are exactly as long as the modulus. False for everything that
 * is not a good signature, an algorithm of another type included.
 */
bool key_verify(const struct key *key, enum key_alg alg, struct span bytes,
                struct span signature);

/*
 * Sign bytes with a private key, in the form key_verify() reads.
 * Returns 0; -EINVAL when key is public or alg is not of its type; -EIO when
 * the library refuses.
 */
MUST_CHECK int key_sign(const struct key *key, enum key_alg alg,
                        struct span bytes, uint8_t signature[KEY_SIGNATURE_MAX],
                        size_t *len);

/*
 * MD5 of the public half's DER: how some services name a registered key. It
 * identifies, it does not protect. Returns 0 or -EIO.
 */
MUST_CHECK int key_fingerprint_md5(const struct key *key,
                                   uint8_t out[KEY_MD5_LEN]);

/* What a program may want to know of its own X.509 certificate (RFC 5280). */
struct key_certificate {
	uint8_t sha1[KEY_SHA1_LEN];     /* fingerprint: hash of the DER */
	uint8_t sha256[KEY_SHA256_LEN]; /* fingerprint: hash of the DER */
	int64_t starts_s;               /* seconds since 1970, UTC */
	int64_t expires_s;
	char unit[KEY_UNIT_MAX]; /* as asked for, NUL-terminated */
};

/*
 * Read the first certificate of pem. out->unit becomes what follows unit_head
 * in the first subject OU that begins with it, and is empty when there is none
 * or it does not fit. Nothing is verified. Returns as key_from_pem().
 */
MUST_CHECK int key_certificate_read(struct span pem, struct span unit_head,
                                    struct key_certificate *out,
                                    const char **why);

/*
 * Append the first certificate of pem as DER, or as one line of base64 of the
 * DER: what stands between the lines BEGIN and END of a tidy PEM file. Returns
 * as key_from_pem(); -ENOBUFS when it does not fit into the buffer.
 */
MUST_CHECK int key_certificate_der(struct span pem, struct buf *into,
                                   const char **why);
MUST_CHECK int key_certificate_body(struct span pem, struct buf *into,
                                    const char **why);

#endif
