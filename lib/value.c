#include "lib/value.h"

#include <limits.h>

#include "lib/text.h"

/* Without the white space at both ends. */
static struct span trim(struct span s)
{
	while (s.len && text_is_space(s.at[0]))
		s = span_from(s, 1);
	while (s.len && text_is_space(s.at[s.len - 1]))
		s.len--;
	return s;
}

enum value_type value_type(struct span raw)
{
	raw = trim(raw);
	if (raw.len == 0)
		return VALUE_NOTHING;
	switch (raw.at[0]) {
	case '"':
		return VALUE_STRING;
	case '{':
		return VALUE_OBJECT;
	case '[':
		return VALUE_ARRAY;
	case 't':
		return VALUE_TRUE;
	case 'f':
		return VALUE_FALSE;
	case 'n':
		return VALUE_NULL;
	case '-':
		return VALUE_NUMBER;
	default:
		return raw.at[0] >= '0' && raw.at[0] <= '9' ? VALUE_NUMBER
		                                            : VALUE_NOTHING;
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

bool value_string_plain(struct span raw, struct span *inner)
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
	value = text_take_escape(s);
	if (value == TEXT_NO_POINT)
		return false;
	*run = span_of(point, put_point(value, point));
	return true;
}

int value_string(struct span raw, char *out, size_t cap)
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

bool value_string_eq(struct span raw, struct span plain)
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

bool value_integer(struct span raw, int64_t *out)
{
	bool negative = raw.len > 1 && raw.at[0] == '-';
	uint64_t value;

	if (negative)
		raw = span_from(raw, 1);
	if (raw.len > 1 && raw.at[0] == '0')
		return false;
	if (!span_u64(raw, (uint64_t)VALUE_INTEGER_MAX, &value))
		return false;
	*out = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

/* Past the string whose opening quote is at p. */
static const char *skip_string(const char *p, const char *end)
{
	p++;
	while ((p = text_skip_checked(p, end)) < end && *p == '\\')
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
	while (p < end && !text_is_space(*p) && *p != ',' && *p != ':' &&
	       *p != '}' && *p != ']')
		p++;
	return p;
}

void value_iter_init(struct value_iter *it, struct span raw)
{
	raw = trim(raw);
	if (raw.len < 2)
		raw.len = 0; /* not even brackets: nothing to go over */
	it->at = raw.len ? raw.at + 1 : raw.at;
	it->end = raw.len ? raw.at + raw.len - 1 : raw.at;
}

/* One value, and the white space and one separator after it. */
static bool take_value(struct value_iter *it, struct span *raw)
{
	const char *p = text_skip_space(it->at, it->end);

	it->at = p;
	if (p == it->end)
		return false;
	it->at = skip_value(p, it->end);
	*raw = span_of(p, (size_t)(it->at - p));
	it->at = text_skip_space(it->at, it->end);
	if (it->at < it->end)
		it->at++;
	return true;
}

bool value_object_next(struct value_iter *it, struct span *key_raw,
                       struct span *value_raw)
{
	return take_value(it, key_raw) && take_value(it, value_raw);
}

bool value_array_next(struct value_iter *it, struct span *value_raw)
{
	return take_value(it, value_raw);
}

struct span value_get(struct span object_raw, struct span key)
{
	struct value_iter it;
	struct span name, value;

	if (value_type(object_raw) != VALUE_OBJECT)
		return (struct span){ 0 };
	value_iter_init(&it, object_raw);
	while (value_object_next(&it, &name, &value))
		if (value_string_eq(name, key))
			return value;
	return (struct span){ 0 };
}
