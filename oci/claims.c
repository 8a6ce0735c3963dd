#include "oci/claims.h"

#include <stdlib.h>

#include "lib/crypto.h"
#include "lib/json.h"

#define NUMBER_MAX 1024 /* bytes of an RSA modulus or exponent */

static const char *const subjects[] = { "res_id", "opc-instance", "sub", NULL };
static const char *const tenancies[] = { "res_tenant", "tenant", "opc-tenant",
	                                 NULL };

static void read_word(struct json_value root, const char *const names[],
                      char out[CLAIMS_WORD_MAX])
{
	for (size_t i = 0; names[i]; i++) {
		struct span text = json_text(json_get(root, names[i]));

		if (text.len == 0 || text.len >= CLAIMS_WORD_MAX)
			continue;
		memcpy(out, text.at, text.len);
		out[text.len] = '\0';
		return;
	}
}

/* Fractions are allowed (RFC 7519, section 2, NumericDate). */
static bool read_time(struct json_value root, const char *name, int64_t *out)
{
	struct json_value v = json_get(root, name);
	double seconds;

	if (!json_exists(v))
		return true;
	if (!json_double(v, &seconds) || !(seconds >= 0) || seconds > 1e12)
		return false;
	*out = (int64_t)seconds;
	return true;
}

static bool hash_key(const struct key *key, uint8_t out[KEY_SHA256_LEN])
{
	struct buf der = { .max = KEY_DER_MAX };
	bool good = key_to_der(key, &der) == 0;

	if (good)
		crypto_sha256(buf_span(&der), out);
	buf_free(&der);
	return good;
}

static bool read_number(struct json_value jwk, const char *name,
                        uint8_t out[NUMBER_MAX], size_t *len)
{
	return crypto_base64url_decode(json_text(json_get(jwk, name)), out,
	                               NUMBER_MAX, len);
}

static void read_jwk(struct json_value jwk, struct claims *out)
{
	uint8_t n[NUMBER_MAX], e[NUMBER_MAX];
	size_t n_len, e_len;
	struct key *key = NULL;
	const char *why;

	if (!read_number(jwk, "n", n, &n_len) ||
	    !read_number(jwk, "e", e, &e_len) ||
	    key_from_rsa(span_of(n, n_len), span_of(e, e_len), &key, &why) < 0)
		return;
	out->has_key = hash_key(key, out->key);
	key_free(key);
}

/* The claim is an object, or, as a rule, a string with its text. */
static void read_key(struct json_value claim, struct claims *out)
{
	struct json *doc = NULL;
	struct json_error why;

	if (json_type(claim) == JSON_OBJECT) {
		read_jwk(claim, out);
	} else if (json_parse(json_text(claim), 0, &doc, &why) == 0) {
		read_jwk(json_root(doc), out);
		json_free(doc);
	}
}

static bool read_payload(struct span text, struct claims *out)
{
	struct json *doc = NULL;
	struct json_error why;
	bool good;

	if (json_parse(text, 0, &doc, &why) < 0)
		return false;

	struct json_value root = json_root(doc);
	good = json_type(root) == JSON_OBJECT &&
	       read_time(root, "exp", &out->expires_s) &&
	       read_time(root, "iat", &out->issued_s);
	if (good) {
		read_word(root, subjects, out->subject);
		read_word(root, tenancies, out->tenancy);
		read_key(json_get(root, "jwk"), out);
	}
	json_free(doc);
	return good;
}

/* The second of three parts, padding off: some issuers leave it on. */
static bool find_payload(struct span token, struct span *out)
{
	size_t first = span_find(token, '.');
	struct span rest = span_from(token, first + 1);
	size_t second = span_find(rest, '.');

	if (second == rest.len)
		return false;
	*out = span_first(rest, second);
	while (out->len && out->at[out->len - 1] == '=')
		out->len--;
	return true;
}

bool claims_read(struct span token, struct claims *out)
{
	struct span payload;
	bool good;

	memset(out, 0, sizeof(*out));
	if (span_starts(token, SPAN("ST$")))
		token = span_from(token, 3);
	if (token.len > CLAIMS_TOKEN_MAX || !find_payload(token, &payload))
		return false;

	char *text = malloc(payload.len + 1);
	size_t len;
	if (!text)
		return false;
	good = crypto_base64url_decode(payload, text, payload.len, &len) &&
	       read_payload(span_of(text, len), out);
	free(text);
	if (!good)
		memset(out, 0, sizeof(*out));
	return good;
}

bool claims_match(const struct claims *claims, const struct key *key)
{
	uint8_t hash[KEY_SHA256_LEN];

	return !claims->has_key ||
	       (hash_key(key, hash) &&
	        memcmp(hash, claims->key, sizeof(hash)) == 0);
}
