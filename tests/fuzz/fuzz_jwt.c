#include <stdlib.h>

#include "auth/jwt.h"
#include "lib/buf.h"
#include "lib/crypto.h"

#define NOW_S 1790000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct jwt_key *fixed_key(void)
{
	static const uint8_t x[32] = "\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b"
				     "\xfe\xd3\xc9\x64\x07\x3a\x0e\xe1\x72\xf3"
				     "\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07"
				     "\x51\x1a";
	static struct jwt_key row = { .issuer = JWT_ISSUER_ANY };
	struct key *key;
	const char *why;

	if (row.key)
		return &row;
	if (crypto_init() < 0 ||
	    key_from_curve(SPAN("Ed25519"), span_of(x, sizeof(x)),
	                   (struct span){ 0 }, &key, &why) < 0)
		abort();
	row.key = key;
	return &row;
}

static void add_part(struct buf *token, struct span json)
{
	char *to = NULL;

	if (json.len)
		to = buf_reserve(token, CRYPTO_BASE64URL_LEN(json.len));
	if (to)
		buf_commit(token, crypto_base64url_encode(json, to));
	buf_putc(token, '.');
}

/* With a newline: header and claims, still to be encoded. Without: a token. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jwt_rules rules = { .keys = fixed_key(),
		                   .n_keys = 1,
		                   .algs = KEY_ALG_ALL,
		                   .skew_s = 60 };
	struct span in = span_of(data, size);
	size_t head = size ? span_find(in, '\n') : 0;
	struct buf token = { .max = 2 * JWT_MAX };
	struct jwt_claims claims;

	if (head < size) {
		add_part(&token, span_first(in, head));
		add_part(&token, span_from(in, head + 1));
		buf_puts(&token, "AAAA");
		in = buf_span(&token);
	}
	/* Nobody here can sign: an accepted token is a forged one. */
	if (jwt_check(&rules, in, NOW_S, &claims) == JWT_OK)
		abort();
	buf_free(&token);
	return 0;
}
