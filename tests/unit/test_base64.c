#include "lib/base64.h"

#include <criterion/criterion.h>

/* RFC 4648, section 10, and bytes that need the last two characters. */
static const struct {
	const char *bytes, *text;
} pairs[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
	{ "\xfb\xef\xbe\xff", "++++/w==" },
	{ "\xff\xff\xff", "////" },
};

static const char *const refused[] = {
	"Z",        "Zg",       "Zg=",        "Zg===", "=",     "==",
	"====",     "Z===",     "Zh==",       "Zm9=",  "Zm 8=", "Zm8=\n",
	"Zm8=Zm8=", "Zg==Zg==", "=Zg=",       "Z=g=",  "Zm-v",  "Zm_v",
	"Zm9v====", "Zm9vYg",   "\xc3\xa9==", "Zm9.",
};

Test(base64, both_ways)
{
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct span bytes = span_str(pairs[i].bytes);
		char text[16], back[BASE64_BYTES(16)];
		size_t len = 99;

		cr_assert_eq(base64_encode(bytes, text), BASE64_LEN(bytes.len));
		cr_assert(span_is(span_of(text, BASE64_LEN(bytes.len)),
		                  pairs[i].text));
		cr_assert(base64_decode(span_str(pairs[i].text), back, &len));
		cr_assert(span_eq(span_of(back, len), bytes));
	}
}

/* Every value has one text: anything else is refused. */
Test(base64, is_strict)
{
	char out[16];
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		cr_assert(!base64_decode(span_str(refused[i]), out, &len), "%s",
		          refused[i]);
	cr_assert(!base64_decode(span_of("Zm\0v", 4), out, &len));
}

Test(base64, decodes_in_place)
{
	char text[] = "Zm9vYmE=";
	size_t len;

	cr_assert(base64_decode(span_str(text), text, &len));
	cr_assert(span_is(span_of(text, len), "fooba"));
}
