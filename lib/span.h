/*
 * span - bytes that somebody else owns.
 *
 * A span is a place and a length. It is never NUL-terminated: nothing that
 * came over a network goes through strlen(). An empty span may have at NULL.
 */
#ifndef LIB_SPAN_H
#define LIB_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *at;
	size_t len;
};

/* A literal, where only a constant may stand: in tables. */
#define SPAN_INIT(text)                \
	{                              \
		text, sizeof(text) - 1 \
	}

/* A span over a string literal; constant tables write { "text", 4 }. */
#define SPAN(literal) ((struct span){ "" literal, sizeof(literal) - 1 })

/* For printf: "%.*s", SPAN_ARG(s). */
#define SPAN_ARG(s) (int)(s).len, (s).at

static inline struct span span_of(const void *at, size_t len)
{
	return (struct span){ (const char *)at, len };
}

/* A span over a C string of our own; NULL gives the empty span. */
static inline struct span span_str(const char *s)
{
	return (struct span){ s, s ? strlen(s) : 0 };
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool span_is(struct span a, const char *literal)
{
	return span_eq(a, span_str(literal));
}

/* Order of the bytes, shorter first when one begins the other. */
static inline int span_cmp(struct span a, struct span b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n ? memcmp(a.at, b.at, n) : 0;

	if (order)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}

/* The bytes from n on; n past the end gives the empty span at the end. */
static inline struct span span_from(struct span s, size_t n)
{
	if (n > s.len)
		n = s.len;
	return span_of(s.at + n, s.len - n);
}

/* The first n bytes, or all. */
static inline struct span span_first(struct span s, size_t n)
{
	return span_of(s.at, n < s.len ? n : s.len);
}

static inline bool span_starts(struct span s, struct span head)
{
	return s.len >= head.len && span_eq(span_first(s, head.len), head);
}

/* ASCII lower case of one byte, no locale. */
static inline unsigned char ascii_lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

/* Equal when ASCII case is ignored (field names, scheme, host). */
static inline bool span_eq_nocase(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ascii_lower((unsigned char)a.at[i]) !=
		    ascii_lower((unsigned char)b.at[i]))
			return false;
	return true;
}

/* Without spaces and tabs at both ends (OWS of RFC 9110, section 5.6.3). */
static inline struct span span_trim(struct span s)
{
	while (s.len && (*s.at == ' ' || *s.at == '\t'))
		s = span_of(s.at + 1, s.len - 1);
	while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Offset of the first c, or s.len when there is none. */
static inline size_t span_find(struct span s, char c)
{
	const char *p = s.len ? memchr(s.at, c, s.len) : NULL;

	return p ? (size_t)(p - s.at) : s.len;
}

/*
 * Decimal digits only, no sign, no space, no leading '+'.
 * Returns false when empty, when another byte is there, or when the value
 * would pass max; *out is then unchanged.
 */
static inline bool span_u64(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (s.len == 0 || s.len > 20)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned)(unsigned char)s.at[i] - '0';

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (v > max)
		return false;
	*out = v;
	return true;
}

#endif
