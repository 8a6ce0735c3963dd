#include "lib/scan.h"

#include <limits.h>

#if defined(__SSE2__) && !defined(SCAN_PORTABLE)
#include <emmintrin.h>
#define WIDE 16
#else
#define WIDE 8
#endif

#include "lib/utf8.h"

/* What the end of a piece may cut. Those from MINUS on are numbers. */
enum token {
	NONE,
	TEXT,         /* in a string */
	ESCAPE,       /* after a backslash */
	HEX,          /* in the digits of \u */
	PAIR,         /* after a high surrogate, a backslash must come */
	PAIR_U,       /* and then u */
	CONTINUATION, /* in a UTF-8 character */
	LITERAL,
	MINUS,
	ZERO,
	INTEGER,
	POINT,
	FRACTION,
	EXPONENT,
	SIGN,
	POWER,
	N_TOKENS,
};

/* What must come next between tokens, after white space. */
enum expect {
	VALUE,
	ANNOUNCED,   /* a value whose beginning the stream has been told */
	FIRST_VALUE, /* or the end of an empty array */
	FIRST_KEY,   /* or the end of an empty object */
	KEY,
	COLON,
	AFTER, /* a comma or the end of the container */
	NOTHING,
};

/* Why the engine stops before the piece is used up. */
enum stop {
	GO,
	AT_BEGIN, /* before the value of a streamed row */
	AT_CLOSE, /* behind the closing brace of one */
	AT_END,   /* behind the value of one */
	REFUSED,
};

/* Row numbers inside the engine: 0 is the root, i + 1 is want[i]. */
enum { ROOT_ROW = 0, NO_ROW = 0xff };

static_assert(SCAN_WANT_MAX < NO_ROW, "a row fits its byte");
static_assert(SCAN_DEPTH_MAX < UINT8_MAX, "a level fits its byte");

enum reason {
	FINE,
	BAD_VALUE,
	BAD_KEY,
	BAD_COLON,
	BAD_AFTER,
	BAD_TRAILER,
	BAD_MARK,
	BAD_CONTROL,
	BAD_ESCAPE,
	BAD_HEX,
	BAD_NUMBER,
	BAD_LITERAL,
	BAD_PAIR,
	BAD_UTF8,
	TOO_DEEP,
	TOO_SHORT,
	DUPLICATE, /* from here on it is a name that is refused */
	FOLDED,
	ESCAPED,
	N_REASONS,
};

/* clang-format off */
static const struct verdict {
	enum scan_result result;
	const char *text;
} verdicts[N_REASONS] = {
	[FINE]        = { SCAN_OK,        "" },
	[BAD_VALUE]   = { SCAN_SYNTAX,    "no value begins like this" },
	[BAD_KEY]     = { SCAN_SYNTAX,    "a name in quotes must stand here" },
	[BAD_COLON]   = { SCAN_SYNTAX,    "a colon must follow the name" },
	[BAD_AFTER]   = { SCAN_SYNTAX,    "neither a comma nor the right "
	                                  "closing bracket" },
	[BAD_TRAILER] = { SCAN_SYNTAX,    "something follows the value" },
	[BAD_MARK]    = { SCAN_SYNTAX,    "the text begins with a byte order "
	                                  "mark or in another encoding" },
	[BAD_CONTROL] = { SCAN_SYNTAX,    "a control character in a string "
	                                  "must be escaped" },
	[BAD_ESCAPE]  = { SCAN_SYNTAX,    "there is no such escape" },
	[BAD_HEX]     = { SCAN_SYNTAX,    "\\u needs four hexadecimal digits" },
	[BAD_NUMBER]  = { SCAN_SYNTAX,    "a number is not written like this" },
	[BAD_LITERAL] = { SCAN_SYNTAX,    "only true, false and null are words" },
	[BAD_PAIR]    = { SCAN_SURROGATE, "half of a surrogate pair" },
	[BAD_UTF8]    = { SCAN_UTF8,      "the string is not UTF-8" },
	[TOO_DEEP]    = { SCAN_DEPTH,     "too many levels inside each other" },
	[TOO_SHORT]   = { SCAN_TRUNCATED, "the text ends too early" },
	[DUPLICATE]   = { SCAN_DUPLICATE_KEY, "the name stands here twice" },
	[FOLDED]      = { SCAN_FOLDED_KEY,    "the name differs from a known "
	                                      "one only in case" },
	[ESCAPED]     = { SCAN_ESCAPED_KEY,   "a known name must be written "
	                                      "without escapes" },
};
/* clang-format on */

static const char *refuse(struct scan_engine *s, const char *p,
                          enum reason reason)
{
	s->refused = reason;
	s->stop = REFUSED;
	s->why.offset = reason >= DUPLICATE ? s->name_offset
	                                    : s->base + (size_t)(p - s->piece);
	s->why.text = verdicts[reason].text;
	return p;
}

/*
 * Wide steps. In a string the common byte is ASCII that stands for itself; we
 * look at 16 (or 8) bytes at once for any other. The steps stay inside the
 * span: its last bytes go one by one.
 */
static inline bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

#if WIDE == 16
/* A bit for each of 16 bytes; the signed order has 0x80.. below 0x20 too. */
static inline unsigned special(const char *p, bool checked)
{
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i hit = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')),
	                           _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));

	if (!checked)
		hit = _mm_or_si128(hit, _mm_cmplt_epi8(x, _mm_set1_epi8(0x20)));
	return (unsigned)_mm_movemask_epi8(hit);
}

static inline const char *first_special(const char *p, unsigned hits)
{
	return p + __builtin_ctz(hits);
}
#else
#define EACH(byte) (UINT64_MAX / 255 * (byte))

/* Not 0 when one of 8 bytes is special. */
static inline unsigned special(const char *p, bool checked)
{
	uint64_t x, quote, backslash, hit;

	memcpy(&x, p, sizeof(x));
	quote = x ^ EACH('"');
	backslash = x ^ EACH('\\');
	hit = ((quote - EACH(1)) & ~quote) |
	      ((backslash - EACH(1)) & ~backslash);
	if (!checked)
		hit |= ((x - EACH(0x20)) & ~x) | x;
	return (hit & EACH(0x80)) != 0;
}

/* Byte by byte, so that the order of bytes in a word does not matter. */
static inline const char *first_special(const char *p, unsigned hits)
{
	(void)hits;
	while (is_plain((unsigned char)*p))
		p++;
	return p;
}
#endif

/* The first byte of a string that does not stand for itself, or end. */
static inline const char *skip_plain(const char *p, const char *end)
{
	for (; end - p >= WIDE; p += WIDE) {
		unsigned hits = special(p, false);

		if (hits)
			return first_special(p, hits);
	}
	while (p < end && is_plain((unsigned char)*p))
		p++;
	return p;
}

/* The next quote or backslash of a text that has been checked, or end. */
static inline const char *skip_checked(const char *p, const char *end)
{
	for (; end - p >= WIDE; p += WIDE) {
		unsigned hits = special(p, true);

		if (hits) {
			p = first_special(p, hits);
			break;
		}
	}
	while (p < end && *p != '"' && *p != '\\')
		p++;
	return p;
}

static inline bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *skip_space(const char *p, const char *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

/*
 * Strings, section 7.
 */

/* What the byte after a backslash stands for; 0 for u and for no escape. */
static const char escapes[256] = {
	['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
	['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};

static inline char unescape(char c)
{
	return escapes[(unsigned char)c];
}

/* The value of a hexadecimal digit plus one; 0 for any other byte. */
static const uint8_t hexes[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
	['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static inline int hex_digit(char c)
{
	return hexes[(unsigned char)c] - 1;
}

static inline bool is_high(uint32_t unit)
{
	return unit >= 0xd800 && unit <= 0xdbff;
}

static inline bool is_low(uint32_t unit)
{
	return unit >= 0xdc00 && unit <= 0xdfff;
}

/* No character, so equal to none. */
#define NO_POINT UINT32_MAX

/* The value of four hexadecimal digits, or NO_POINT. */
static inline uint32_t hex_unit(struct span s)
{
	uint32_t unit = 0;

	if (s.len < 4)
		return NO_POINT;
	for (size_t i = 0; i < 4; i++) {
		int digit = hex_digit(s.at[i]);

		if (digit < 0)
			return NO_POINT;
		unit = unit << 4 | (uint32_t)digit;
	}
	return unit;
}

/* An escape at the front of *s, which moves past it; NO_POINT if broken. */
static uint32_t take_escape(struct span *s)
{
	uint32_t high, low;

	if (s->len < 2)
		return NO_POINT;
	if (s->at[1] != 'u') {
		char c = unescape(s->at[1]);

		*s = span_from(*s, 2);
		return c ? (unsigned char)c : NO_POINT;
	}
	high = hex_unit(span_from(*s, 2));
	*s = span_from(*s, 6);
	if (!is_high(high))
		return is_low(high) ? NO_POINT : high;
	if (s->len < 6 || s->at[0] != '\\' || s->at[1] != 'u')
		return NO_POINT;
	low = hex_unit(span_from(*s, 2));
	*s = span_from(*s, 6);
	if (!is_low(low))
		return NO_POINT;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static void begin_hex(struct scan_engine *s, bool paired)
{
	s->token = HEX;
	s->digits = 4;
	s->unit = 0;
	s->paired = paired;
}

/* The two bytes that must come between the units of a pair. */
static const char *read_pair(struct scan_engine *s, const char *p, char want)
{
	if (*p != want)
		return refuse(s, p, BAD_PAIR);
	if (want == 'u')
		begin_hex(s, true);
	else
		s->token = PAIR_U;
	return p + 1;
}

static const char *read_hex(struct scan_engine *s, const char *p,
                            const char *end)
{
	for (; p < end && s->digits; p++, s->digits--) {
		int digit = hex_digit(*p);

		if (digit < 0)
			return refuse(s, p, BAD_HEX);
		s->unit = (uint16_t)(s->unit << 4 | digit);
	}
	if (s->digits)
		return p;
	if (s->paired ? !is_low(s->unit) : is_low(s->unit))
		return refuse(s, p - 1, BAD_PAIR);
	s->token = !s->paired && is_high(s->unit) ? PAIR : TEXT;
	return p;
}

/* The rows of table 3-7 of the Unicode Standard, which RFC 3629 repeats. */
static const struct lead {
	uint8_t first, last; /* range of the first byte */
	uint8_t bytes;       /* that follow it */
	uint8_t low, high;   /* range of the second byte */
} leads[] = {
	{ 0xc2, 0xdf, 1, 0x80, 0xbf }, { 0xe0, 0xe0, 2, 0xa0, 0xbf },
	{ 0xe1, 0xec, 2, 0x80, 0xbf }, { 0xed, 0xed, 2, 0x80, 0x9f },
	{ 0xee, 0xef, 2, 0x80, 0xbf }, { 0xf0, 0xf0, 3, 0x90, 0xbf },
	{ 0xf1, 0xf3, 3, 0x80, 0xbf }, { 0xf4, 0xf4, 3, 0x80, 0x8f },
};

/* A character byte by byte: it is cut by the end of the piece, or wrong. */
static const char *begin_character(struct scan_engine *s, const char *p)
{
	unsigned char c = (unsigned char)*p;

	for (size_t i = 0; i < ARRAY_LEN(leads); i++) {
		if (c < leads[i].first || c > leads[i].last)
			continue;
		s->bytes = leads[i].bytes;
		s->low = leads[i].low;
		s->high = leads[i].high;
		s->token = CONTINUATION;
		return p + 1;
	}
	return refuse(s, p, BAD_UTF8);
}

static const char *read_continuation(struct scan_engine *s, const char *p)
{
	unsigned char c = (unsigned char)*p;

	if (c < s->low || c > s->high)
		return refuse(s, p, BAD_UTF8);
	s->low = 0x80;
	s->high = 0xbf;
	if (--s->bytes == 0)
		s->token = TEXT;
	return p + 1;
}

/*
 * Whole characters beyond ASCII, as many as there are in a row. Those of two
 * and three bytes whose second byte has its full range go first and fast.
 */
static inline const char *skip_characters(const char *p, const char *end)
{
	while (p < end && (unsigned char)*p >= 0x80) {
		const unsigned char *c = (const unsigned char *)p;
		size_t n;

		if (end - p >= 3 && c[0] >= 0xc2 && c[0] <= 0xdf &&
		    (c[1] & 0xc0) == 0x80)
			n = 2;
		else if (end - p >= 3 && c[0] >= 0xe1 && c[0] <= 0xec &&
		         (c[1] & 0xc0) == 0x80 && (c[2] & 0xc0) == 0x80)
			n = 3;
		else
			n = utf8_len(span_of(p, (size_t)(end - p)));
		if (n == 0)
			break;
		p += n;
	}
	return p;
}

static const char *read_text(struct scan_engine *s, const char *p,
                             const char *end)
{
	for (;;) {
		p = skip_plain(p, end);
		if (p == end)
			return p;
		if (*p == '"') {
			s->token = NONE;
			return p + 1;
		}
		s->odd = true;
		if (*p == '\\') {
			struct span rest = span_of(p, (size_t)(end - p));

			if (take_escape(&rest) == NO_POINT) {
				s->token = ESCAPE; /* cut, or wrong */
				return p + 1;
			}
			p = rest.at;
			continue;
		}
		if ((unsigned char)*p < 0x20)
			return refuse(s, p, BAD_CONTROL);
		p = skip_characters(p, end);
		if (p < end && (unsigned char)*p >= 0x80)
			return begin_character(s, p);
	}
}

static const char *read_escape(struct scan_engine *s, const char *p)
{
	if (*p == 'u')
		begin_hex(s, false);
	else if (unescape(*p))
		s->token = TEXT;
	else
		return refuse(s, p, BAD_ESCAPE);
	return p + 1;
}

/*
 * Numbers, section 6, and the three words, section 3.
 */

/* clang-format off */
enum digit { OTHER, NAUGHT, DIGIT, DOT, POWER_E, PLUS, DASH, N_DIGITS };

static const uint8_t digits[256] = {
	['0'] = NAUGHT, ['1'] = DIGIT, ['2'] = DIGIT, ['3'] = DIGIT,
	['4'] = DIGIT,  ['5'] = DIGIT, ['6'] = DIGIT, ['7'] = DIGIT,
	['8'] = DIGIT,  ['9'] = DIGIT, ['.'] = DOT,   ['e'] = POWER_E,
	['E'] = POWER_E, ['+'] = PLUS, ['-'] = DASH,
};

/* From token to token; NONE where a number has no such byte. */
static const uint8_t numbers[N_TOKENS][N_DIGITS] = {
	/*             0                    1-9                e, E */
	[MINUS]    = { [NAUGHT] = ZERO,     [DIGIT] = INTEGER },
	[ZERO]     = { [DOT] = POINT,       [POWER_E] = EXPONENT },
	[INTEGER]  = { [NAUGHT] = INTEGER,  [DIGIT] = INTEGER,
	               [DOT] = POINT,       [POWER_E] = EXPONENT },
	[POINT]    = { [NAUGHT] = FRACTION, [DIGIT] = FRACTION },
	[FRACTION] = { [NAUGHT] = FRACTION, [DIGIT] = FRACTION,
	               [POWER_E] = EXPONENT },
	[EXPONENT] = { [NAUGHT] = POWER,    [DIGIT] = POWER,
	               [PLUS] = SIGN,       [DASH] = SIGN },
	[SIGN]     = { [NAUGHT] = POWER,    [DIGIT] = POWER },
	[POWER]    = { [NAUGHT] = POWER,    [DIGIT] = POWER },
};
/* clang-format on */

/* May a number end here? */
static inline bool is_number(unsigned token)
{
	return token == ZERO || token == INTEGER || token == FRACTION ||
	       token == POWER;
}

static inline const char *read_number(struct scan_engine *s, const char *p,
                                      const char *end)
{
	unsigned token = s->token;

	for (; p < end; p++) {
		unsigned kind = digits[(unsigned char)*p];
		unsigned next = numbers[token][kind];

		if (next == NONE) {
			if (kind != OTHER || !is_number(token))
				return refuse(s, p, BAD_NUMBER);
			token = NONE;
			break;
		}
		token = next;
	}
	s->token = token;
	return p;
}

static const char *read_literal(struct scan_engine *s, const char *p,
                                const char *end)
{
	while (p < end && *s->literal) {
		if (*p != *s->literal)
			return refuse(s, p, BAD_LITERAL);
		p++;
		s->literal++;
	}
	if (!*s->literal)
		s->token = NONE;
	return p;
}

/* Go on in a token byte by byte until it is plain text again, or complete. */
static const char *read_rest(struct scan_engine *s, const char *p,
                             const char *end)
{
	while (p < end && s->token != NONE && !s->stop) {
		switch ((enum token)s->token) {
		case TEXT:
			p = read_text(s, p, end);
			break;
		case ESCAPE:
			p = read_escape(s, p);
			break;
		case HEX:
			p = read_hex(s, p, end);
			break;
		case PAIR:
			p = read_pair(s, p, '\\');
			break;
		case PAIR_U:
			p = read_pair(s, p, 'u');
			break;
		case CONTINUATION:
			p = read_continuation(s, p);
			break;
		case LITERAL:
			p = read_literal(s, p, end);
			break;
		default:
			p = read_number(s, p, end);
			break;
		}
	}
	return p;
}

/*
 * Go on in a token until it is complete, s->token is then NONE, or until the
 * piece is. A string without anything special takes the short way.
 */
static inline const char *read_token(struct scan_engine *s, const char *p,
                                     const char *end)
{
	if (LIKELY(s->token == TEXT)) {
		p = skip_plain(p, end);
		if (LIKELY(p < end && *p == '"')) {
			s->token = NONE;
			return p + 1;
		}
	}
	return read_rest(s, p, end);
}

/*
 * Names at the routed levels.
 */

/* The character at the front of *s, not empty, which moves past it. */
static uint32_t take_point(struct span *s)
{
	const unsigned char *p = (const unsigned char *)s->at;
	size_t n = utf8_len(*s);
	uint32_t point;

	if (n == 1 && *p == '\\')
		return take_escape(s);
	*s = span_from(*s, MAX(n, 1));
	if (n <= 1)
		return n ? *p : NO_POINT;
	point = p[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++)
		point = point << 6 | (p[i] & 0x3f);
	return point;
}

/* Simple case folding of the characters that fold to ASCII. */
static uint32_t fold(uint32_t point)
{
	if (point == 0x17f) /* long s */
		return 's';
	if (point == 0x212a) /* Kelvin sign */
		return 'k';
	return point < 0x80 ? ascii_lower((unsigned char)point) : point;
}

/* Would another parser take this name, not byte for byte the same, for key? */
static enum reason compare(struct span name, struct span key)
{
	bool folded = false;
	bool escaped = span_find(name, '\\') < name.len;

	while (key.len) {
		uint32_t want = take_point(&key);
		uint32_t have = name.len ? take_point(&name) : NO_POINT;

		if (have == NO_POINT || fold(have) != fold(want))
			return FINE;
		folded = folded || have != want;
	}
	/* A NUL ends it where names are C strings. */
	if (name.len && take_point(&name) != 0)
		return FINE;
	return escaped && !folded ? ESCAPED : folded ? FOLDED : FINE;
}

/* The rows that are members of the routed object in hand, as bits. */
static inline uint32_t rows_here(const struct scan_engine *s)
{
	return s->children[s->row_at[s->watch]];
}

/* Names are too short for a call of memcmp() to pay. */
static inline bool same(const char *a, const char *b, size_t n)
{
	uint32_t x, y;

	for (; n >= sizeof(x); n -= sizeof(x)) {
		memcpy(&x, a, sizeof(x));
		memcpy(&y, b, sizeof(y));
		if (x != y)
			return false;
		a += sizeof(x);
		b += sizeof(x);
	}
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

/* What a name, written without anything special, is to a wanted one. */
static inline enum reason compare_plain(struct span name, struct span key,
                                        bool *found)
{
	if (LIKELY(name.len != key.len))
		return FINE;
	*found = same(name.at, key.at, key.len);
	return !*found && span_eq_nocase(name, key) ? FOLDED : FINE;
}

/* Find the row of a name, or NO_ROW, or refuse it. */
static void match(struct scan_engine *s, const char *p, struct span name)
{
	s->row = NO_ROW;
	for (uint32_t left = rows_here(s); left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);
		struct span key = s->want[i].key;
		bool found = false;
		enum reason reason = compare_plain(name, key, &found);

		if (s->odd && !found)
			reason = compare(name, key);
		if (found && s->seen & UINT32_C(1) << i)
			reason = DUPLICATE;
		if (UNLIKELY(reason != FINE)) {
			refuse(s, p, reason);
			return;
		}
		if (found) {
			s->seen |= UINT32_C(1) << i;
			s->row = i + 1;
		}
	}
}

/* Keep the part of a name that the end of the piece cut off. */
static void carry(struct scan_engine *s, const char *end)
{
	size_t room = sizeof(s->carry) - s->carried;
	size_t n = MIN((size_t)(end - s->name), room);

	memcpy(s->carry + s->carried, s->name, n);
	s->carried = (uint16_t)(s->carried + n);
}

/* The closing quote of a name is before p. */
static void end_name(struct scan_engine *s, const char *p)
{
	struct span name = span_of(s->name, (size_t)(p - 1 - s->name));

	if (s->carried) {
		carry(s, p - 1);
		name = span_of(s->carry, s->carried);
	}
	match(s, p, name);
}

/*
 * Structure, sections 2, 4 and 5.
 */

/* Is the value in hand, or just ended, that of a wanted row? */
static inline bool at_row(const struct scan_engine *s)
{
	return s->depth == s->watch && s->row != NO_ROW && s->row != ROOT_ROW;
}

static inline bool is_streamed(const struct scan_engine *s)
{
	return s->streamed & UINT32_C(1) << (s->row - 1);
}

/* A value ends before p. */
static inline void end_value(struct scan_engine *s, const char *p)
{
	s->expect = s->depth ? AFTER : NOTHING;
	if (!at_row(s))
		return;
	if (s->found) {
		struct span *found = &s->found[s->row - 1];
		found->len = (size_t)(p - found->at);
	} else if (is_streamed(s) && s->stop == GO) {
		s->stop = AT_END;
	}
}

static const char *open_container(struct scan_engine *s, const char *p)
{
	bool object = *p == '{';

	if (s->depth == SCAN_DEPTH_MAX)
		return refuse(s, p, TOO_DEEP);
	if (object && s->depth == s->watch && s->row != NO_ROW &&
	    s->children[s->row]) {
		s->watch++;
		s->row_at[s->watch] = (uint8_t)s->row;
	}
	s->depth++;
	s->is_object[s->depth] = object;
	s->expect = object ? FIRST_KEY : FIRST_VALUE;
	return p + 1;
}

static const char *close_container(struct scan_engine *s, const char *p)
{
	if (s->is_object[s->depth] != (*p == '}'))
		return refuse(s, p, BAD_AFTER);
	if (s->depth == s->watch) {
		s->row = s->row_at[s->watch];
		s->watch--;
	}
	s->depth--;
	if (*p == '}' && at_row(s) && is_streamed(s)) {
		s->empty = s->expect == FIRST_KEY;
		s->stop = AT_CLOSE;
	}
	end_value(s, p + 1);
	return p + 1;
}

/* What to say of a byte that begins no value. */
static enum reason misfit(const struct scan_engine *s, char c)
{
	bool ascii = (unsigned char)c < 0x80 && c;

	return s->depth == 0 && !ascii ? BAD_MARK : BAD_VALUE;
}

/* The token that a byte begins, NONE if it begins no value without brackets. */
static inline unsigned token_of(struct scan_engine *s, char c)
{
	switch (c) {
	case '"':
		return TEXT;
	case '-':
		return MINUS;
	case 't':
		s->literal = "rue";
		return LITERAL;
	case 'f':
		s->literal = "alse";
		return LITERAL;
	case 'n':
		s->literal = "ull";
		return LITERAL;
	default:
		return numbers[MINUS][digits[(unsigned char)c]];
	}
}

/* The token of a name or a value is complete, its last byte before p. */
static inline void end_token(struct scan_engine *s, const char *p)
{
	if (s->expect != KEY) {
		end_value(s, p);
		return;
	}
	s->expect = COLON;
	if (s->depth == s->watch)
		end_name(s, p);
}

static inline const char *read_name(struct scan_engine *s, const char *p,
                                    const char *end)
{
	if (*p != '"')
		return refuse(s, p, BAD_KEY);
	s->token = TEXT;
	s->expect = KEY;
	s->odd = false;
	s->carried = 0;
	s->name = p + 1;
	s->name_offset = s->base + (size_t)(p - s->piece);
	p = read_token(s, p + 1, end);
	if (s->token == NONE)
		end_token(s, p);
	return p;
}

/* A value, or the beginning of a container. */
static inline const char *read_value(struct scan_engine *s, const char *p,
                                     const char *end)
{
	if (at_row(s)) {
		if (s->found) {
			s->found[s->row - 1].at = p;
		} else if (s->expect != ANNOUNCED && is_streamed(s)) {
			s->expect = ANNOUNCED;
			s->stop = AT_BEGIN;
			return p;
		}
	}
	if (*p == '{' || *p == '[')
		return open_container(s, p);
	s->expect = VALUE;
	s->token = token_of(s, *p);
	if (s->token == NONE)
		return refuse(s, p, misfit(s, *p));
	p = read_token(s, p + 1, end);
	if (s->token == NONE)
		end_token(s, p);
	return p;
}

/* Move p to the next byte to read, if there is one and nothing to stop for. */
static inline bool goes_on(const struct scan_engine *s, const char **p,
                           const char *end)
{
	if (s->token != NONE || s->stop)
		return false;
	*p = skip_space(*p, end);
	return *p < end;
}

/*
 * One step of the structure: p is at no white space. A member is one step, from
 * its name to its value, and where a piece ended in it the next one goes on.
 */
static inline const char *read_step(struct scan_engine *s, const char *p,
                                    const char *end)
{
	switch ((enum expect)s->expect) {
	case FIRST_KEY:
		if (*p == '}')
			return close_container(s, p);
		/* fall through */
	case KEY:
		p = read_name(s, p, end);
		if (!goes_on(s, &p, end))
			return p;
		/* fall through */
	case COLON:
		if (*p != ':')
			return refuse(s, p, BAD_COLON);
		s->expect = VALUE;
		p = skip_space(p + 1, end);
		if (p == end)
			return p;
		return read_value(s, p, end);
	case FIRST_VALUE:
		if (*p == ']')
			return close_container(s, p);
		/* fall through */
	case VALUE:
	case ANNOUNCED:
		return read_value(s, p, end);
	case AFTER:
		if (*p == '}' || *p == ']')
			return close_container(s, p);
		if (*p != ',')
			return refuse(s, p, BAD_AFTER);
		s->expect = s->is_object[s->depth] ? KEY : VALUE;
		return p + 1;
	case NOTHING:
		break;
	}
	return refuse(s, p, BAD_TRAILER);
}

/*
 * Read bytes until they are used up or something stops us; s->stop tells
 * which it was. What was read is gone from *in.
 */
static void run(struct scan_engine *s, struct span *in)
{
	const char *p = in->at;
	const char *end = in->at + in->len;

	s->piece = p;
	s->name = p;
	s->stop = GO;
	if (s->token != NONE) {
		p = read_token(s, p, end);
		if (s->token == NONE)
			end_token(s, p);
	}
	while (goes_on(s, &p, end))
		p = read_step(s, p, end);
	if (s->token != NONE && s->expect == KEY && s->depth == s->watch)
		carry(s, end);
	s->base += (size_t)(p - in->at);
	*in = span_of(p, (size_t)(end - p));
}

static void prepare(struct scan_engine *s, const struct scan_want *want,
                    size_t n_want)
{
	assert(n_want <= SCAN_WANT_MAX);
	s->token = NONE;
	s->expect = VALUE;
	s->depth = 0;
	s->watch = 0;
	s->row = ROOT_ROW;
	s->refused = FINE;
	s->empty = false;
	s->carried = 0;
	s->want = want;
	s->found = NULL;
	s->seen = 0;
	s->streamed = 0;
	s->base = 0;
	for (size_t i = 0; i <= n_want; i++)
		s->children[i] = 0;
	for (size_t i = 0; i < n_want; i++) {
		assert(want[i].key.len > 0);
		assert(want[i].key.len <= SCAN_KEY_MAX);
		assert(want[i].parent >= SCAN_ROOT);
		assert(want[i].parent < (int)i);
		s->children[want[i].parent + 1] |= UINT32_C(1) << i;
	}
}

/* The verdict if the text ended here. */
static enum scan_result finish(const struct scan_engine *s,
                               struct scan_error *why)
{
	if (s->refused) {
		*why = s->why;
		return verdicts[s->refused].result;
	}
	/* Nothing but the end of the text ends a number that is the root. */
	if (s->expect == NOTHING || (s->depth == 0 && is_number(s->token)))
		return SCAN_OK;
	*why = (struct scan_error){ s->base, verdicts[TOO_SHORT].text };
	return SCAN_TRUNCATED;
}

enum scan_result scan_document(struct span text, const struct scan_want *want,
                               size_t n_want, struct span found[],
                               struct scan_error *why)
{
	struct scan_engine s;
	enum scan_result result;

	prepare(&s, want, n_want);
	s.found = found;
	for (size_t i = 0; i < n_want; i++)
		found[i] = (struct span){ 0 };
	if (text.len)
		run(&s, &text);
	result = finish(&s, why);
	if (result != SCAN_OK)
		for (size_t i = 0; i < n_want; i++)
			found[i] = (struct span){ 0 };
	return result;
}

/*
 * The stream.
 */

void scan_stream_init(struct scan_stream *s, const struct scan_want *want,
                      size_t n_want, uint32_t keep)
{
	prepare(&s->engine, want, n_want);
	s->engine.streamed = s->engine.children[ROOT_ROW];
	assert((keep & ~s->engine.streamed) == 0);
	s->member = -1;
	s->empty = false;
	s->inside = false;
	s->next = 0;
	s->keep = keep;
	s->n_store = 0;
	memset(s->kept, 0, sizeof(s->kept));
}

/* A value that does not fit leaves its room to the ones after it. */
static void keep(struct scan_stream *s, struct span bytes)
{
	size_t row = (size_t)s->member;

	if (!(s->keep & UINT32_C(1) << row) || s->lost)
		return;
	if (bytes.len > (size_t)(SCAN_KEEP_MAX - s->n_store)) {
		s->n_store = s->kept[row].at;
		s->lost = true;
		return;
	}
	memcpy(s->store + s->n_store, bytes.at, bytes.len);
	s->n_store = (uint16_t)(s->n_store + bytes.len);
}

/* Give an event that has no run of bytes. */
static enum scan_event give(struct scan_stream *s, enum scan_event event,
                            struct span *bytes)
{
	s->next = 0;
	switch (event) {
	case SCAN_BEGIN:
		s->member = (int)s->engine.row - 1;
		s->inside = true;
		s->lost = false;
		s->kept[s->member].at = s->n_store;
		break;
	case SCAN_CLOSE:
		s->empty = s->engine.empty;
		s->next = SCAN_END;
		*bytes = SPAN("}");
		keep(s, *bytes);
		break;
	case SCAN_END:
		s->inside = false;
		s->kept[s->member].len =
			(uint16_t)(s->n_store - s->kept[s->member].at);
		s->kept[s->member].whole = !s->lost;
		break;
	case SCAN_MORE:
	case SCAN_VALUE:
	case SCAN_DONE:
	case SCAN_BAD:
		break;
	}
	return event;
}

/* What to tell the caller about the place the engine stopped at. */
static enum scan_event event_at(const struct scan_engine *s)
{
	switch ((enum stop)s->stop) {
	case GO:
		break;
	case AT_BEGIN:
		return SCAN_BEGIN;
	case AT_CLOSE:
		return SCAN_CLOSE;
	case AT_END:
		return SCAN_END;
	case REFUSED:
		return SCAN_BAD;
	}
	return s->expect == NOTHING ? SCAN_DONE : SCAN_MORE;
}

enum scan_event scan_stream_next(struct scan_stream *s, struct span *in,
                                 struct span *bytes)
{
	struct span value = *in;
	enum scan_event event;

	*bytes = (struct span){ 0 };
	if (s->next)
		return give(s, s->next, bytes);
	if (s->engine.refused)
		return SCAN_BAD;
	s->engine.stop = GO;
	if (in->len)
		run(&s->engine, in);
	event = event_at(&s->engine);
	value.len -= in->len;
	if (event == SCAN_CLOSE)
		value.len--; /* the brace comes alone */
	if (!s->inside || event == SCAN_BAD || value.len == 0)
		return give(s, event, bytes);
	keep(s, value);
	*bytes = value;
	if (event != SCAN_MORE)
		s->next = (uint8_t)event;
	return SCAN_VALUE;
}

enum scan_result scan_stream_end(const struct scan_stream *s,
                                 struct scan_error *why)
{
	return finish(&s->engine, why);
}

bool scan_stream_seen(const struct scan_stream *s, size_t row)
{
	return row < SCAN_WANT_MAX && s->engine.seen & UINT32_C(1) << row;
}

bool scan_stream_kept(const struct scan_stream *s, size_t row, struct span *raw)
{
	if (row >= SCAN_WANT_MAX || !(s->keep & UINT32_C(1) << row) ||
	    !s->kept[row].whole)
		return false;
	*raw = span_of(s->store + s->kept[row].at, s->kept[row].len);
	return true;
}

/*
 * Raw values.
 */

/* Without the white space at both ends. */
static struct span trim(struct span s)
{
	while (s.len && is_space(s.at[0]))
		s = span_from(s, 1);
	while (s.len && is_space(s.at[s.len - 1]))
		s.len--;
	return s;
}

enum scan_type scan_type(struct span raw)
{
	raw = trim(raw);
	if (raw.len == 0)
		return SCAN_NOTHING;
	switch (raw.at[0]) {
	case '"':
		return SCAN_STRING;
	case '{':
		return SCAN_OBJECT;
	case '[':
		return SCAN_ARRAY;
	case 't':
		return SCAN_TRUE;
	case 'f':
		return SCAN_FALSE;
	case 'n':
		return SCAN_NULL;
	case '-':
		return SCAN_NUMBER;
	default:
		return raw.at[0] >= '0' && raw.at[0] <= '9' ? SCAN_NUMBER
		                                            : SCAN_NOTHING;
	}
}

/* Take the quotes off. */
static bool unquote(struct span raw, struct span *inner)
{
	if (raw.len < 2 || raw.at[0] != '"' || raw.at[raw.len - 1] != '"')
		return false;
	*inner = span_of(raw.at + 1, raw.len - 2);
	return true;
}

bool scan_string_plain(struct span raw, struct span *inner)
{
	struct span s;

	if (!unquote(raw, &s) || span_find(s, '\\') < s.len)
		return false;
	*inner = s;
	return true;
}

/* Write a character as UTF-8 (RFC 3629, section 3); returns its bytes. */
static size_t put_point(uint32_t point, char out[4])
{
	size_t n = point < 0x80      ? 1
	           : point < 0x800   ? 2
	           : point < 0x10000 ? 3
	                             : 4;
	unsigned head = n == 1 ? 0 : 0xf00U >> n & 0xff;

	for (size_t i = n - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (point & 0x3f));
		point >>= 6;
	}
	out[0] = (char)(head | point);
	return n;
}

/*
 * Take the front off what is between the quotes: a run that stands for itself,
 * or one escape, written to point. False when that is broken.
 */
static bool take_run(struct span *s, char point[4], struct span *run)
{
	uint32_t value;

	*run = span_first(*s, span_find(*s, '\\'));
	*s = span_from(*s, run->len);
	if (run->len)
		return true;
	value = take_escape(s);
	if (value == NO_POINT)
		return false;
	*run = span_of(point, put_point(value, point));
	return true;
}

int scan_string(struct span raw, char *out, size_t cap)
{
	struct span s, run;
	size_t len = 0;
	char point[4];

	if (!unquote(raw, &s) || raw.len > INT_MAX)
		return -EINVAL;
	while (s.len) {
		if (!take_run(&s, point, &run))
			return -EINVAL;
		if (run.len > cap - len)
			return -ENOBUFS;
		memcpy(out + len, run.at, run.len);
		len += run.len;
	}
	return (int)len;
}

bool scan_string_eq(struct span raw, struct span plain)
{
	struct span s, run;
	char point[4];

	if (!unquote(raw, &s))
		return false;
	while (s.len) {
		if (!take_run(&s, point, &run) || !span_starts(plain, run))
			return false;
		plain = span_from(plain, run.len);
	}
	return plain.len == 0;
}

bool scan_integer(struct span raw, int64_t *out)
{
	bool negative = raw.len > 1 && raw.at[0] == '-';
	uint64_t value;

	if (negative)
		raw = span_from(raw, 1);
	if (raw.len > 1 && raw.at[0] == '0')
		return false;
	if (!span_u64(raw, (uint64_t)SCAN_INTEGER_MAX, &value))
		return false;
	*out = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

/* Past the string whose opening quote is at p. */
static const char *skip_string(const char *p, const char *end)
{
	p++;
	while ((p = skip_checked(p, end)) < end && *p == '\\')
		p += MIN(end - p, 2);
	return p < end ? p + 1 : end;
}

/* Past the container whose bracket is at p: brackets are in order. */
static const char *skip_container(const char *p, const char *end)
{
	size_t depth = 0;

	while (p < end) {
		if (*p == '"') {
			p = skip_string(p, end);
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if ((*p == '}' || *p == ']') && --depth == 0)
			return p + 1;
		p++;
	}
	return end;
}

static const char *skip_value(const char *p, const char *end)
{
	if (*p == '"')
		return skip_string(p, end);
	if (*p == '{' || *p == '[')
		return skip_container(p, end);
	while (p < end && !is_space(*p) && *p != ',' && *p != ':' &&
	       *p != '}' && *p != ']')
		p++;
	return p;
}

void scan_iter_init(struct scan_iter *it, struct span raw)
{
	raw = trim(raw);
	if (raw.len < 2)
		raw.len = 0; /* not even brackets: nothing to go over */
	it->at = raw.len ? raw.at + 1 : raw.at;
	it->end = raw.len ? raw.at + raw.len - 1 : raw.at;
}

/* One value, and the white space and one separator after it. */
static bool take_value(struct scan_iter *it, struct span *raw)
{
	const char *p = skip_space(it->at, it->end);

	it->at = p;
	if (p == it->end)
		return false;
	it->at = skip_value(p, it->end);
	*raw = span_of(p, (size_t)(it->at - p));
	it->at = skip_space(it->at, it->end);
	if (it->at < it->end)
		it->at++;
	return true;
}

bool scan_object_next(struct scan_iter *it, struct span *key_raw,
                      struct span *value_raw)
{
	return take_value(it, key_raw) && take_value(it, value_raw);
}

bool scan_array_next(struct scan_iter *it, struct span *value_raw)
{
	return take_value(it, value_raw);
}

struct span scan_get(struct span object_raw, struct span key)
{
	struct scan_iter it;
	struct span name, value;

	if (scan_type(object_raw) != SCAN_OBJECT)
		return (struct span){ 0 };
	scan_iter_init(&it, object_raw);
	while (scan_object_next(&it, &name, &value))
		if (scan_string_eq(name, key))
			return value;
	return (struct span){ 0 };
}
