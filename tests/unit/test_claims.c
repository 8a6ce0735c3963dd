#include "oci/claims.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "lib/buf.h"
#include "lib/crypto.h"

static char token[8192];

static struct span make(const char *claims)
{
	char payload[8000];
	size_t n = crypto_base64url_encode(span_str(claims), payload);
	int len = snprintf(token, sizeof(token), "e30.%.*s.c2ln", (int)n,
	                   payload);

	return span_of(token, (size_t)len);
}

Test(claims, times_and_words)
{
	struct claims c;

	cr_assert(claims_read(make("{\"exp\":1700000000.5,\"iat\":5,"
	                           "\"sub\":\"s\",\"res_id\":\"r\","
	                           "\"tenant\":\"t\",\"res_tenant\":\"rt\"}"),
	                      &c));
	cr_assert_eq(c.expires_s, 1700000000);
	cr_assert_eq(c.issued_s, 5);
	cr_assert_str_eq(c.subject, "r");
	cr_assert_str_eq(c.tenancy, "rt");
	cr_assert_not(c.has_key);
}

Test(claims, the_prefix_is_no_part_of_it)
{
	struct claims c;
	char prefixed[9000];

	snprintf(prefixed, sizeof(prefixed), "ST$%s", make("{\"exp\":7}").at);
	cr_assert(claims_read(span_str(prefixed), &c));
	cr_assert_eq(c.expires_s, 7);
}

Test(claims, what_is_no_token)
{
	static const char *const texts[] = {
		"",        "a",         "a.b", "..", "a.!.c", "e30.bnVsbA.c",
		"e30.e30", "e30.W10.x",
	};
	static const char *const bad[] = {
		"[]", "{\"exp\":\"1\"}", "{\"exp\":-1}", "{\"iat\":1e300}", "{",
	};
	struct claims c;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		cr_assert_not(claims_read(span_str(texts[i]), &c), "%s",
		              texts[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_assert_not(claims_read(make(bad[i]), &c), "%s", bad[i]);
	cr_assert(claims_read(make("{}"), &c));
	cr_assert_eq(c.expires_s, 0);
}

/* Write the modulus of a key's DER, of 2048 bits, as a JWK. */
static void write_jwk(const struct key *key, char *out, size_t size)
{
	struct buf der = { .max = KEY_DER_MAX };
	char n[400];

	cr_assert_eq(key_to_der(key, &der), 0);
	/* ... 00 n[256] 02 03 01 00 01 */
	size_t len = crypto_base64url_encode(
		span_of(der.bytes + der.len - 5 - 256, 256), n);
	snprintf(out, size, "{\"kty\":\"RSA\",\"n\":\"%.*s\",\"e\":\"AQAB\"}",
	         (int)len, n);
	buf_free(&der);
}

Test(claims, the_key_of_a_token_is_compared)
{
	struct key *key = NULL, *other = NULL;
	char jwk[1000], claims[4000];
	struct claims c;

	cr_assert_eq(crypto_init(), 0);
	cr_assert_eq(key_generate(KEY_RS256, &key), 0);
	cr_assert_eq(key_generate(KEY_RS256, &other), 0);
	write_jwk(key, jwk, sizeof(jwk));

	snprintf(claims, sizeof(claims), "{\"jwk\":%s}", jwk);
	cr_assert(claims_read(make(claims), &c));
	cr_assert(c.has_key);
	cr_assert(claims_match(&c, key));
	cr_assert_not(claims_match(&c, other));

	struct buf text = { .max = sizeof(claims) };
	buf_puts(&text, "{\"jwk\":");
	buf_add_json(&text, span_str(jwk));
	buf_puts(&text, "}");
	buf_putc(&text, '\0');
	cr_assert(claims_read(make(text.bytes), &c));
	cr_assert(claims_match(&c, key));
	cr_assert_not(claims_match(&c, other));
	buf_free(&text);

	cr_assert(claims_read(make("{\"jwk\":\"nonsense\"}"), &c));
	cr_assert_not(c.has_key);
	cr_assert(claims_match(&c, other));
	key_free(key);
	key_free(other);
}
