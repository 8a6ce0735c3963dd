#include "oci/indent.h"

#include "lib/base.h"
#include "lib/text.h"

#define STEP 2 /* spaces for each level */

static void break_line(struct buf *out, size_t depth)
{
	static const char spaces[] = "                                ";
	size_t n = depth * STEP;

	buf_putc(out, '\n');
	for (; n > sizeof(spaces) - 1; n -= sizeof(spaces) - 1)
		buf_add(out, spaces, sizeof(spaces) - 1);
	buf_add(out, spaces, n);
}

/* Past the string whose opening quote is at p. */
static const char *skip_string(const char *p, const char *end)
{
	p++;
	while ((p = text_skip_checked(p, end)) < end && *p == '\\')
		p += MIN(end - p, 2);
	return p < end ? p + 1 : end;
}

/* Past a number or word; at least one byte. */
static const char *skip_word(const char *p, const char *end)
{
	do
		p++;
	while (p < end && !text_is_space(*p) && *p != ',' && *p != '}' &&
	       *p != ']');
	return p;
}

/* A container opens at p, or stands there empty. */
static const char *enter(struct buf *out, const char *p, const char *end,
                         size_t *depth)
{
	const char *next = text_skip_space(p + 1, end);

	buf_putc(out, *p);
	if (next < end && (*next == '}' || *next == ']')) {
		buf_putc(out, *next);
		return next + 1;
	}
	break_line(out, ++*depth);
	return next;
}

/* One byte that is no value; true when p was one. */
static bool punctuate(struct buf *out, char c, size_t *depth)
{
	switch (c) {
	case '}':
	case ']':
		*depth -= *depth > 0;
		break_line(out, *depth);
		buf_putc(out, c);
		return true;
	case ',':
		buf_putc(out, c);
		break_line(out, *depth);
		return true;
	case ':':
		buf_add(out, ": ", 2);
		return true;
	default:
		return false;
	}
}

void indent_write(struct buf *out, struct span json)
{
	const char *p = json.at, *end = json.at + json.len, *start;
	size_t depth = 0;

	while ((p = text_skip_space(p, end)) < end) {
		start = p;
		if (*p == '{' || *p == '[') {
			p = enter(out, p, end, &depth);
		} else if (punctuate(out, *p, &depth)) {
			p++;
		} else {
			p = *p == '"' ? skip_string(p, end) : skip_word(p, end);
			buf_add(out, start, (size_t)(p - start));
		}
	}
}
