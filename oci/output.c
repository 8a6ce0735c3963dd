#include "oci/output.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "oci/path.h"
#include "oci/when.h"

void output_init(struct output *o, struct buf *buf)
{
	*o = (struct output){ .buf = buf };
}

static bool in_object(const struct output *o)
{
	return o->depth && !(o->arrays >> (o->depth - 1) & 1);
}

static void separate(struct output *o)
{
	assert(o->depth || !o->filled); /* one root */
	if (o->filled)
		buf_putc(o->buf, ',');
	o->filled = true;
}

/* What stands before a value. */
static void begin(struct output *o, const char *key)
{
	assert(!o->named || !key);
	if (!o->named) {
		assert((key != NULL) == in_object(o));
		separate(o);
	}
	o->named = false;
	if (key) {
		buf_putc(o->buf, '"');
		buf_puts(o->buf, key);
		buf_add(o->buf, "\":", 2);
	}
}

static void open(struct output *o, const char *key, bool array)
{
	uint64_t bit = UINT64_C(1) << o->depth;

	assert(o->depth < OUTPUT_DEPTH_MAX);
	begin(o, key);
	buf_putc(o->buf, array ? '[' : '{');
	o->arrays = array ? o->arrays | bit : o->arrays & ~bit;
	o->depth++;
	o->filled = false;
}

void output_object(struct output *o, const char *key)
{
	open(o, key, false);
}

void output_array(struct output *o, const char *key)
{
	open(o, key, true);
}

void output_end(struct output *o)
{
	assert(o->depth && !o->named);
	buf_putc(o->buf, in_object(o) ? '}' : ']');
	o->depth--;
	o->filled = true;
}

void output_name(struct output *o, struct span name)
{
	assert(in_object(o) && !o->named);
	separate(o);
	buf_add_json(o->buf, name);
	buf_putc(o->buf, ':');
	o->named = true;
}

void output_name_raw(struct output *o, struct span name)
{
	assert(in_object(o) && !o->named);
	separate(o);
	buf_add_span(o->buf, name);
	buf_putc(o->buf, ':');
	o->named = true;
}

void output_raw(struct output *o, const char *key, struct span raw)
{
	begin(o, key);
	buf_add_span(o->buf, raw.len ? raw : SPAN("null"));
}

void output_path(struct output *o, const char *key, struct span json,
                 const char *path)
{
	output_raw(o, key, path_get(json, path));
}

void output_text(struct output *o, const char *key, struct span text)
{
	begin(o, key);
	buf_add_json(o->buf, text);
}

void output_text_or_null(struct output *o, const char *key, struct span text)
{
	if (text.len)
		output_text(o, key, text);
	else
		output_null(o, key);
}

void output_string(struct output *o, const char *key, const char *text)
{
	if (text)
		output_text(o, key, span_str(text));
	else
		output_null(o, key);
}

void output_format(struct output *o, const char *key, const char *format, ...)
{
	char text[OUTPUT_FORMAT_MAX + 1];
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (n < 0)
		n = 0;
	output_text(o, key,
	            span_of(text, MIN((size_t)n, (size_t)OUTPUT_FORMAT_MAX)));
}

void output_integer(struct output *o, const char *key, int64_t n)
{
	begin(o, key);
	buf_add_i64(o->buf, n);
}

/* The digits of a fraction, with zeros in front. */
static void put_fraction(struct buf *buf, uint64_t n, unsigned decimals)
{
	char digits[OUTPUT_DECIMALS_MAX + 1];

	digits[0] = '.';
	for (unsigned i = decimals; i > 0; i--, n /= 10)
		digits[i] = (char)('0' + n % 10);
	buf_add(buf, digits, decimals + 1);
}

static uint64_t power_of_10(unsigned decimals)
{
	uint64_t power = 1;

	assert(decimals <= OUTPUT_DECIMALS_MAX);
	while (decimals--)
		power *= 10;
	return power;
}

void output_fixed(struct output *o, const char *key, int64_t n,
                  unsigned decimals)
{
	uint64_t size = n < 0 ? -(uint64_t)n : (uint64_t)n;
	uint64_t power = power_of_10(decimals);

	begin(o, key);
	if (n < 0)
		buf_putc(o->buf, '-');
	buf_add_u64(o->buf, size / power);
	if (decimals)
		put_fraction(o->buf, size % power, decimals);
}

void output_number(struct output *o, const char *key, double value,
                   unsigned decimals)
{
	double scaled = value * (double)power_of_10(decimals);
	int64_t n;

	if (!(fabs(scaled) <= 9e18)) { /* nor NaN */
		output_null(o, key);
		return;
	}
	n = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
	while (decimals && n % 10 == 0) {
		n /= 10;
		decimals--;
	}
	output_fixed(o, key, n, decimals);
}

void output_flag(struct output *o, const char *key, bool value)
{
	output_raw(o, key, value ? SPAN("true") : SPAN("false"));
}

void output_null(struct output *o, const char *key)
{
	output_raw(o, key, SPAN("null"));
}

void output_time(struct output *o, const char *key, int64_t seconds)
{
	char text[WHEN_LEN + 1];

	output_string(o, key, when_write(seconds, text));
}
