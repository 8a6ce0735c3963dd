#include "oci/path.h"

#include <math.h>
#include <stdlib.h>

#include "lib/text.h"

#define POSITION_MAX 1000000 /* in brackets */

/* A name, or a position when there is none. */
struct step {
	struct span name;
	int64_t position;
};

/* Where a name ends: at one of . [ ] or with the path. */
static size_t name_end(struct span path)
{
	size_t i = 0;

	while (i < path.len && path.at[i] != '.' && path.at[i] != '[' &&
	       path.at[i] != ']')
		i++;
	return i;
}

static bool take_position(struct span *path, struct step *step)
{
	size_t close = span_find(*path, ']');
	struct span digits = span_from(span_first(*path, close), 1);
	bool back = digits.len && digits.at[0] == '-';
	uint64_t position;

	if (close == path->len ||
	    !span_u64(span_from(digits, back), POSITION_MAX, &position))
		return false;
	if (back && position == 0)
		return false;
	step->name = SPAN("");
	step->position = back ? -(int64_t)position : (int64_t)position;
	*path = span_from(*path, close + 1);
	return true;
}

/* Take one step off the front of a path that is not empty. */
static bool take_step(struct span *path, bool first, struct step *step)
{
	if (path->at[0] == '[')
		return take_position(path, step);
	if (!first) {
		if (path->at[0] != '.')
			return false;
		*path = span_from(*path, 1);
	}
	step->name = span_first(*path, name_end(*path));
	*path = span_from(*path, step->name.len);
	return step->name.len > 0;
}

bool path_valid(struct span path)
{
	bool first = true;
	struct step step;

	if (path.len > PATH_MAX_BYTES)
		return false;
	for (; path.len; first = false)
		if (!take_step(&path, first, &step))
			return false;
	return true;
}

static int64_t count(struct span array)
{
	struct value_iter it;
	struct span value;
	int64_t n = 0;

	value_iter_init(&it, array);
	while (value_array_next(&it, &value))
		n++;
	return n;
}

static struct span element(struct span array, int64_t position)
{
	struct value_iter it;
	struct span value;

	if (value_type(array) != VALUE_ARRAY)
		return (struct span){ 0 };
	if (position < 0)
		position += count(array);
	value_iter_init(&it, array);
	while (position >= 0 && value_array_next(&it, &value))
		if (position-- == 0)
			return value;
	return (struct span){ 0 };
}

/* The rest of a path, from the value that its first steps led to. */
static struct span follow(struct span json, struct span path, bool first)
{
	struct step step;

	for (; path.len && json.len; first = false) {
		if (!take_step(&path, first, &step))
			return (struct span){ 0 };
		json = step.name.len ? value_get(json, step.name)
		                     : element(json, step.position);
	}
	return json.len ? json : (struct span){ 0 };
}

struct span path_find(struct span json, struct span path)
{
	return follow(json, path, true);
}

struct path_want path_want(struct span path)
{
	return (struct path_want){ .path = path, .head = name_end(path) };
}

/* Several paths on their way through one object. */
struct search {
	struct path_want *want;
	size_t n, waiting;
	uint64_t lengths; /* bit n: a first name of n bytes is wanted */
};

static uint64_t length_bit(size_t len)
{
	return UINT64_C(1) << MIN(len, (size_t)63);
}

static struct search search(struct path_want want[], size_t n)
{
	struct search s = { .want = want, .n = n };

	for (size_t i = 0; i < n; i++) {
		want[i].found = (struct span){ 0 };
		if (want[i].head == 0)
			continue;
		s.lengths |= length_bit(want[i].head);
		s.waiting++;
	}
	return s;
}

/* Give a member to those who begin with its name. */
static void offer(struct search *s, struct span name, struct span value)
{
	struct span plain = { 0 };
	bool odd = !value_string_plain(name, &plain);

	if (s->waiting == 0 || (!odd && !(s->lengths & length_bit(plain.len))))
		return;
	for (size_t i = 0; i < s->n; i++) {
		struct path_want *w = &s->want[i];
		struct span head = span_first(w->path, w->head);

		if (w->found.at || head.len == 0 ||
		    !(odd ? value_string_eq(name, head) : span_eq(plain, head)))
			continue;
		w->found = value;
		s->waiting--;
	}
}

/* What the first names have led to is there: go the rest of the way. */
static void go_on(struct span json, struct path_want want[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct path_want *w = &want[i];

		if (w->head == 0)
			w->found = path_find(json, w->path);
		else if (w->head < w->path.len)
			w->found = follow(w->found, span_from(w->path, w->head),
			                  false);
	}
}

void path_find_all(struct span json, struct path_want want[], size_t n)
{
	struct search s = search(want, n);
	struct span name, value;
	struct value_iter it;

	if (value_type(json) == VALUE_OBJECT) {
		value_iter_init(&it, json);
		while (s.waiting && value_object_next(&it, &name, &value))
			offer(&s, name, value);
	}
	go_on(json, want, n);
}

/*
 * Past the object whose brace is at p, or end. The iterator takes what follows
 * a value for a comma; here it may be the brace that ends the object.
 */
static const char *take_object(const char *p, const char *end, struct search *s)
{
	struct value_iter it = { text_skip_space(p + 1, end), end };
	struct span name, value;

	if (it.at < end && *it.at == '}')
		return it.at + 1;
	while (value_object_next(&it, &name, &value)) {
		offer(s, name, value);
		p = text_skip_space(value.at + value.len, end);
		if (p < end && *p == '}')
			return p + 1;
	}
	return end;
}

bool path_next(struct value_iter *array, struct span *element,
               struct path_want want[], size_t n)
{
	const char *p = text_skip_space(array->at, array->end);
	struct search s;

	if (p == array->end)
		return false;
	s = search(want, n);
	if (*p == '{') {
		const char *after = take_object(p, array->end, &s);

		*element = span_of(p, (size_t)(after - p));
		array->at = text_skip_space(after, array->end);
		if (array->at < array->end)
			array->at++;
	} else if (!value_array_next(array, element)) {
		return false;
	}
	go_on(*element, want, n);
	return true;
}

bool path_has(struct span json, const char *path)
{
	struct span value = path_get(json, path);

	return value.len && value_type(value) != VALUE_NULL;
}

bool path_is(struct span json, const char *path, const char *text)
{
	struct span raw = path_get(json, path), inner;

	if (value_string_plain(raw, &inner))
		return span_eq_nocase(inner, span_str(text));
	return value_string_eq(raw, span_str(text));
}

struct value_iter path_items(struct span json, const char *path)
{
	struct span value = path_get(json, path);
	struct value_iter it;

	if (value_type(value) == VALUE_OBJECT)
		value = value_get(value, SPAN("items"));
	if (value_type(value) != VALUE_ARRAY)
		value = SPAN("[]");
	value_iter_init(&it, value);
	return it;
}

size_t path_count(struct span json, const char *path)
{
	struct value_iter it = path_items(json, path);
	struct span value;
	size_t n = 0;

	while (value_array_next(&it, &value))
		n++;
	return n;
}

/* --- numbers ------------------------------------------------------------- */

#define MANTISSA_DIGITS 19   /* of any value fit in 64 bits */
#define EXPONENT_MAX    9999 /* more is 0 or too large anyway */

struct decimal {
	uint64_t mantissa;
	int exponent; /* of 10 */
	unsigned digits;
};

static bool is_digit(struct span s)
{
	return s.len && s.at[0] >= '0' && s.at[0] <= '9';
}

/* Digits; those that do not fit only move the point. False: there are none. */
static bool take_digits(struct span *s, struct decimal *d, bool fraction)
{
	bool any = is_digit(*s);

	for (; is_digit(*s); *s = span_from(*s, 1)) {
		if (d->digits < MANTISSA_DIGITS) {
			d->mantissa =
				d->mantissa * 10 + (unsigned)(s->at[0] - '0');
			d->digits += d->mantissa > 0;
			d->exponent -= fraction;
		} else if (!fraction && d->exponent < EXPONENT_MAX) {
			d->exponent++;
		}
	}
	return any;
}

static bool take_exponent(struct span *s, struct decimal *d)
{
	bool minus;
	int e = 0;

	*s = span_from(*s, 1);
	minus = s->len && s->at[0] == '-';
	if (minus || (s->len && s->at[0] == '+'))
		*s = span_from(*s, 1);
	if (!is_digit(*s))
		return false;
	for (; is_digit(*s); *s = span_from(*s, 1))
		e = MIN(e * 10 + (s->at[0] - '0'), EXPONENT_MAX);
	d->exponent += minus ? -e : e;
	return true;
}

/* m * 10^e; one rounding for e up to 22, where powers of 10 are exact. */
static double scale(uint64_t mantissa, int exponent)
{
	static const double exact[] = {
		1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
		1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
		1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
	};
	long double value = (long double)mantissa, power = 10;

	if (mantissa == 0)
		return 0;
	if (mantissa <= (uint64_t)1 << 53 &&
	    (size_t)abs(exponent) < ARRAY_LEN(exact))
		return exponent < 0 ? (double)mantissa / exact[-exponent]
		                    : (double)mantissa * exact[exponent];
	for (int e = abs(exponent); e; e >>= 1) {
		if (e & 1)
			value = exponent < 0 ? value / power : value * power;
		power *= power;
	}
	return (double)value;
}

bool path_double(struct span raw, double *out)
{
	struct decimal d = { 0 };
	bool minus = raw.len && raw.at[0] == '-';
	double value;

	if (minus)
		raw = span_from(raw, 1);
	if (!take_digits(&raw, &d, false))
		return false;
	if (raw.len && raw.at[0] == '.') {
		raw = span_from(raw, 1);
		if (!take_digits(&raw, &d, true))
			return false;
	}
	if (raw.len && (raw.at[0] | 0x20) == 'e' && !take_exponent(&raw, &d))
		return false;
	value = scale(d.mantissa, d.exponent);
	if (raw.len || !isfinite(value))
		return false;
	*out = minus ? -value : value;
	return true;
}

double path_number(struct span json, const char *path, double otherwise)
{
	double value;

	return path_double(path_get(json, path), &value) ? value : otherwise;
}

int64_t path_integer(struct span json, const char *path, int64_t otherwise)
{
	struct span raw = path_get(json, path);
	int64_t integer;
	double value;

	if (value_integer(raw, &integer))
		return integer;
	if (!path_double(raw, &value) || fabs(value) > VALUE_INTEGER_MAX)
		return otherwise;
	return (int64_t)value;
}

bool path_flag(struct span json, const char *path)
{
	return value_type(path_get(json, path)) == VALUE_TRUE;
}
