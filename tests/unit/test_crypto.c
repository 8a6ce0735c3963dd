#include "lib/crypto.h"

#include <criterion/criterion.h>
#include <sys/mman.h>
#include <unistd.h>

static void setup(void)
{
	cr_assert_eq(crypto_init(), 0);
}

TestSuite(crypto, .init = setup);

static void hex_is(const uint8_t *bytes, size_t n, const char *expect)
{
	char hex[2 * 64];

	crypto_hex_encode(span_of(bytes, n), hex);
	cr_assert(span_is(span_of(hex, 2 * n), expect), "%.*s, not %s",
	          (int)(2 * n), hex, expect);
}

/* FIPS 180-4 examples. */
Test(crypto, sha256)
{
	uint8_t hash[CRYPTO_HASH_LEN];

	crypto_sha256(SPAN("abc"), hash);
	hex_is(hash, sizeof(hash),
	       "ba7816bf8f01cfea414140de5dae2223"
	       "b00361a396177a9cb410ff61f20015ad");
	crypto_sha256((struct span){ 0 }, hash);
	hex_is(hash, sizeof(hash),
	       "e3b0c44298fc1c149afbf4c8996fb924"
	       "27ae41e4649b934ca495991b7852b855");
}

/* RFC 4231, test case 2, and a key longer than a block: test case 6. */
Test(crypto, hmac_sha256)
{
	uint8_t mac[CRYPTO_HASH_LEN], key[131];

	crypto_hmac_sha256(SPAN("Jefe"), SPAN("what do ya want for nothing?"),
	                   mac);
	hex_is(mac, sizeof(mac),
	       "5bdcc146bf60754e6a042426089575c7"
	       "5a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	crypto_hmac_sha256(
		span_of(key, sizeof(key)),
		SPAN("Test Using Larger Than Block-Size Key - Hash Key First"),
		mac);
	hex_is(mac, sizeof(mac),
	       "60e431591ee0b67f0d8a26aacbf5b77f"
	       "8e0bc6213728c5140546040f0ee37f54");
}

Test(crypto, cache_hash_depends_on_key_and_input)
{
	uint8_t key[CRYPTO_KEY_LEN] = { 1 };
	uint8_t a[CRYPTO_HASH_LEN], b[CRYPTO_HASH_LEN];

	crypto_cache_hash(key, SPAN("token"), a);
	crypto_cache_hash(key, SPAN("token"), b);
	cr_assert(crypto_equal(a, b, sizeof(a)));
	crypto_cache_hash(key, SPAN("tokem"), b);
	cr_assert_not(crypto_equal(a, b, sizeof(a)));
	key[0] = 2;
	crypto_cache_hash(key, SPAN("token"), b);
	cr_assert_not(crypto_equal(a, b, sizeof(a)));
	crypto_cache_hash(key, (struct span){ 0 }, b);
}

/* The vectors of the SipHash paper: key 00..0f, input of n bytes 00..n-1. */
Test(crypto, siphash)
{
	uint8_t key[CRYPTO_SIPHASH_LEN], in[15];

	for (uint8_t i = 0; i < sizeof(key); i++)
		key[i] = i;
	for (uint8_t i = 0; i < sizeof(in); i++)
		in[i] = i;
	cr_assert_eq(crypto_siphash(key, span_of(in, sizeof(in))),
	             UINT64_C(0xa129ca6149be45e5));
	cr_assert_eq(crypto_siphash(key, (struct span){ 0 }),
	             UINT64_C(0x726fdb47dd0e0e31));
}

Test(crypto, random_bytes_differ)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	crypto_random(a, sizeof(a));
	crypto_random(b, sizeof(b));
	cr_assert_not(crypto_equal(a, b, sizeof(a)));
}

Test(crypto, equal)
{
	cr_assert(crypto_equal("abc", "abc", 3));
	cr_assert_not(crypto_equal("abc", "abd", 3));
	cr_assert(crypto_equal("abc", "abd", 2));
	cr_assert(crypto_equal("a", "b", 0));
}

Test(crypto, wipe)
{
	char secret[] = "secret";

	crypto_wipe(secret, sizeof(secret));
	for (size_t i = 0; i < sizeof(secret); i++)
		cr_assert_eq(secret[i], 0);
}

Test(crypto, lock_memory_takes_any_place)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *at = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(at, MAP_FAILED);
	int err = crypto_lock_memory(at + page - 16, 32);
	cr_assert(err == 0 || err == -ENOMEM || err == -EPERM ||
	          err == -EAGAIN);
	cr_assert_eq(crypto_lock_memory(at, 0), 0);
	munmap(at, 2 * page);
}

static const struct {
	const char *bytes;
	size_t len;
	const char *text;
} pairs[] = {
	{ "", 0, "" },
	{ "f", 1, "Zg" },
	{ "fo", 2, "Zm8" },
	{ "foo", 3, "Zm9v" },
	{ "foob", 4, "Zm9vYg" },
	{ "fooba", 5, "Zm9vYmE" },
	{ "foobar", 6, "Zm9vYmFy" },
	{ "\xfb\xff\xfe", 3, "-__-" },
	{ "\0\0", 2, "AAA" },
};

Test(crypto, base64url_both_ways)
{
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct span bytes = span_of(pairs[i].bytes, pairs[i].len);
		struct span text = span_str(pairs[i].text);
		char out[16];
		size_t len;

		cr_assert_eq(CRYPTO_BASE64URL_LEN(bytes.len), text.len);
		cr_assert_eq(crypto_base64url_encode(bytes, out), text.len);
		cr_assert(span_eq(span_of(out, text.len), text));
		cr_assert(crypto_base64url_decode(text, out, bytes.len, &len));
		cr_assert(span_eq(span_of(out, len), bytes));
		if (bytes.len)
			cr_assert_not(crypto_base64url_decode(
				text, out, bytes.len - 1, &len));
	}
}

static const char *const not_base64url[] = {
	"Zg==",   "Zg=",  "Z",    "Zm9vY", "Zh", "Zm9",        "Zm 9v",
	"Zm9v\n", "+__-", "/__-", "Zm9v.", "=",  "Zm\xc3\xa9", "A===",
};

Test(crypto, base64url_is_strict)
{
	for (size_t i = 0; i < ARRAY_LEN(not_base64url); i++) {
		char out[16];
		size_t len;

		cr_assert_not(
			crypto_base64url_decode(span_str(not_base64url[i]), out,
		                                sizeof(out), &len),
			"%s", not_base64url[i]);
	}
}

/* Every byte that is not of the alphabet, in every place. */
Test(crypto, base64url_knows_its_alphabet)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz0123456789-_";

	for (int c = 0; c < 256; c++)
		for (size_t at = 0; at < 4; at++) {
			char text[] = "AAAA", out[3];
			size_t len;

			text[at] = (char)c;
			cr_assert_eq(crypto_base64url_decode(span_of(text, 4),
			                                     out, 3, &len),
			             c && strchr(alphabet, c), "%d", c);
		}
}

Test(crypto, hex)
{
	uint8_t out[2];

	cr_assert(crypto_hex_decode(SPAN("0aF9"), out, 2));
	cr_assert_eq(out[0], 0x0a);
	cr_assert_eq(out[1], 0xf9);
	cr_assert_not(crypto_hex_decode(SPAN("0aF"), out, 2));
	cr_assert_not(crypto_hex_decode(SPAN("0aF900"), out, 2));
	cr_assert_not(crypto_hex_decode(SPAN("0aFg"), out, 2));
	cr_assert_not(crypto_hex_decode(SPAN("0a:9"), out, 2));
	for (int c = 0; c < 256; c++) {
		char text[] = "00";

		text[1] = (char)c;
		cr_assert_eq(crypto_hex_decode(span_of(text, 2), out, 1),
		             c && strchr("0123456789abcdefABCDEF", c));
	}
}

Test(crypto, sealed_opens_with_the_same_key_and_context_only)
{
	uint8_t key[CRYPTO_KEY_LEN], other[CRYPTO_KEY_LEN];
	struct span in = SPAN("session of alice"), with = SPAN("alice");
	uint8_t sealed[64 + CRYPTO_SEAL_EXTRA], out[64];
	size_t len;

	crypto_random(key, sizeof(key));
	crypto_random(other, sizeof(other));
	size_t n = crypto_seal(key, in, with, sealed);
	cr_assert_eq(n, in.len + CRYPTO_SEAL_EXTRA);

	cr_assert(crypto_open(key, span_of(sealed, n), with, out, &len));
	cr_assert(span_eq(span_of(out, len), in));
	cr_assert_not(crypto_open(other, span_of(sealed, n), with, out, &len));
	cr_assert_not(crypto_open(key, span_of(sealed, n), SPAN("mallory"), out,
	                          &len));
	cr_assert_not(crypto_open(key, span_of(sealed, n), (struct span){ 0 },
	                          out, &len));
}

Test(crypto, no_byte_of_a_sealed_message_may_change)
{
	uint8_t key[CRYPTO_KEY_LEN] = { 7 };
	uint8_t sealed[8 + CRYPTO_SEAL_EXTRA], out[8];
	size_t len;
	size_t n = crypto_seal(key, SPAN("payload!"), SPAN("ctx"), sealed);

	for (size_t i = 0; i < n; i++) {
		sealed[i] ^= 0x40;
		cr_assert_not(crypto_open(key, span_of(sealed, n), SPAN("ctx"),
		                          out, &len));
		sealed[i] ^= 0x40;
	}
	for (size_t cut = 0; cut < n; cut++)
		cr_assert_not(crypto_open(key, span_of(sealed, cut),
		                          SPAN("ctx"), out, &len));
	cr_assert(crypto_open(key, span_of(sealed, n), SPAN("ctx"), out, &len));
}

Test(crypto, sealing_twice_gives_two_texts)
{
	uint8_t key[CRYPTO_KEY_LEN] = { 7 };
	uint8_t a[CRYPTO_SEAL_EXTRA], b[CRYPTO_SEAL_EXTRA], out[1];
	size_t len;

	crypto_seal(key, (struct span){ 0 }, (struct span){ 0 }, a);
	crypto_seal(key, (struct span){ 0 }, (struct span){ 0 }, b);
	cr_assert_not(crypto_equal(a, b, sizeof(a)));
	cr_assert(crypto_open(key, span_of(a, sizeof(a)), (struct span){ 0 },
	                      out, &len));
	cr_assert_eq(len, 0);
}
