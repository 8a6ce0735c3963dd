/*
 * jwt - is this a token that was made for us, and what does it say?
 *
 * JSON Web Tokens as access tokens: RFC 7519 and RFC 9068, read as RFC 8725
 * advises. The rules belong to the administrator: keys, issuers, audiences and
 * algorithms. The token chooses nothing: `alg` must be allowed and be of the
 * key's own type, `jku`, `x5u`, `x5c` and `jwk` are not looked at, and `crit`
 * refuses because we understand no extension.
 *
 * Cheap checks come first: form, key id, expiry, issuer and audience are judged
 * before a signature is verified, so that a token without hope costs little. A
 * claim is only handed out when everything held.
 */
#ifndef AUTH_JWT_H
#define AUTH_JWT_H

#include "lib/base.h"
#include "lib/keys.h"
#include "lib/span.h"

#define JWT_MAX          8192 /* bytes of a token */
#define JWT_KID_MAX      255  /* bytes of a key id */
#define JWT_ISSUER_MAX   512  /* bytes of `iss` and of one `aud` */
#define JWT_SUBJECT_MAX  255  /* bytes of `sub` */
#define JWT_CLIENT_MAX   255  /* bytes of the client id */
#define JWT_SCOPES_MAX   2048 /* bytes of all scopes, with their spaces */
#define JWT_AUDIENCE_MAX 64   /* entries of an `aud` list that are read */
#define JWT_SKEW_MAX_S   600 /* seconds; of a longer skew only so much counts */

/* Signatures tried for one token when several keys might have made it. */
#define JWT_TRIES_MAX 4

/* In place of an issuer's index: any, or none said. */
#define JWT_ISSUER_ANY UINT32_MAX

struct jwt_key {
	const struct key *key;
	struct span kid; /* empty: may have signed whatever `kid` says */
	uint32_t issuer; /* index in jwt_rules.issuers, or JWT_ISSUER_ANY */
};

struct jwt_rules {
	const struct jwt_key *keys;
	size_t n_keys;
	const struct span *issuers;   /* `iss` is one of them, exactly */
	size_t n_issuers;             /* 0: `iss` is not checked */
	const struct span *audiences; /* `aud` names one of them, exactly */
	size_t n_audiences;           /* 0: `aud` is not checked */
	uint32_t algs;   /* KEY_ALG_BIT() of each that is allowed */
	uint32_t skew_s; /* how far clocks may differ */
};

enum jwt_result {
	JWT_OK,
	JWT_TOO_LONG,       /* over JWT_MAX bytes */
	JWT_BAD_FORM,       /* not three parts of base64url */
	JWT_BAD_HEADER,     /* not a JSON object, or a member given twice */
	JWT_BAD_TYPE,       /* `typ` is of another kind of token */
	JWT_CRITICAL,       /* `crit` is there */
	JWT_BAD_ALGORITHM,  /* `alg` missing or not allowed (none, HS*) */
	JWT_UNKNOWN_KEY,    /* no key of that `kid` and algorithm */
	JWT_BAD_PAYLOAD,    /* not a JSON object, or a claim given twice */
	JWT_BAD_CLAIM,      /* a claim of a wrong type, too long, or with
	                       control characters */
	JWT_NO_EXPIRY,      /* `exp` missing */
	JWT_EXPIRED,        /* `exp` is past */
	JWT_NOT_YET,        /* `nbf` is to come */
	JWT_FROM_FUTURE,    /* `iat` is to come */
	JWT_WRONG_ISSUER,   /* `iss` missing or not ours */
	JWT_WRONG_AUDIENCE, /* `aud` missing or names somebody else */
	JWT_NO_SUBJECT,     /* `sub` missing or empty */
	JWT_BAD_SIGNATURE,  /* no key of ours signed it */
};

#define JWT_RESULT_COUNT 18

/*
 * What an accepted token says. Holds no pointer: it may be copied, and kept in
 * shared memory. All texts are UTF-8 without control characters.
 */
struct jwt_claims {
	int64_t expires_s; /* `exp`, seconds since 1970; skew not added */
	uint32_t issuer;   /* index in jwt_rules.issuers, or JWT_ISSUER_ANY */
	uint16_t subject_len;
	uint16_t client_len;
	uint16_t scopes_len;
	char subject[JWT_SUBJECT_MAX];
	char client[JWT_CLIENT_MAX];
	char scopes[JWT_SCOPES_MAX]; /* one space between two */
};

/*
 * Judge a token at a time (seconds since 1970, UTC). *out is filled only when
 * the answer is JWT_OK. Allocates nothing itself; the signature may.
 */
enum jwt_result jwt_check(const struct jwt_rules *rules, struct span token,
                          int64_t now_s, struct jwt_claims *out);

/* Has it the form of a JWT at all: three non-empty parts of base64url? */
bool jwt_looks_like(struct span token);

/*
 * The sentence for people, constant and without anything of the token: fit for
 * `error_description` of RFC 6750 (no quote, no backslash).
 */
const char *jwt_reason(enum jwt_result result);

/* A short word for counters and logs: "expired", "bad_signature". */
const char *jwt_word(enum jwt_result result);

/* `sub`. */
static inline struct span jwt_subject(const struct jwt_claims *claims)
{
	return span_of(claims->subject, claims->subject_len);
}

/* `client_id`, else `azp`, else `sub`. */
static inline struct span jwt_client(const struct jwt_claims *claims)
{
	return span_of(claims->client, claims->client_len);
}

/* All scopes, one space between two: `scope`, else `scp`, else `scopes`. */
static inline struct span jwt_scopes(const struct jwt_claims *claims)
{
	return span_of(claims->scopes, claims->scopes_len);
}

/*
 * Walk through the scopes. Begin with *scope empty ({ 0 }); each call puts the
 * next one there, until false.
 */
bool jwt_scope_next(const struct jwt_claims *claims, struct span *scope);

#endif
