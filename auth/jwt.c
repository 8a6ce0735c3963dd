#include "auth/jwt.h"

#include "lib/crypto.h"
#include "lib/scan.h"
#include "lib/utf8.h"
#include "lib/value.h"

/* Bytes of a part after base64url. */
#define PART_MAX (JWT_MAX / 4 * 3)

enum header_member { ALG, TYP, KID, CRIT, N_HEADER };

static const struct scan_want header_want[N_HEADER] = {
	[ALG] = { { "alg", 3 }, SCAN_ROOT },
	[TYP] = { { "typ", 3 }, SCAN_ROOT },
	[KID] = { { "kid", 3 }, SCAN_ROOT },
	[CRIT] = { { "crit", 4 }, SCAN_ROOT },
};

enum claim {
	ISS,
	SUB,
	AUD,
	EXP,
	NBF,
	IAT,
	CLIENT_ID,
	AZP,
	SCOPE,
	SCP,
	SCOPES,
	N_CLAIMS
};

static const struct scan_want claims_want[N_CLAIMS] = {
	[ISS] = { { "iss", 3 }, SCAN_ROOT },
	[SUB] = { { "sub", 3 }, SCAN_ROOT },
	[AUD] = { { "aud", 3 }, SCAN_ROOT },
	[EXP] = { { "exp", 3 }, SCAN_ROOT },
	[NBF] = { { "nbf", 3 }, SCAN_ROOT },
	[IAT] = { { "iat", 3 }, SCAN_ROOT },
	[CLIENT_ID] = { { "client_id", 9 }, SCAN_ROOT },
	[AZP] = { { "azp", 3 }, SCAN_ROOT },
	[SCOPE] = { { "scope", 5 }, SCAN_ROOT },
	[SCP] = { { "scp", 3 }, SCAN_ROOT },
	[SCOPES] = { { "scopes", 6 }, SCAN_ROOT },
};

/* clang-format off */
static const struct {
	const char *word, *sentence;
} results[JWT_RESULT_COUNT] = {
	[JWT_OK] = { "ok", "The access token is valid" },
	[JWT_TOO_LONG] = { "too_long",
		"The access token is too long" },
	[JWT_BAD_FORM] = { "bad_form",
		"The access token is not a signed JSON Web Token" },
	[JWT_BAD_HEADER] = { "bad_header",
		"The header of the access token is not valid JSON" },
	[JWT_BAD_TYPE] = { "bad_type",
		"The token is of a type that is not an access token" },
	[JWT_CRITICAL] = { "critical_extension",
		"The access token demands an extension (crit) that is not "
		"supported" },
	[JWT_BAD_ALGORITHM] = { "bad_algorithm",
		"The access token is signed with an algorithm that is not "
		"allowed" },
	[JWT_UNKNOWN_KEY] = { "unknown_key",
		"The access token is signed with a key that is not known" },
	[JWT_BAD_PAYLOAD] = { "bad_payload",
		"The claims of the access token are not valid JSON" },
	[JWT_BAD_CLAIM] = { "bad_claim",
		"A claim of the access token has a wrong type, is too long or "
		"has characters that are not allowed" },
	[JWT_NO_EXPIRY] = { "no_expiry",
		"The access token has no expiry time (exp)" },
	[JWT_EXPIRED] = { "expired",
		"The access token has expired" },
	[JWT_NOT_YET] = { "not_yet_valid",
		"The access token is not valid yet (nbf)" },
	[JWT_FROM_FUTURE] = { "from_future",
		"The access token was issued in the future (iat); check the "
		"clocks" },
	[JWT_WRONG_ISSUER] = { "wrong_issuer",
		"The access token was not issued by an accepted issuer (iss)" },
	[JWT_WRONG_AUDIENCE] = { "wrong_audience",
		"The access token was issued for another audience (aud)" },
	[JWT_NO_SUBJECT] = { "no_subject",
		"The access token has no subject (sub)" },
	[JWT_BAD_SIGNATURE] = { "bad_signature",
		"The signature of the access token does not hold" },
};
/* clang-format on */

/* The three parts of a token as they came, and what the checks found out. */
struct reading {
	const struct jwt_rules *rules;
	int64_t now_s;
	struct span header, payload, signature; /* base64url */
	struct span signed_bytes;
	enum key_alg alg;
	char kid[JWT_KID_MAX];
	size_t kid_len;
	struct jwt_claims claims;
};

const char *jwt_reason(enum jwt_result result)
{
	return results[result].sentence;
}

const char *jwt_word(enum jwt_result result)
{
	return results[result].word;
}

static bool is_base64url(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char lower = ascii_lower((unsigned char)s.at[i]);

		if (!(lower >= 'a' && lower <= 'z') &&
		    !(lower >= '0' && lower <= '9') && lower != '-' &&
		    lower != '_')
			return false;
	}
	return s.len > 0;
}

/* Cut header.payload.signature (RFC 7515, section 3.1). */
static bool split(struct span token, struct reading *r)
{
	r->header = span_first(token, span_find(token, '.'));

	struct span rest = span_from(token, r->header.len + 1);
	r->payload = span_first(rest, span_find(rest, '.'));
	r->signature = span_from(rest, r->payload.len + 1);
	r->signed_bytes = span_first(token, r->header.len + 1 + r->payload.len);
	return is_base64url(r->header) && is_base64url(r->payload) &&
	       is_base64url(r->signature);
}

bool jwt_looks_like(struct span token)
{
	struct reading r;

	return split(token, &r);
}

/* A string means exactly one of these, ignoring case? */
static bool is_one_of(struct span raw, const char *const names[], size_t n)
{
	char text[32];
	int len = value_string(raw, text, sizeof(text));

	for (size_t i = 0; len >= 0 && i < n; i++)
		if (span_eq_nocase(span_of(text, (size_t)len),
		                   span_str(names[i])))
			return true;
	return false;
}

/*
 * An identity token or a proof of possession may be signed by the same key;
 * its type is what tells them apart (RFC 8725, section 3.11).
 */
static bool accepts_type(struct span raw)
{
	static const char *const types[] = { "JWT", "at+jwt",
		                             "application/at+jwt" };

	return raw.len == 0 || is_one_of(raw, types, ARRAY_LEN(types));
}

static bool accepts_algorithm(struct reading *r, struct span raw)
{
	struct span name;

	return value_string_plain(raw, &name) && key_alg_of(name, &r->alg) &&
	       (r->rules->algs & KEY_ALG_BIT(r->alg));
}

static enum jwt_result check_header(struct reading *r)
{
	char text[PART_MAX];
	size_t len;
	struct span found[N_HEADER];
	struct scan_error why;

	if (!crypto_base64url_decode(r->header, text, sizeof(text), &len))
		return JWT_BAD_FORM;

	struct span json = span_of(text, len);
	if (scan_document(json, header_want, N_HEADER, found, &why) !=
	            SCAN_OK ||
	    value_type(json) != VALUE_OBJECT)
		return JWT_BAD_HEADER;
	if (found[CRIT].at)
		return JWT_CRITICAL;
	if (!accepts_type(found[TYP]))
		return JWT_BAD_TYPE;
	if (!accepts_algorithm(r, found[ALG]))
		return JWT_BAD_ALGORITHM;

	/* A longer key id than we keep can be none of ours. */
	int n = found[KID].at ? value_string(found[KID], r->kid, JWT_KID_MAX)
	                      : 0;
	if (n < 0)
		return JWT_UNKNOWN_KEY;
	r->kid_len = (size_t)n;
	return JWT_OK;
}

/* May this key have made the token, as far as is known so far? */
static bool fits(const struct reading *r, const struct jwt_key *k)
{
	return key_allows(k->key, r->alg) &&
	       (k->kid.len == 0 || r->kid_len == 0 ||
	        span_eq(k->kid, span_of(r->kid, r->kid_len)));
}

static enum jwt_result check_key_known(const struct reading *r)
{
	for (size_t i = 0; i < r->rules->n_keys; i++)
		if (fits(r, &r->rules->keys[i]))
			return JWT_OK;
	return JWT_UNKNOWN_KEY;
}

/*
 * A NumericDate (RFC 7519, section 2) may have a fraction; the whole seconds
 * are enough. No exponent: nobody writes one.
 */
static bool seconds_of(struct span raw, int64_t *out)
{
	struct span whole = span_first(raw, span_find(raw, '.'));
	uint64_t ignored;

	if (whole.len < raw.len &&
	    !span_u64(span_first(span_from(raw, whole.len + 1), 18), UINT64_MAX,
	              &ignored))
		return false;
	return value_integer(whole, out);
}

static enum jwt_result check_times(struct reading *r,
                                   const struct span found[N_CLAIMS])
{
	int64_t skew_s = MIN(r->rules->skew_s, JWT_SKEW_MAX_S);
	int64_t starts_s, issued_s;

	if (!found[EXP].at)
		return JWT_NO_EXPIRY;
	if (!seconds_of(found[EXP], &r->claims.expires_s))
		return JWT_BAD_CLAIM;
	if (r->now_s - skew_s >= r->claims.expires_s)
		return JWT_EXPIRED;
	if (found[NBF].at) {
		if (!seconds_of(found[NBF], &starts_s))
			return JWT_BAD_CLAIM;
		if (r->now_s + skew_s < starts_s)
			return JWT_NOT_YET;
	}
	if (found[IAT].at) {
		if (!seconds_of(found[IAT], &issued_s))
			return JWT_BAD_CLAIM;
		if (r->now_s + skew_s < issued_s)
			return JWT_FROM_FUTURE;
	}
	return JWT_OK;
}

/* Which of the accepted strings raw means, or n when it is none of them. */
static size_t find_string(struct span raw, const struct span *accepted,
                          size_t n)
{
	char text[JWT_ISSUER_MAX];
	int len = value_string(raw, text, sizeof(text));
	size_t i = 0;

	if (len < 0)
		return n;
	while (i < n && !span_eq(accepted[i], span_of(text, (size_t)len)))
		i++;
	return i;
}

static enum jwt_result check_issuer(struct reading *r, struct span raw)
{
	size_t n = r->rules->n_issuers;

	r->claims.issuer = JWT_ISSUER_ANY;
	if (n == 0)
		return JWT_OK;

	size_t which = find_string(raw, r->rules->issuers, n);
	if (which == n)
		return JWT_WRONG_ISSUER;
	r->claims.issuer = (uint32_t)which;
	return JWT_OK;
}

static enum jwt_result check_audience(const struct reading *r, struct span raw)
{
	size_t n = r->rules->n_audiences;
	struct value_iter it;
	struct span one;

	if (n == 0)
		return JWT_OK;
	if (value_type(raw) != VALUE_ARRAY)
		return find_string(raw, r->rules->audiences, n) < n
		               ? JWT_OK
		               : JWT_WRONG_AUDIENCE;

	value_iter_init(&it, raw);
	for (size_t i = 0; i < JWT_AUDIENCE_MAX && value_array_next(&it, &one);
	     i++)
		if (find_string(one, r->rules->audiences, n) < n)
			return JWT_OK;
	return JWT_WRONG_AUDIENCE;
}

/*
 * The bytes of a string that is fit for logs and headers: no control
 * characters, C1 (U+0080 to U+009F) included. -1 when it is not.
 */
static int copy_text(struct span raw, char *out, size_t cap)
{
	int len = value_string(raw, out, cap);

	for (int i = 0; i < len; i++) {
		unsigned char c = (unsigned char)out[i];

		if (c < 0x20 || c == 0x7f)
			return -1;
		if (c == 0xc2 && (unsigned char)out[i + 1] < 0xa0)
			return -1;
	}
	return len;
}

static enum jwt_result read_names(struct jwt_claims *c,
                                  const struct span found[N_CLAIMS])
{
	struct span client = found[CLIENT_ID].at ? found[CLIENT_ID]
	                     : found[AZP].at     ? found[AZP]
	                                         : found[SUB];

	if (!found[SUB].at)
		return JWT_NO_SUBJECT;

	int n = copy_text(found[SUB], c->subject, JWT_SUBJECT_MAX);
	if (n == 0)
		return JWT_NO_SUBJECT;
	int m = copy_text(client, c->client, JWT_CLIENT_MAX);
	if (n < 0 || m <= 0)
		return JWT_BAD_CLAIM;
	c->subject_len = (uint16_t)n;
	c->client_len = (uint16_t)m;
	return JWT_OK;
}

/* One character of a scope: RFC 6749, section 3.3. */
static bool is_scope_char(unsigned char c)
{
	return c > 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Append the words of text to the list, one space between two. */
static bool add_scopes(struct jwt_claims *c, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.at[i];
		bool starts = i == 0 || text.at[i - 1] == ' ';

		if (byte == ' ')
			continue;
		if (!is_scope_char(byte))
			return false;
		if (c->scopes_len + 2U > JWT_SCOPES_MAX)
			return false;
		if (starts && c->scopes_len)
			c->scopes[c->scopes_len++] = ' ';
		c->scopes[c->scopes_len++] = (char)byte;
	}
	return true;
}

/* Append what a string says; alone: it must be one scope, not several. */
static bool add_raw(struct jwt_claims *c, struct span raw, bool alone)
{
	char text[JWT_SCOPES_MAX];
	int n = value_string(raw, text, sizeof(text));

	if (n < 0)
		return false;

	struct span s = span_of(text, (size_t)n);
	return !(alone && span_find(s, ' ') < s.len) && add_scopes(c, s);
}

/*
 * A list element with a space would turn into two scopes that nobody granted:
 * it is refused.
 */
static enum jwt_result read_scopes(struct jwt_claims *c,
                                   const struct span found[N_CLAIMS])
{
	struct span raw = found[SCOPE].at ? found[SCOPE]
	                  : found[SCP].at ? found[SCP]
	                                  : found[SCOPES];
	struct value_iter it;
	struct span one;

	c->scopes_len = 0;
	if (!raw.at)
		return JWT_OK;
	if (value_type(raw) != VALUE_ARRAY)
		return add_raw(c, raw, false) ? JWT_OK : JWT_BAD_CLAIM;
	value_iter_init(&it, raw);
	while (value_array_next(&it, &one))
		if (!add_raw(c, one, true))
			return JWT_BAD_CLAIM;
	return JWT_OK;
}

static enum jwt_result check_claims(struct reading *r)
{
	char text[PART_MAX];
	size_t len;
	struct span found[N_CLAIMS];
	struct scan_error why;
	enum jwt_result result;

	if (!crypto_base64url_decode(r->payload, text, sizeof(text), &len))
		return JWT_BAD_FORM;

	struct span json = span_of(text, len);
	if (scan_document(json, claims_want, N_CLAIMS, found, &why) !=
	            SCAN_OK ||
	    value_type(json) != VALUE_OBJECT)
		return JWT_BAD_PAYLOAD;
	if ((result = check_times(r, found)) != JWT_OK ||
	    (result = check_issuer(r, found[ISS])) != JWT_OK ||
	    (result = check_audience(r, found[AUD])) != JWT_OK ||
	    (result = read_names(&r->claims, found)) != JWT_OK)
		return result;
	return read_scopes(&r->claims, found);
}

/* A key of one issuer must not vouch for tokens of another. */
static bool vouches(const struct reading *r, const struct jwt_key *k)
{
	return k->issuer == JWT_ISSUER_ANY ||
	       r->claims.issuer == JWT_ISSUER_ANY ||
	       k->issuer == r->claims.issuer;
}

static enum jwt_result check_signature(const struct reading *r)
{
	uint8_t signature[KEY_SIGNATURE_MAX];
	size_t len;
	unsigned tries = 0;

	if (!crypto_base64url_decode(r->signature, signature, sizeof(signature),
	                             &len))
		return JWT_BAD_SIGNATURE;
	for (size_t i = 0; i < r->rules->n_keys && tries < JWT_TRIES_MAX; i++) {
		const struct jwt_key *k = &r->rules->keys[i];

		if (!fits(r, k) || !vouches(r, k))
			continue;
		if (key_verify(k->key, r->alg, r->signed_bytes,
		               span_of(signature, len)))
			return JWT_OK;
		tries++;
	}
	return tries ? JWT_BAD_SIGNATURE : JWT_UNKNOWN_KEY;
}

enum jwt_result jwt_check(const struct jwt_rules *rules, struct span token,
                          int64_t now_s, struct jwt_claims *out)
{
	/* All zero: the claims may go to shared memory, our stack may not. */
	struct reading r = { .rules = rules, .now_s = now_s };
	enum jwt_result result;

	if (token.len > JWT_MAX)
		return JWT_TOO_LONG;
	if (!split(token, &r))
		return JWT_BAD_FORM;
	if ((result = check_header(&r)) != JWT_OK ||
	    (result = check_key_known(&r)) != JWT_OK ||
	    (result = check_claims(&r)) != JWT_OK ||
	    (result = check_signature(&r)) != JWT_OK)
		return result;
	*out = r.claims;
	return JWT_OK;
}

bool jwt_scope_next(const struct jwt_claims *claims, struct span *scope)
{
	struct span all = jwt_scopes(claims);
	size_t next =
		scope->at ? (size_t)(scope->at - all.at) + scope->len + 1 : 0;

	if (next >= all.len)
		return false;
	all = span_from(all, next);
	*scope = span_first(all, span_find(all, ' '));
	return true;
}
