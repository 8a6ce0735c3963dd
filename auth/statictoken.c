#include "auth/statictoken.h"

static const struct span HASHED = { "sha256:", 7 };

/* b64token of RFC 6750, section 2.1. */
static bool is_token_char(unsigned char c)
{
	unsigned char lower = ascii_lower(c);

	return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("-._~+/=", c));
}

static bool is_clear_token(struct span text)
{
	if (text.len == 0 || text.len > STATICTOKEN_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!is_token_char((unsigned char)text.at[i]))
			return false;
	return true;
}

bool statictoken_is_hashed(struct span text)
{
	return span_starts(text, HASHED);
}

bool statictoken_parse(struct span text, uint8_t out[CRYPTO_HASH_LEN])
{
	if (statictoken_is_hashed(text))
		return crypto_hex_decode(span_from(text, HASHED.len), out,
		                         CRYPTO_HASH_LEN);
	if (!is_clear_token(text))
		return false;
	crypto_sha256(text, out);
	return true;
}

void statictoken_text(struct span token, char out[STATICTOKEN_TEXT_LEN])
{
	uint8_t hash[CRYPTO_HASH_LEN];

	crypto_sha256(token, hash);
	memcpy(out, HASHED.at, HASHED.len);
	crypto_hex_encode(span_of(hash, sizeof(hash)), out + HASHED.len);
}

bool statictoken_find(const struct statictoken *rows, size_t n_rows,
                      struct span token, uint32_t *index)
{
	uint8_t hash[CRYPTO_HASH_LEN];
	uint32_t found = 0;
	uint32_t any = 0;

	crypto_sha256(token, hash);
	for (size_t i = 0; i < n_rows; i++) {
		bool same = crypto_equal(rows[i].hash, hash, sizeof(hash));
		uint32_t mask = 0U - (uint32_t)same;

		/* A mask and no branch: matching costs what missing does. */
		found = (found & ~mask) | (rows[i].index & mask);
		any |= mask;
	}
	if (any)
		*index = found;
	return any != 0;
}
