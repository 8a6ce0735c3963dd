/*
 * sign - Oracle Cloud request signing, version 1: from a request to its header
 * lines, and from an Authorization value back to what it says.
 *
 * Pure functions: no network, no clock, no store of keys. The signing string
 * has one line "name: value" for each name of a list, in the order of the list,
 * joined by LF; the pseudo-field "(request-target)" stands for the method in
 * lower case and the raw target. What is signed is what is sent, byte for byte:
 * the caller hands the same target and host to the HTTP client.
 *
 * The lists that we write are those of Oracle's Python, Go and Java SDKs:
 *
 *	date (request-target) host
 *	date (request-target) host content-length content-type x-content-sha256
 *
 * with "x-date" in the place of "date" if asked for, "opc-obo-token" after
 * "host" if there is a delegation token, and without "host" in requests for a
 * token with an X.509 certificate. Lists that we read have any order and any
 * case.
 */
#ifndef OCI_SIGN_H
#define OCI_SIGN_H

#include "lib/base.h"
#include "lib/base64.h"
#include "lib/buf.h"
#include "lib/crypto.h"
#include "lib/keys.h"
#include "lib/span.h"

#define SIGN_METHOD_MAX    16    /* bytes */
#define SIGN_TARGET_MAX    8192  /* bytes of path and query */
#define SIGN_HOST_MAX      260   /* bytes: a name, a colon, a port */
#define SIGN_TYPE_MAX      256   /* bytes of a content type */
#define SIGN_KEY_ID_MAX    16384 /* bytes: a session token is a key id */
#define SIGN_OBO_MAX       16384 /* bytes of a delegation token */
#define SIGN_VALUE_MAX     16384 /* bytes of any field's value */
#define SIGN_NAME_MAX      64    /* bytes of a field's name */
#define SIGN_NAMES_MAX     16    /* names of a list */
#define SIGN_LIST_MAX      512   /* bytes of a list of names */
#define SIGN_SIGNATURE_MAX BASE64_LEN(KEY_SIGNATURE_MAX) /* characters */
#define SIGN_SHA256_LEN    BASE64_LEN(CRYPTO_HASH_LEN)   /* characters: 44 */
#define SIGN_DATE_LEN      29 /* Thu, 05 Jan 2023 21:31:40 GMT */

/* Bytes of an Authorization value at most; longer ones are not read. */
#define SIGN_AUTHORIZATION_MAX \
	(SIGN_KEY_ID_MAX + SIGN_LIST_MAX + SIGN_SIGNATURE_MAX + 128)

/* Bytes that sign_string() and sign_headers() append at most. */
#define SIGN_STRING_MAX \
	(SIGN_TARGET_MAX + SIGN_HOST_MAX + SIGN_TYPE_MAX + SIGN_OBO_MAX + 512)
#define SIGN_HEADERS_MAX \
	(SIGN_AUTHORIZATION_MAX + SIGN_OBO_MAX + SIGN_TYPE_MAX + 512)

/* x-content-sha256 of no bytes at all. */
#define SIGN_SHA256_EMPTY "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

/* Why a request cannot be signed or a value cannot be read; 0 is no error. */
enum sign_error {
	SIGN_OK,
	SIGN_BAD_METHOD,      /* not 1 to SIGN_METHOD_MAX letters */
	SIGN_BAD_TARGET,      /* no path; a byte that is not visible ASCII; a
	                         '#'; over SIGN_TARGET_MAX */
	SIGN_BAD_HOST,        /* empty though it is signed; other bytes than a
	                         host and a port have; over SIGN_HOST_MAX */
	SIGN_BAD_DATE,        /* not in the form of an IMF-fixdate */
	SIGN_BAD_TYPE,        /* content type: control or non-ASCII bytes,
	                         spaces at an end, over SIGN_TYPE_MAX */
	SIGN_BAD_SHA256,      /* not the base64 of 32 bytes */
	SIGN_BAD_OBO,         /* delegation token: a byte that is not visible
	                         ASCII, over SIGN_OBO_MAX */
	SIGN_BAD_KEY_ID,      /* empty; a quote, backslash or a byte that is
	                         not visible ASCII; over SIGN_KEY_ID_MAX */
	SIGN_BAD_LIST,        /* empty, a name that is no token, more than one
	                         space, over SIGN_NAMES_MAX or SIGN_LIST_MAX */
	SIGN_TWICE,           /* a name stands twice in a list */
	SIGN_NO_FIELD,        /* a name in the list has no field */
	SIGN_BAD_VALUE,       /* a field's value has control or non-ASCII
	                         bytes, or is over SIGN_VALUE_MAX */
	SIGN_BAD_KEY,         /* not a private RSA key, or it refused */
	SIGN_FULL,            /* the buffer is full or memory is */
	SIGN_TOO_LONG,        /* Authorization over SIGN_AUTHORIZATION_MAX */
	SIGN_BAD_SCHEME,      /* Authorization does not begin "Signature " */
	SIGN_BAD_PARAMETER,   /* not name="value" separated by commas */
	SIGN_PARAMETER_TWICE, /* a parameter stands twice */
	SIGN_NO_PARAMETER,    /* keyId, headers, algorithm, signature or
	                         version is not there */
	SIGN_BAD_ALGORITHM,   /* another than rsa-sha256 */
	SIGN_BAD_VERSION,     /* another than 1 */
	SIGN_BAD_SIGNATURE,   /* not base64, or over SIGN_SIGNATURE_MAX */
	SIGN_ERRORS_MAX,
};

/* The error as a sentence for a person; a constant, never NULL. */
const char *sign_error(enum sign_error error);

/* A request that is about to be sent. */
struct sign_request {
	struct span method; /* any case */
	struct span target; /* raw path[?query]; empty is "/" */
	struct span host;   /* the Host field as it will be sent */
	struct span date;   /* of sign_date() */
	bool x_date;        /* send and sign "x-date", not "date" */
	bool no_host;       /* host is not signed (federation) */
	bool with_body;     /* POST, PUT, PATCH: content fields are signed, of
	                       an empty body too */
	bool unsigned_body; /* an upload: content fields are not signed, even
	                       with with_body */
	struct span content_type; /* empty: application/json if it is signed,
	                             not sent if it is not */
	uint64_t content_length;  /* bytes of the body */
	struct span body_sha256;  /* base64; empty: SIGN_SHA256_EMPTY, only when
	                             content_length is 0 */
	struct span obo_token;    /* delegation token; may be empty */
};

/* --- parts of a request --------------------------------------------------- */

/* x-content-sha256 of a body: SIGN_SHA256_LEN characters, no NUL. */
void sign_body_sha256(struct span body, char out[SIGN_SHA256_LEN]);

/*
 * IMF-fixdate (RFC 9110, section 5.6.7) of seconds since 1970, UTC, for the
 * years 0 to 9999: SIGN_DATE_LEN characters and a NUL. Does not depend on the
 * locale. False, and nothing written, for other years.
 */
MUST_CHECK bool sign_date(int64_t utc_s, char out[SIGN_DATE_LEN + 1]);

/*
 * The way back, for the Date field of an answer: the clock of the server. False
 * when text is not an IMF-fixdate of a day that exists (a leap second is taken
 * for the second after it; the name of the day is not compared).
 */
MUST_CHECK bool sign_date_read(struct span text, int64_t *utc_s);

/*
 * Append value with every byte but A-Z a-z 0-9 - . _ ~ as %XX in upper case
 * (RFC 3986, section 2.1). For the values of a query.
 */
void sign_encode(struct span value, struct buf *into);

/*
 * As sign_encode(), for one segment of a path: the segments "." and ".." become
 * "%2E" and "%2E%2E", so that neither this argument nor a server that tidies
 * paths leaves its place. An empty segment appends nothing: refuse it first.
 */
void sign_encode_segment(struct span segment, struct buf *into);

/* --- to sign -------------------------------------------------------------- */

/*
 * Append the list of names of a request, one space between them, as it stands
 * in the parameter "headers". Checks nothing. Errors stick in the buffer.
 */
void sign_names(const struct sign_request *request, struct buf *into);

/*
 * Check a request and append its signing string.
 * Returns SIGN_OK; SIGN_BAD_METHOD to SIGN_BAD_OBO, nothing then appended; or
 * SIGN_FULL.
 */
enum sign_error sign_string(const struct sign_request *request,
                            struct buf *into);

/* One field of a request: a name, any case, and the value as sent. */
struct sign_field {
	struct span name;
	struct span value;
};

/*
 * Append the signing string for a list of names that somebody else chose: each
 * is written in lower case, with the value of the field of that name, any case.
 * Without fields that are not in the list there is no harm; the first of a name
 * counts. target and method as in struct sign_request.
 * Returns SIGN_OK, SIGN_BAD_METHOD, SIGN_BAD_TARGET, SIGN_BAD_LIST, SIGN_TWICE,
 * SIGN_NO_FIELD, SIGN_BAD_VALUE or SIGN_FULL. After an error the buffer holds
 * what it held before (nothing if it was SIGN_FULL).
 */
enum sign_error sign_string_of(struct span names, struct span method,
                               struct span target,
                               const struct sign_field *fields, size_t n_fields,
                               struct buf *into);

/*
 * Append the base64 of the signature (RSASSA-PKCS1-v1_5 with SHA-256, RFC 8017,
 * section 8.2) of a string. Returns SIGN_OK, SIGN_BAD_KEY or SIGN_FULL.
 */
enum sign_error sign_signature(const struct key *key, struct span string,
                               struct buf *into);

/*
 * Append the value of an Authorization field, parameters in the order of the
 * Python SDK. Checks key_id, names and signature.
 * Returns SIGN_OK, SIGN_BAD_KEY_ID, SIGN_BAD_LIST, SIGN_TWICE,
 * SIGN_BAD_SIGNATURE or SIGN_FULL; but for the last, nothing is appended then.
 */
enum sign_error sign_authorization(struct span key_id, struct span names,
                                   struct span signature, struct buf *into);

/*
 * Sign a request: append the header lines that make it a signed one, each ended
 * with CR LF: date (or x-date), authorization and, as they apply,
 * x-content-sha256, content-type, opc-obo-token. Not host, not content-length:
 * the HTTP client sends those, and they must be the ones given here, a length
 * of 0 too.
 * Returns SIGN_OK; what sign_string() returns; SIGN_BAD_KEY_ID, SIGN_BAD_KEY or
 * SIGN_FULL. After an error the buffer holds what it held before (nothing if it
 * was SIGN_FULL). The string is built where the lines will stand: with room for
 * SIGN_HEADERS_MAX bytes more, SIGN_FULL does not happen.
 */
enum sign_error sign_headers(const struct key *key, struct span key_id,
                             const struct sign_request *request,
                             struct buf *into);

/* --- to read -------------------------------------------------------------- */

/* An Authorization value; spans point into it. */
struct sign_parsed {
	struct span key_id;
	struct span algorithm; /* "rsa-sha256" */
	struct span headers;   /* names, one space between; as written */
	struct span signature; /* base64, checked */
	struct span version;   /* "1" */
};

/*
 * Read the value of an Authorization field: the scheme "Signature" in any case,
 * then parameters in any order, none twice, no others than the five, with
 * optional white space around the commas; values in quotes without escapes.
 * Returns SIGN_OK, with every member checked as sign_authorization() does; or
 * SIGN_BAD_KEY_ID, SIGN_BAD_LIST, SIGN_TWICE, SIGN_TOO_LONG to
 * SIGN_BAD_SIGNATURE; *out is then empty.
 */
enum sign_error sign_parse(struct span value, struct sign_parsed *out);

/* Is that the signature of string, by this key? False for anything else. */
bool sign_verify(const struct sign_parsed *parsed, struct span string,
                 const struct key *key);

#endif
