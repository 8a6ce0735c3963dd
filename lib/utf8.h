/*
 * utf8 - is this UTF-8, as RFC 3629 has it: shortest form, no surrogates, at
 * most U+10FFFF.
 */
#ifndef LIB_UTF8_H
#define LIB_UTF8_H

#include "lib/span.h"

/*
 * Bytes of the well-formed character that s begins with: 1 to 4, or 0 when it
 * begins with none (or is empty).
 */
static inline size_t utf8_len(struct span s)
{
	const unsigned char *p = (const unsigned char *)s.at;
	unsigned char low = 0x80, high = 0xbf; /* range of the second byte */
	size_t n;

	if (s.len == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (s.len < n)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

#endif
