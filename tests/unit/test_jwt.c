#include "auth/jwt.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>

#include "lib/crypto.h"

#define NOW      INT64_C(1790000000)
#define ISSUER   "https://id.example/oauth2"
#define AUDIENCE "https://mcp.example/mcp"
#define SKEW_S   30

/* Keys are slow to make: one of each, made on first use. */
static struct key *key_of(enum key_alg alg)
{
	static struct key *made[KEY_ALG_COUNT];

	if (!made[alg])
		cr_assert_eq(key_generate(alg, &made[alg]), 0);
	return made[alg];
}

static void setup(void)
{
	cr_assert_eq(crypto_init(), 0);
}

TestSuite(jwt, .init = setup);

static const struct span issuers[] = { { ISSUER, sizeof(ISSUER) - 1 } };
static const struct span audiences[] = {
	{ "urn:other", 9 },
	{ AUDIENCE, sizeof(AUDIENCE) - 1 },
};

static struct jwt_rules rules_for(const struct jwt_key *keys, size_t n)
{
	return (struct jwt_rules){ .keys = keys,
		                   .n_keys = n,
		                   .issuers = issuers,
		                   .n_issuers = 1,
		                   .audiences = audiences,
		                   .n_audiences = 2,
		                   .algs = KEY_ALG_ALL,
		                   .skew_s = SKEW_S };
}

static void add_part(struct buf *token, struct span json)
{
	char *to = buf_reserve(token, CRYPTO_BASE64URL_LEN(json.len));

	cr_assert_not_null(to);
	buf_commit(token, crypto_base64url_encode(json, to));
}

/* A token with this header and payload, signed whatever they say. */
static struct buf make(struct span header, struct span payload,
                       enum key_alg alg)
{
	struct buf token = { .max = 65536 };
	uint8_t signature[KEY_SIGNATURE_MAX];
	size_t len;

	add_part(&token, header);
	buf_putc(&token, '.');
	add_part(&token, payload);
	cr_assert_eq(
		key_sign(key_of(alg), alg, buf_span(&token), signature, &len),
		0);
	buf_putc(&token, '.');
	add_part(&token, span_of(signature, len));
	return token;
}

static const char GOOD_HEADER[] = "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}";
static const char GOOD_CLAIMS[] = "{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE
				  "\",\"sub\":\"alice\",\"exp\":1790000300}";

/* The verdict on header and payload, signed with ES256 and judged at NOW. */
static enum jwt_result judge(struct span header, struct span payload,
                             struct jwt_claims *claims)
{
	struct jwt_key key = { .key = key_of(KEY_ES256),
		               .issuer = JWT_ISSUER_ANY };
	struct jwt_rules rules = rules_for(&key, 1);
	struct buf token = make(header, payload, KEY_ES256);
	enum jwt_result result =
		jwt_check(&rules, buf_span(&token), NOW, claims);

	buf_free(&token);
	return result;
}

Test(jwt, every_algorithm_is_accepted_from_its_own_key_only)
{
	for (int a = 0; a < KEY_ALG_COUNT; a++) {
		enum key_alg alg = (enum key_alg)a;
		char header[64];

		snprintf(header, sizeof(header), "{\"alg\":\"%s\"}",
		         key_alg_name(alg));
		struct buf token =
			make(span_str(header), span_str(GOOD_CLAIMS), alg);

		for (int k = 0; k < KEY_ALG_COUNT; k++) {
			struct jwt_key key = {
				.key = key_of((enum key_alg)k),
				.issuer = JWT_ISSUER_ANY,
			};
			struct jwt_rules rules = rules_for(&key, 1);
			struct jwt_claims claims;
			enum jwt_result expect = k == a ? JWT_OK
			                         : key_allows(key.key, alg)
			                                 ? JWT_BAD_SIGNATURE
			                                 : JWT_UNKNOWN_KEY;

			cr_assert_eq(jwt_check(&rules, buf_span(&token), NOW,
			                       &claims),
			             expect, "%s with the key for %s",
			             key_alg_name(alg),
			             key_alg_name((enum key_alg)k));
			rules.algs = KEY_ALG_ALL & ~KEY_ALG_BIT(alg);
			cr_assert_eq(jwt_check(&rules, buf_span(&token), NOW,
			                       &claims),
			             JWT_BAD_ALGORITHM);
		}
		buf_free(&token);
	}
}

static const struct {
	const char *header;
	enum jwt_result result;
} headers[] = {
	{ "{\"alg\":\"ES256\"}", JWT_OK },
	{ " { \"typ\" : \"jwt\", \"alg\" : \"ES256\" } ", JWT_OK },
	{ "{\"alg\":\"ES256\",\"typ\":\"application/AT+JWT\"}", JWT_OK },
	{ "{\"alg\":\"ES256\",\"jku\":\"https://evil.example/keys\","
	  "\"x5u\":\"https://evil.example/c\",\"jwk\":{\"kty\":\"oct\"},"
	  "\"x5c\":[\"AAAA\"]}",
	  JWT_OK },
	{ "{\"alg\":\"ES256\",\"kid\":\"../../../../etc/passwd\"}", JWT_OK },
	{ "{\"alg\":\"ES256\",\"kid\":\"' OR 1=1 --\\u0000\"}", JWT_OK },
	{ "{\"alg\":\"ES256\",\"kid\":7}", JWT_UNKNOWN_KEY },
	{ "{\"alg\":\"ES256\",\"typ\":\"dpop+jwt\"}", JWT_BAD_TYPE },
	{ "{\"alg\":\"ES256\",\"typ\":\"oauth-id-jag+jwt\"}", JWT_BAD_TYPE },
	{ "{\"alg\":\"ES256\",\"typ\":7}", JWT_BAD_TYPE },
	{ "{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}",
	  JWT_CRITICAL },
	{ "{\"alg\":\"ES256\",\"crit\":[]}", JWT_CRITICAL },
	{ "{\"alg\":\"ES256\",\"crit\":null}", JWT_CRITICAL },
	{ "{\"alg\":\"none\"}", JWT_BAD_ALGORITHM },
	{ "{\"alg\":\"None\"}", JWT_BAD_ALGORITHM },
	{ "{\"alg\":\"HS256\"}", JWT_BAD_ALGORITHM },
	{ "{\"alg\":\"es256\"}", JWT_BAD_ALGORITHM },
	{ "{\"alg\":\"ES256 \"}", JWT_BAD_ALGORITHM },
	{ "{\"alg\":[\"ES256\"]}", JWT_BAD_ALGORITHM },
	{ "{\"alg\":null}", JWT_BAD_ALGORITHM },
	{ "{\"typ\":\"JWT\"}", JWT_BAD_ALGORITHM },
	{ "{}", JWT_BAD_ALGORITHM },
	{ "{\"alg\":\"RS256\"}", JWT_UNKNOWN_KEY },
	{ "{\"alg\":\"ES256\",\"alg\":\"ES256\"}", JWT_BAD_HEADER },
	{ "{\"alg\":\"ES256\",\"Alg\":\"none\"}", JWT_BAD_HEADER },
	{ "{\"alg\":\"ES256\",\"\\u0061lg\":\"none\"}", JWT_BAD_HEADER },
	{ "{\"alg\":\"ES256\"", JWT_BAD_HEADER },
	{ "{\"alg\":\"ES256\"}}", JWT_BAD_HEADER },
	{ "{\"alg\":\"ES256\",\"x\":\"\xff\"}", JWT_BAD_HEADER },
	{ "[\"alg\",\"ES256\"]", JWT_BAD_HEADER },
	{ "\"ES256\"", JWT_BAD_HEADER },
};

Test(jwt, headers)
{
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		struct jwt_claims claims;
		enum jwt_result result = judge(span_str(headers[i].header),
		                               span_str(GOOD_CLAIMS), &claims);

		cr_assert_eq(result, headers[i].result, "%s: %s",
		             headers[i].header, jwt_word(result));
	}
}

#define WHO "\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\""
#define SUB "\"sub\":\"alice\""
#define EXP "\"exp\":1790000300"

static const struct {
	const char *payload;
	enum jwt_result result;
} payloads[] = {
	{ "{" WHO "," SUB "," EXP "}", JWT_OK },
	/* times, at 1790000000 with a skew of 30 */
	{ "{" WHO "," SUB "}", JWT_NO_EXPIRY },
	{ "{" WHO "," SUB ",\"exp\":1789999971}", JWT_OK },
	{ "{" WHO "," SUB ",\"exp\":1789999970}", JWT_EXPIRED },
	{ "{" WHO "," SUB ",\"exp\":1789999971.9}", JWT_OK },
	{ "{" WHO "," SUB ",\"exp\":1789999970.9}", JWT_EXPIRED },
	{ "{" WHO "," SUB ",\"exp\":-5}", JWT_EXPIRED },
	{ "{" WHO "," SUB ",\"exp\":0}", JWT_EXPIRED },
	{ "{" WHO "," SUB ",\"exp\":1e12}", JWT_BAD_CLAIM },
	{ "{" WHO "," SUB ",\"exp\":1.5e12}", JWT_BAD_CLAIM },
	{ "{" WHO "," SUB ",\"exp\":99999999999999999999}", JWT_BAD_CLAIM },
	{ "{" WHO "," SUB ",\"exp\":\"1790000300\"}", JWT_BAD_CLAIM },
	{ "{" WHO "," SUB ",\"exp\":null}", JWT_BAD_CLAIM },
	{ "{" WHO "," SUB "," EXP ",\"nbf\":1790000030}", JWT_OK },
	{ "{" WHO "," SUB "," EXP ",\"nbf\":1790000031}", JWT_NOT_YET },
	{ "{" WHO "," SUB "," EXP ",\"nbf\":\"now\"}", JWT_BAD_CLAIM },
	{ "{" WHO "," SUB "," EXP ",\"iat\":1790000030}", JWT_OK },
	{ "{" WHO "," SUB "," EXP ",\"iat\":1790000031}", JWT_FROM_FUTURE },
	{ "{" WHO "," SUB "," EXP ",\"iat\":true}", JWT_BAD_CLAIM },
	/* issuer */
	{ "{\"aud\":\"" AUDIENCE "\"," SUB "," EXP "}", JWT_WRONG_ISSUER },
	{ "{\"iss\":\"https://id.example/oauth2/\",\"aud\":\"" AUDIENCE
	  "\"," SUB "," EXP "}",
	  JWT_WRONG_ISSUER },
	{ "{\"iss\":\"HTTPS://ID.EXAMPLE/oauth2\",\"aud\":\"" AUDIENCE "\"," SUB
	  "," EXP "}",
	  JWT_WRONG_ISSUER },
	{ "{\"iss\":\"https:\\/\\/id.example\\/oauth2\",\"aud\":\"" AUDIENCE
	  "\"," SUB "," EXP "}",
	  JWT_OK },
	{ "{\"iss\":[\"" ISSUER "\"],\"aud\":\"" AUDIENCE "\"," SUB "," EXP "}",
	  JWT_WRONG_ISSUER },
	/* audience */
	{ "{\"iss\":\"" ISSUER "\"," SUB "," EXP "}", JWT_WRONG_AUDIENCE },
	{ "{\"iss\":\"" ISSUER "\",\"aud\":\"\"," SUB "," EXP "}",
	  JWT_WRONG_AUDIENCE },
	{ "{\"iss\":\"" ISSUER "\",\"aud\":[]," SUB "," EXP "}",
	  JWT_WRONG_AUDIENCE },
	{ "{\"iss\":\"" ISSUER "\",\"aud\":[\"x\",7,\"urn:other\"]," SUB "," EXP
	  "}",
	  JWT_OK },
	{ "{\"iss\":\"" ISSUER "\",\"aud\":{\"a\":\"urn:other\"}," SUB "," EXP
	  "}",
	  JWT_WRONG_AUDIENCE },
	{ "{\"iss\":\"" ISSUER "\",\"aud\":[[\"urn:other\"]]," SUB "," EXP "}",
	  JWT_WRONG_AUDIENCE },
	{ "{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "/x\"," SUB "," EXP "}",
	  JWT_WRONG_AUDIENCE },
	/* subject and client */
	{ "{" WHO "," EXP "}", JWT_NO_SUBJECT },
	{ "{" WHO "," EXP ",\"sub\":\"\"}", JWT_NO_SUBJECT },
	{ "{" WHO "," EXP ",\"sub\":7}", JWT_BAD_CLAIM },
	{ "{" WHO "," EXP ",\"sub\":\"a\\nb\"}", JWT_BAD_CLAIM },
	{ "{" WHO "," EXP ",\"sub\":\"a\\u0000b\"}", JWT_BAD_CLAIM },
	{ "{" WHO "," EXP ",\"sub\":\"a\\u0085b\"}", JWT_BAD_CLAIM },
	{ "{" WHO "," EXP ",\"sub\":\"a\x7f\"}", JWT_BAD_CLAIM },
	{ "{" WHO "," EXP ",\"sub\":\"\xc3\xbcml\"}", JWT_OK },
	{ "{" WHO "," SUB "," EXP ",\"client_id\":\"a\\rb\"}", JWT_BAD_CLAIM },
	{ "{" WHO "," SUB "," EXP ",\"client_id\":[\"a\"]}", JWT_BAD_CLAIM },
	/* scopes */
	{ "{" WHO "," SUB "," EXP ",\"scope\":7}", JWT_BAD_CLAIM },
	{ "{" WHO "," SUB "," EXP ",\"scope\":\"a\\tb\"}", JWT_BAD_CLAIM },
	{ "{" WHO "," SUB "," EXP ",\"scope\":\"a\\\"b\"}", JWT_BAD_CLAIM },
	{ "{" WHO "," SUB "," EXP ",\"scopes\":[\"a b\"]}", JWT_BAD_CLAIM },
	{ "{" WHO "," SUB "," EXP ",\"scopes\":[\"a\",7]}", JWT_BAD_CLAIM },
	{ "{" WHO "," SUB "," EXP ",\"scp\":{\"a\":1}}", JWT_BAD_CLAIM },
	/* what another parser might read differently */
	{ "{" WHO "," SUB "," SUB "," EXP "}", JWT_BAD_PAYLOAD },
	{ "{" WHO "," SUB ",\"Sub\":\"root\"," EXP "}", JWT_BAD_PAYLOAD },
	{ "{" WHO "," SUB ",\"\\u0073ub\":\"root\"," EXP "}", JWT_BAD_PAYLOAD },
	{ "{" WHO "," SUB "," EXP "," EXP "}", JWT_BAD_PAYLOAD },
	{ "{" WHO "," SUB "," EXP ",\"a\":\"\xc0\xaf\"}", JWT_BAD_PAYLOAD },
	{ "{" WHO "," SUB "," EXP "} {}", JWT_BAD_PAYLOAD },
	{ "[]", JWT_BAD_PAYLOAD },
	{ "null", JWT_BAD_PAYLOAD },
	{ "\xef\xbb\xbf{" WHO "," SUB "," EXP "}", JWT_BAD_PAYLOAD },
};

Test(jwt, payloads)
{
	for (size_t i = 0; i < ARRAY_LEN(payloads); i++) {
		struct jwt_claims claims;
		enum jwt_result result =
			judge(span_str(GOOD_HEADER),
		              span_str(payloads[i].payload), &claims);

		cr_assert_eq(result, payloads[i].result, "%s: %s",
		             payloads[i].payload, jwt_word(result));
	}
}

static const struct {
	const char *members, *client, *scopes;
} readings[] = {
	{ "", "alice", "" },
	{ ",\"azp\":\"app\"", "app", "" },
	{ ",\"azp\":\"app\",\"client_id\":\"cli\"", "cli", "" },
	{ ",\"scope\":\"read:tools write:tools\"", "alice",
	  "read:tools write:tools" },
	{ ",\"scope\":\"  a   b \"", "alice", "a b" },
	{ ",\"scope\":\"\",\"scp\":\"a\"", "alice", "" },
	{ ",\"scp\":\"a b\"", "alice", "a b" },
	{ ",\"scp\":[\"a\",\"b\"],\"scopes\":\"c\"", "alice", "a b" },
	{ ",\"scopes\":[\"a\",\"\",\"https://x.example/b\"]", "alice",
	  "a https://x.example/b" },
	{ ",\"scopes\":\"a\\u0020b\"", "alice", "a b" },
	{ ",\"scopes\":[]", "alice", "" },
};

Test(jwt, claims_come_out)
{
	for (size_t i = 0; i < ARRAY_LEN(readings); i++) {
		char payload[512];
		struct jwt_claims claims;

		snprintf(payload, sizeof(payload), "{%s%s}",
		         WHO "," SUB "," EXP, readings[i].members);
		cr_assert_eq(judge(span_str(GOOD_HEADER), span_str(payload),
		                   &claims),
		             JWT_OK, "%s", payload);
		cr_assert(span_is(jwt_subject(&claims), "alice"));
		cr_assert(span_is(jwt_client(&claims), readings[i].client),
		          "%s", payload);
		cr_assert(span_is(jwt_scopes(&claims), readings[i].scopes),
		          "%s: %.*s", payload, SPAN_ARG(jwt_scopes(&claims)));
		cr_assert_eq(claims.expires_s, NOW + 300);
		cr_assert_eq(claims.issuer, 0);
	}
}

Test(jwt, scopes_are_walked_one_by_one)
{
	struct jwt_claims claims = { .scopes_len = 8, .scopes = "ab c def" };
	struct span scope = { 0 };

	cr_assert(jwt_scope_next(&claims, &scope) && span_is(scope, "ab"));
	cr_assert(jwt_scope_next(&claims, &scope) && span_is(scope, "c"));
	cr_assert(jwt_scope_next(&claims, &scope) && span_is(scope, "def"));
	cr_assert_not(jwt_scope_next(&claims, &scope));

	claims.scopes_len = 0;
	scope = (struct span){ 0 };
	cr_assert_not(jwt_scope_next(&claims, &scope));
}

/* A string claim of n times c among good others. */
static enum jwt_result judge_long(const char *name, size_t n, char c)
{
	static char payload[2 * JWT_MAX];
	char text[JWT_MAX];
	struct jwt_claims claims;

	memset(text, c, n);
	text[n] = '\0';
	snprintf(payload, sizeof(payload), "{%s,\"%s\":\"%s\"}",
	         strcmp(name, "sub") == 0 ? WHO "," EXP : WHO "," SUB "," EXP,
	         name, text);
	return judge(span_str(GOOD_HEADER), span_str(payload), &claims);
}

Test(jwt, every_limit_holds_at_its_edge)
{
	cr_assert_eq(judge_long("sub", JWT_SUBJECT_MAX, 's'), JWT_OK);
	cr_assert_eq(judge_long("sub", JWT_SUBJECT_MAX + 1, 's'),
	             JWT_BAD_CLAIM);
	cr_assert_eq(judge_long("client_id", JWT_CLIENT_MAX, 'c'), JWT_OK);
	cr_assert_eq(judge_long("client_id", JWT_CLIENT_MAX + 1, 'c'),
	             JWT_BAD_CLAIM);
	cr_assert_eq(judge_long("scope", JWT_SCOPES_MAX - 1, 's'), JWT_OK);
	cr_assert_eq(judge_long("scope", JWT_SCOPES_MAX + 1, 's'),
	             JWT_BAD_CLAIM);
	cr_assert_eq(judge_long("ignored", 5000, 'i'), JWT_OK);
	cr_assert_eq(judge_long("ignored", 6500, 'i'), JWT_TOO_LONG);
}

Test(jwt, a_token_longer_than_the_limit_is_refused_unread)
{
	static char token[JWT_MAX + 1];
	struct jwt_rules rules = rules_for(NULL, 0);
	struct jwt_claims claims;

	memset(token, 'a', sizeof(token));
	cr_assert_eq(
		jwt_check(&rules, span_of(token, JWT_MAX + 1), NOW, &claims),
		JWT_TOO_LONG);
	cr_assert_eq(jwt_check(&rules, span_of(token, JWT_MAX), NOW, &claims),
	             JWT_BAD_FORM);
}

static const char *const misshapen[] = {
	"",       ".",      "..",      "...",       "a.b",          "a.b.",
	".b.c",   "a..c",   "a.b.c.d", "a.b.c.d.e", "a b.c.d",      "a.b.c=",
	"a+.b.c", "a/.b.c", "a.b.c\n", " a.b.c",    "\xc3\xbc.b.c",
};

Test(jwt, form)
{
	struct jwt_rules rules = rules_for(NULL, 0);
	struct jwt_claims claims;

	for (size_t i = 0; i < ARRAY_LEN(misshapen); i++) {
		struct span token = span_str(misshapen[i]);

		cr_assert_not(jwt_looks_like(token), "%s", misshapen[i]);
		cr_assert_eq(jwt_check(&rules, token, NOW, &claims),
		             JWT_BAD_FORM, "%s", misshapen[i]);
	}
	cr_assert(jwt_looks_like(span_str("a.b.c")));
	cr_assert(jwt_looks_like(span_str("aA0-_.b.c")));
}

Test(jwt, no_byte_of_a_token_may_change)
{
	struct jwt_key key = { .key = key_of(KEY_EDDSA),
		               .issuer = JWT_ISSUER_ANY };
	struct jwt_rules rules = rules_for(&key, 1);
	struct buf token = make(span_str("{\"alg\":\"EdDSA\"}"),
	                        span_str(GOOD_CLAIMS), KEY_EDDSA);
	struct jwt_claims claims;

	cr_assert_eq(jwt_check(&rules, buf_span(&token), NOW, &claims), JWT_OK);
	for (size_t i = 0; i < token.len; i++) {
		char was = token.bytes[i];

		token.bytes[i] = was == 'A' ? 'B' : 'A';
		cr_assert_neq(jwt_check(&rules, buf_span(&token), NOW, &claims),
		              JWT_OK, "byte %zu", i);
		token.bytes[i] = was;
	}
	for (size_t cut = 0; cut < token.len; cut++)
		cr_assert_neq(jwt_check(&rules,
		                        span_first(buf_span(&token), cut), NOW,
		                        &claims),
		              JWT_OK, "cut at %zu", cut);
	buf_free(&token);
}

/* What the claims buffer holds when refused must be what it held before. */
Test(jwt, nothing_comes_out_of_a_refused_token)
{
	struct jwt_claims claims, before;

	memset(&claims, 0x5a, sizeof(claims));
	before = claims;
	cr_assert_neq(judge(span_str(GOOD_HEADER),
	                    span_str("{" WHO "," SUB ",\"exp\":1}"), &claims),
	              JWT_OK);
	cr_assert_eq(memcmp(&claims, &before, sizeof(claims)), 0);
}

/* The oldest trick: the public key's bytes as the secret of an HMAC. */
Test(jwt, a_public_key_is_no_hmac_secret)
{
	struct jwt_key key = { .key = key_of(KEY_RS256),
		               .issuer = JWT_ISSUER_ANY };
	struct jwt_rules rules = rules_for(&key, 1);
	struct buf pem = { .max = KEY_PEM_MAX }, token = { .max = JWT_MAX };
	struct jwt_claims claims;
	uint8_t mac[CRYPTO_HASH_LEN];

	cr_assert_eq(key_to_pem(key.key, &pem), 0);
	add_part(&token, span_str("{\"alg\":\"HS256\"}"));
	buf_putc(&token, '.');
	add_part(&token, span_str(GOOD_CLAIMS));
	crypto_hmac_sha256(buf_span(&pem), buf_span(&token), mac);
	buf_putc(&token, '.');
	add_part(&token, span_of(mac, sizeof(mac)));
	cr_assert_eq(jwt_check(&rules, buf_span(&token), NOW, &claims),
	             JWT_BAD_ALGORITHM);
	buf_free(&token);
	buf_free(&pem);
}

Test(jwt, a_key_id_chooses_among_keys_that_have_one)
{
	struct jwt_key keys[] = {
		{ key_of(KEY_ES384), SPAN("one"), JWT_ISSUER_ANY },
		{ key_of(KEY_ES256), SPAN("two"), JWT_ISSUER_ANY },
	};
	struct jwt_rules rules = rules_for(keys, 2);
	static const struct {
		const char *header;
		enum jwt_result result;
	} cases[] = {
		{ "{\"alg\":\"ES256\",\"kid\":\"two\"}", JWT_OK },
		{ "{\"alg\":\"ES256\",\"kid\":\"t\\u0077o\"}", JWT_OK },
		{ "{\"alg\":\"ES256\"}", JWT_OK },
		{ "{\"alg\":\"ES256\",\"kid\":\"one\"}", JWT_UNKNOWN_KEY },
		{ "{\"alg\":\"ES256\",\"kid\":\"three\"}", JWT_UNKNOWN_KEY },
		{ "{\"alg\":\"ES256\",\"kid\":\"two\\u0000\"}",
		  JWT_UNKNOWN_KEY },
		{ "{\"alg\":\"ES384\",\"kid\":\"one\"}", JWT_BAD_SIGNATURE },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct jwt_claims claims;
		struct buf token = make(span_str(cases[i].header),
		                        span_str(GOOD_CLAIMS), KEY_ES256);

		cr_assert_eq(jwt_check(&rules, buf_span(&token), NOW, &claims),
		             cases[i].result, "%s", cases[i].header);
		buf_free(&token);
	}
}

/* An unknown key is cheaper than any claim: it must be noticed first. */
Test(jwt, cheap_checks_come_first)
{
	struct jwt_key key = { key_of(KEY_ES256), SPAN("one"), JWT_ISSUER_ANY };
	struct jwt_rules rules = rules_for(&key, 1);
	struct jwt_claims claims;
	struct buf token = make(span_str("{\"alg\":\"ES256\",\"kid\":\"x\"}"),
	                        span_str("not json"), KEY_ES256);

	cr_assert_eq(jwt_check(&rules, buf_span(&token), NOW, &claims),
	             JWT_UNKNOWN_KEY);
	buf_free(&token);

	/* Expired and not signed by us: expiry is what is said. */
	token = make(span_str("{\"alg\":\"ES256\"}"),
	             span_str("{" WHO "," SUB ",\"exp\":1}"), KEY_ES256);
	char *near_end = token.bytes + token.len - 5;
	*near_end = *near_end == 'A' ? 'B' : 'A';
	cr_assert_eq(jwt_check(&rules, buf_span(&token), NOW, &claims),
	             JWT_EXPIRED);
	buf_free(&token);
}

Test(jwt, the_key_of_one_issuer_does_not_vouch_for_another)
{
	static const struct span two[] = {
		{ ISSUER, sizeof(ISSUER) - 1 },
		{ "https://other.example", 21 },
	};
	struct jwt_key key = { .key = key_of(KEY_ES256), .issuer = 1 };
	struct jwt_rules rules = rules_for(&key, 1);
	struct jwt_claims claims;
	struct buf token =
		make(span_str(GOOD_HEADER), span_str(GOOD_CLAIMS), KEY_ES256);

	rules.issuers = two;
	rules.n_issuers = 2;
	cr_assert_eq(jwt_check(&rules, buf_span(&token), NOW, &claims),
	             JWT_UNKNOWN_KEY);
	key.issuer = 0;
	cr_assert_eq(jwt_check(&rules, buf_span(&token), NOW, &claims), JWT_OK);
	buf_free(&token);
}

Test(jwt, without_configured_issuer_and_audience_neither_is_asked)
{
	struct jwt_key key = { .key = key_of(KEY_ES256),
		               .issuer = JWT_ISSUER_ANY };
	struct jwt_rules rules = { .keys = &key,
		                   .n_keys = 1,
		                   .algs = KEY_ALG_BIT(KEY_ES256) };
	struct jwt_claims claims;
	struct buf token = make(span_str(GOOD_HEADER),
	                        span_str("{" SUB "," EXP "}"), KEY_ES256);

	cr_assert_eq(jwt_check(&rules, buf_span(&token), NOW, &claims), JWT_OK);
	cr_assert_eq(claims.issuer, JWT_ISSUER_ANY);
	buf_free(&token);
}

/* The clock may jump; the arithmetic must not. */
Test(jwt, absurd_clocks_and_skews_are_harmless)
{
	struct jwt_key key = { .key = key_of(KEY_ES256),
		               .issuer = JWT_ISSUER_ANY };
	struct jwt_rules rules = rules_for(&key, 1);
	struct jwt_claims claims;
	struct buf token =
		make(span_str(GOOD_HEADER), span_str(GOOD_CLAIMS), KEY_ES256);

	cr_assert_eq(jwt_check(&rules, buf_span(&token), NOW * 1000, &claims),
	             JWT_EXPIRED);
	cr_assert_eq(jwt_check(&rules, buf_span(&token), 0, &claims), JWT_OK);
	rules.skew_s = UINT32_MAX;
	cr_assert_eq(jwt_check(&rules, buf_span(&token),
	                       NOW + 300 + JWT_SKEW_MAX_S, &claims),
	             JWT_EXPIRED);
	buf_free(&token);
}

Test(jwt, every_result_has_a_sentence_fit_for_a_header)
{
	for (int i = 0; i < JWT_RESULT_COUNT; i++) {
		enum jwt_result result = (enum jwt_result)i;

		cr_assert_not_null(jwt_word(result));
		cr_assert_not_null(jwt_reason(result));
		cr_assert_null(strpbrk(jwt_reason(result), "\"\\"));
		cr_assert_eq(
			strspn(jwt_word(result), "abcdefghijklmnopqrstuvwxyz_"),
			strlen(jwt_word(result)));
	}
}
