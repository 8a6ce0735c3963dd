#include "lib/text.h"

/* What the byte after a backslash stands for; 0 for u and for no escape. */
const char text_escapes[256] = {
	['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
	['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};

/* The value of a hexadecimal digit plus one; 0 for any other byte. */
const uint8_t text_hexes[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
	['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

/* The value of four hexadecimal digits, or TEXT_NO_POINT. */
static uint32_t hex_unit(struct span s)
{
	uint32_t unit = 0;

	if (s.len < 4)
		return TEXT_NO_POINT;
	for (size_t i = 0; i < 4; i++) {
		int digit = text_hex_digit(s.at[i]);

		if (digit < 0)
			return TEXT_NO_POINT;
		unit = unit << 4 | (uint32_t)digit;
	}
	return unit;
}

uint32_t text_take_escape(struct span *s)
{
	uint32_t high, low;

	if (s->len < 2)
		return TEXT_NO_POINT;
	if (s->at[1] != 'u') {
		char c = text_unescape(s->at[1]);

		*s = span_from(*s, 2);
		return c ? (unsigned char)c : TEXT_NO_POINT;
	}
	high = hex_unit(span_from(*s, 2));
	*s = span_from(*s, 6);
	if (!text_is_high(high))
		return text_is_low(high) ? TEXT_NO_POINT : high;
	if (s->len < 6 || s->at[0] != '\\' || s->at[1] != 'u')
		return TEXT_NO_POINT;
	low = hex_unit(span_from(*s, 2));
	*s = span_from(*s, 6);
	if (!text_is_low(low))
		return TEXT_NO_POINT;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}
