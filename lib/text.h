/*
 * text - what all that reads JSON text (RFC 8259) byte by byte has in common:
 * white space, wide steps over strings, escapes.
 */
#ifndef LIB_TEXT_H
#define LIB_TEXT_H

#if defined(__SSE2__) && !defined(TEXT_PORTABLE)
#include <emmintrin.h>
#define TEXT_WIDE 16
#else
#define TEXT_WIDE 8
#endif

#include "lib/base.h"
#include "lib/span.h"

/* No character, so equal to none. */
#define TEXT_NO_POINT UINT32_MAX

/*
 * Wide steps. In a string the common byte is ASCII that stands for itself; we
 * look at 16 (or 8) bytes at once for any other. The steps stay inside the
 * span: its last bytes go one by one.
 */
static inline bool text_is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

#if TEXT_WIDE == 16
/* A bit for each of 16 bytes; the signed order has 0x80.. below 0x20 too. */
static inline unsigned text_special(const char *p, bool checked)
{
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i hit = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')),
	                           _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));

	if (!checked)
		hit = _mm_or_si128(hit, _mm_cmplt_epi8(x, _mm_set1_epi8(0x20)));
	return (unsigned)_mm_movemask_epi8(hit);
}

static inline const char *text_first_special(const char *p, unsigned hits)
{
	return p + __builtin_ctz(hits);
}
#else
#define TEXT_EACH(byte) (UINT64_MAX / 255 * (byte))

/* Not 0 when one of 8 bytes is special. */
static inline unsigned text_special(const char *p, bool checked)
{
	uint64_t x, quote, backslash, hit;

	memcpy(&x, p, sizeof(x));
	quote = x ^ TEXT_EACH('"');
	backslash = x ^ TEXT_EACH('\\');
	hit = ((quote - TEXT_EACH(1)) & ~quote) |
	      ((backslash - TEXT_EACH(1)) & ~backslash);
	if (!checked)
		hit |= ((x - TEXT_EACH(0x20)) & ~x) | x;
	return (hit & TEXT_EACH(0x80)) != 0;
}

/* Byte by byte, so that the order of bytes in a word does not matter. */
static inline const char *text_first_special(const char *p, unsigned hits)
{
	(void)hits;
	while (text_is_plain((unsigned char)*p))
		p++;
	return p;
}
#endif

/* The first byte of a string that does not stand for itself, or end. */
static inline const char *text_skip_plain(const char *p, const char *end)
{
	for (; end - p >= TEXT_WIDE; p += TEXT_WIDE) {
		unsigned hits = text_special(p, false);

		if (hits)
			return text_first_special(p, hits);
	}
	while (p < end && text_is_plain((unsigned char)*p))
		p++;
	return p;
}

/* The next quote or backslash of a text that has been checked, or end. */
static inline const char *text_skip_checked(const char *p, const char *end)
{
	for (; end - p >= TEXT_WIDE; p += TEXT_WIDE) {
		unsigned hits = text_special(p, true);

		if (hits) {
			p = text_first_special(p, hits);
			break;
		}
	}
	while (p < end && *p != '"' && *p != '\\')
		p++;
	return p;
}

static inline bool text_is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *text_skip_space(const char *p, const char *end)
{
	while (p < end && text_is_space(*p))
		p++;
	return p;
}

extern const char text_escapes[256];

/* What the byte after a backslash stands for; 0 for u and for no escape. */
static inline char text_unescape(char c)
{
	return text_escapes[(unsigned char)c];
}

extern const uint8_t text_hexes[256];

/* The value of a hexadecimal digit; -1 for any other byte. */
static inline int text_hex_digit(char c)
{
	return text_hexes[(unsigned char)c] - 1;
}

static inline bool text_is_high(uint32_t unit)
{
	return unit >= 0xd800 && unit <= 0xdbff;
}

static inline bool text_is_low(uint32_t unit)
{
	return unit >= 0xdc00 && unit <= 0xdfff;
}

/* The character of an escape at the front of *s, which moves past it, past
 * both halves of a surrogate pair; TEXT_NO_POINT if it is broken. */
uint32_t text_take_escape(struct span *s);

#endif
