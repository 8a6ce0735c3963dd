#include "lib/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz"
			       "0123456789+/";

size_t base64_encode(struct span in, char *out)
{
	const unsigned char *p = (const unsigned char *)in.at;
	char *to = out;

	for (size_t left = in.len; left > 0;) {
		size_t n = MIN(left, 3);
		uint32_t bits = (uint32_t)p[0] << 16;

		if (n > 1)
			bits |= (uint32_t)p[1] << 8;
		if (n > 2)
			bits |= p[2];
		*to++ = alphabet[bits >> 18];
		*to++ = alphabet[bits >> 12 & 63];
		*to++ = n > 1 ? alphabet[bits >> 6 & 63] : '=';
		*to++ = n > 2 ? alphabet[bits & 63] : '=';
		p += n;
		left -= n;
	}
	return (size_t)(to - out);
}

/* Value of a character, or -1. */
static int sextet(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The '=' at the end: they may only be the last one or two characters. */
static size_t padding(struct span text)
{
	if (text.len == 0 || text.at[text.len - 1] != '=')
		return 0;
	return text.at[text.len - 2] == '=' ? 2 : 1;
}

bool base64_decode(struct span text, void *out, size_t *len)
{
	unsigned char *to = out;
	uint32_t bits = 0;
	size_t pad;

	if (text.len % 4 != 0)
		return false;
	pad = padding(text);
	*len = 0;
	for (size_t i = 0; i < text.len - pad; i++) {
		int value = sextet((unsigned char)text.at[i]);

		if (value < 0)
			return false;
		bits = bits << 6 | (unsigned)value;
		if (i % 4 != 0) /* writes behind what it has read */
			to[(*len)++] =
				(unsigned char)(bits >> (6 - 2 * (i % 4)));
	}
	/* Bits past the last byte must be 0, or two texts mean one value. */
	return pad == 0 || (bits & (pad == 2 ? 15 : 3)) == 0;
}
