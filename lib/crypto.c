#include "lib/crypto.h"

#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

#define NONCE_LEN crypto_aead_xchacha20poly1305_ietf_NPUBBYTES

static_assert(CRYPTO_HASH_LEN == crypto_hash_sha256_BYTES, "SHA-256");
static_assert(CRYPTO_KEY_LEN == crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
              "sealing key");
static_assert(CRYPTO_SIPHASH_LEN == crypto_shorthash_KEYBYTES, "SipHash key");
static_assert(CRYPTO_SEAL_EXTRA ==
                      NONCE_LEN + crypto_aead_xchacha20poly1305_ietf_ABYTES,
              "what sealing adds");

/* The library wants a place even for nothing. */
static const unsigned char *bytes_of(struct span s)
{
	return (const unsigned char *)(s.len ? s.at : "");
}

int crypto_init(void)
{
	return sodium_init() < 0 ? -EIO : 0;
}

void crypto_random(void *out, size_t n)
{
	randombytes_buf(out, n);
}

void crypto_sha256(struct span in, uint8_t out[CRYPTO_HASH_LEN])
{
	crypto_hash_sha256(out, bytes_of(in), in.len);
}

void crypto_cache_hash(const uint8_t key[CRYPTO_KEY_LEN], struct span in,
                       uint8_t out[CRYPTO_HASH_LEN])
{
	crypto_generichash(out, CRYPTO_HASH_LEN, bytes_of(in), in.len, key,
	                   CRYPTO_KEY_LEN);
}

void crypto_hmac_sha256(struct span key, struct span in,
                        uint8_t out[CRYPTO_HASH_LEN])
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, bytes_of(key), key.len);
	crypto_auth_hmacsha256_update(&state, bytes_of(in), in.len);
	crypto_auth_hmacsha256_final(&state, out);
	crypto_wipe(&state, sizeof(state));
}

uint64_t crypto_siphash(const uint8_t key[CRYPTO_SIPHASH_LEN], struct span in)
{
	unsigned char out[crypto_shorthash_BYTES];
	uint64_t value;

	crypto_shorthash(out, bytes_of(in), in.len, key);
	memcpy(&value, out, sizeof(value));
	return value;
}

bool crypto_equal(const void *a, const void *b, size_t n)
{
	return sodium_memcmp(a, b, n) == 0;
}

void crypto_wipe(void *at, size_t n)
{
	sodium_memzero(at, n);
}

int crypto_lock_memory(void *at, size_t n)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = (uintptr_t)at & ~(page - 1);
	uintptr_t end = ((uintptr_t)at + n + page - 1) & ~(page - 1);

	if (n == 0)
		return 0;
	/* Not sodium_mlock(): its counterpart would wipe whole pages. */
	if (madvise((void *)first, end - first, MADV_DONTDUMP) < 0)
		return os_error();
	return mlock((void *)first, end - first) < 0 ? os_error() : 0;
}

/*
 * Not the library's base64: its encoder wants room for a NUL that a caller who
 * fills a buffer exactly does not have, and its decoder takes some bytes above
 * 0x7f for letters, so that one value has many spellings.
 */
size_t crypto_base64url_encode(struct span in, char *out)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz0123456789-_";
	char *to = out;
	uint32_t bits = 0;
	unsigned n_bits = 0;

	for (size_t i = 0; i < in.len; i++) {
		bits = bits << 8 | (unsigned char)in.at[i];
		for (n_bits += 8; n_bits >= 6; n_bits -= 6)
			*to++ = alphabet[bits >> (n_bits - 6) & 63];
	}
	if (n_bits)
		*to++ = alphabet[bits << (6 - n_bits) & 63];
	return (size_t)(to - out);
}

/* The value of a character, or 64 and more when it has none. */
static uint32_t digit(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26U;
	if (c >= '0' && c <= '9')
		return c - '0' + 52U;
	return c == '-' ? 62 : c == '_' ? 63 : 64;
}

bool crypto_base64url_decode(struct span text, void *out, size_t cap,
                             size_t *len)
{
	uint8_t *to = out;
	size_t n = text.len / 4 * 3 + text.len % 4 * 3 / 4;
	uint32_t bits = 0;
	unsigned n_bits = 0;

	if (text.len % 4 == 1 || n > cap)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint32_t value = digit((unsigned char)text.at[i]);

		if (value >= 64)
			return false;
		bits = bits << 6 | value;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			*to++ = (uint8_t)(bits >> n_bits);
		}
	}
	*len = n;
	return (bits & ((1U << n_bits) - 1)) == 0;
}

void crypto_hex_encode(struct span in, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < in.len; i++) {
		unsigned char c = (unsigned char)in.at[i];

		*out++ = digits[c >> 4];
		*out++ = digits[c & 15];
	}
}

bool crypto_hex_decode(struct span text, void *out, size_t n)
{
	size_t len;

	return text.len == 2 * n &&
	       sodium_hex2bin(out, n, text.len ? text.at : "", text.len, NULL,
	                      &len, NULL) == 0 &&
	       len == n;
}

size_t crypto_seal(const uint8_t key[CRYPTO_KEY_LEN], struct span in,
                   struct span with, uint8_t *out)
{
	unsigned long long n;

	crypto_random(out, NONCE_LEN);
	crypto_aead_xchacha20poly1305_ietf_encrypt(
		out + NONCE_LEN, &n, bytes_of(in), in.len, bytes_of(with),
		with.len, NULL, out, key);
	return NONCE_LEN + (size_t)n;
}

bool crypto_open(const uint8_t key[CRYPTO_KEY_LEN], struct span sealed,
                 struct span with, uint8_t *out, size_t *len)
{
	unsigned long long n;

	if (sealed.len < CRYPTO_SEAL_EXTRA)
		return false;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(
		    out, &n, NULL, bytes_of(sealed) + NONCE_LEN,
		    sealed.len - NONCE_LEN, bytes_of(with), with.len,
		    bytes_of(sealed), key) < 0)
		return false;
	*len = (size_t)n;
	return true;
}
