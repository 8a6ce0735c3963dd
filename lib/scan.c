#include "lib/scan.h"

#include "lib/text.h"
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
 * Strings, section 7.
 */

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
		int digit = text_hex_digit(*p);

		if (digit < 0)
			return refuse(s, p, BAD_HEX);
		s->unit = (uint16_t)(s->unit << 4 | digit);
	}
	if (s->digits)
		return p;
	if (s->paired ? !text_is_low(s->unit) : text_is_low(s->unit))
		return refuse(s, p - 1, BAD_PAIR);
	s->token = !s->paired && text_is_high(s->unit) ? PAIR : TEXT;
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
		p = text_skip_plain(p, end);
		if (p == end)
			return p;
		if (*p == '"') {
			s->token = NONE;
			return p + 1;
		}
		s->odd = true;
		if (*p == '\\') {
			struct span rest = span_of(p, (size_t)(end - p));

			if (text_take_escape(&rest) == TEXT_NO_POINT) {
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
	else if (text_unescape(*p))
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
		p = text_skip_plain(p, end);
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
		return text_take_escape(s);
	*s = span_from(*s, MAX(n, 1));
	if (n <= 1)
		return n ? *p : TEXT_NO_POINT;
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
		uint32_t have = name.len ? take_point(&name) : TEXT_NO_POINT;

		if (have == TEXT_NO_POINT || fold(have) != fold(want))
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
	assert(s->row > 0 && s->row <= SCAN_WANT_MAX);
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
	*p = text_skip_space(*p, end);
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
		p = text_skip_space(p + 1, end);
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
