#include "auth/statictoken.h"

#include <criterion/criterion.h>

static void setup(void)
{
	cr_assert_eq(crypto_init(), 0);
}

TestSuite(statictoken, .init = setup);

#define ABC_HASH \
	"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static const struct {
	const char *text;
	bool good;
} texts[] = {
	{ "abc", true },
	{ "abc.DEF-123_~+/==", true },
	{ "sha256:" ABC_HASH, true },
	{ "sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F200"
	  "15AD",
	  true },
	{ "", false },
	{ "with space", false },
	{ "quote\"", false },
	{ "new\nline", false },
	{ "\xc3\xbcml", false },
	{ "colon:no", false },
	{ "sha256:", false },
	{ "sha256:abc", false },
	{ "sha256:" ABC_HASH "00", false },
	{ "sha256:zz7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f200"
	  "15ad",
	  false },
};

Test(statictoken, both_forms)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		uint8_t hash[CRYPTO_HASH_LEN];

		cr_assert_eq(statictoken_parse(span_str(texts[i].text), hash),
		             texts[i].good, "%s", texts[i].text);
	}
}

Test(statictoken, length_limit)
{
	static char text[STATICTOKEN_MAX + 1];
	uint8_t hash[CRYPTO_HASH_LEN];

	memset(text, 'a', sizeof(text));
	cr_assert(statictoken_parse(span_of(text, STATICTOKEN_MAX), hash));
	cr_assert_not(
		statictoken_parse(span_of(text, STATICTOKEN_MAX + 1), hash));
}

Test(statictoken, clear_and_hashed_are_the_same_token)
{
	uint8_t clear[CRYPTO_HASH_LEN], hashed[CRYPTO_HASH_LEN];
	char text[STATICTOKEN_TEXT_LEN];

	statictoken_text(SPAN("abc"), text);
	cr_assert(span_is(span_of(text, sizeof(text)), "sha256:" ABC_HASH));
	cr_assert(statictoken_is_hashed(span_of(text, sizeof(text))));
	cr_assert_not(statictoken_is_hashed(SPAN("abc")));
	cr_assert(statictoken_parse(SPAN("abc"), clear));
	cr_assert(statictoken_parse(span_of(text, sizeof(text)), hashed));
	cr_assert(crypto_equal(clear, hashed, sizeof(clear)));
}

Test(statictoken, the_right_row_is_found)
{
	struct statictoken rows[3] = {
		{ .index = 7 },
		{ .index = 0 },
		{ .index = UINT32_MAX },
	};
	uint32_t index = 42;

	cr_assert(statictoken_parse(SPAN("one"), rows[0].hash));
	cr_assert(statictoken_parse(SPAN("two"), rows[1].hash));
	cr_assert(statictoken_parse(SPAN("sha256:" ABC_HASH), rows[2].hash));

	cr_assert_not(statictoken_find(rows, 3, SPAN("four"), &index));
	cr_assert_not(statictoken_find(rows, 3, SPAN(""), &index));
	cr_assert_not(statictoken_find(rows, 0, SPAN("one"), &index));
	cr_assert_eq(index, 42);

	cr_assert(statictoken_find(rows, 3, SPAN("one"), &index));
	cr_assert_eq(index, 7);
	cr_assert(statictoken_find(rows, 3, SPAN("two"), &index));
	cr_assert_eq(index, 0);
	cr_assert(statictoken_find(rows, 3, SPAN("abc"), &index));
	cr_assert_eq(index, UINT32_MAX);
}

/* Who has read the configuration must not be able to log in with it. */
Test(statictoken, the_hash_is_not_a_token)
{
	struct statictoken row = { .index = 1 };
	uint32_t index;

	cr_assert(statictoken_parse(SPAN("sha256:" ABC_HASH), row.hash));
	cr_assert_not(
		statictoken_find(&row, 1, SPAN("sha256:" ABC_HASH), &index));
	cr_assert_not(statictoken_find(&row, 1, SPAN(ABC_HASH), &index));
}
