#include "oci/pass.h"

#include <stdlib.h>

#include "lib/crypto.h"

#define TOKEN_HEAD SPAN("ST$")

struct pass *pass_new(enum credential_method method)
{
	struct pass *pass = calloc(1, sizeof(*pass));

	if (!pass)
		return NULL;
	do
		crypto_random(&pass->generation, sizeof(pass->generation));
	while (pass->generation == 0);
	pass->method = method;
	pass->key_id.max = PASS_TOKEN_MAX + TOKEN_HEAD.len;
	pass->delegate.max = PASS_TOKEN_MAX;
	return pass;
}

void pass_wipe(struct buf *secret)
{
	if (secret->bytes)
		crypto_wipe(secret->bytes, secret->cap);
	buf_free(secret);
}

void pass_free(struct pass *pass)
{
	if (!pass)
		return;
	key_free(pass->key);
	pass_wipe(&pass->key_id);
	pass_wipe(&pass->delegate);
	crypto_wipe(pass, sizeof(*pass));
	free(pass);
}

void pass_set_token(struct pass *pass, struct span token)
{
	if (!span_starts(token, TOKEN_HEAD))
		buf_add_span(&pass->key_id, TOKEN_HEAD);
	buf_add_span(&pass->key_id, token);
}

void pass_set_word(char *word, size_t size, struct span text)
{
	size_t n = MIN(text.len, size - 1);

	if (n)
		memcpy(word, text.at, n);
	word[n] = '\0';
}

void pass_set_claims(struct pass *pass, const struct claims *claims,
                     int64_t now_s)
{
	int64_t begun_s = claims->issued_s ? claims->issued_s : now_s;
	int64_t life_s = MAX(claims->expires_s - begun_s, 0);

	if (*claims->tenancy)
		pass_set_word(pass->tenancy, sizeof(pass->tenancy),
		              span_str(claims->tenancy));
	if (*claims->subject)
		pass_set_word(pass->subject, sizeof(pass->subject),
		              span_str(claims->subject));
	pass->expires_s = claims->expires_s;
	if (claims->expires_s)
		pass->renew_s =
			claims->expires_s - MIN(life_s / 2, PASS_MARGIN_S);
}
