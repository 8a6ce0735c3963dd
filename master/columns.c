#include "master/columns.h"

#include <stdarg.h>
#include <string.h>

#include "lib/utf8.h"

/* Characters, as far as a terminal shows each in one place. */
static size_t width(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.at[i] & 0xc0) != 0x80;
	return n;
}

static void add_clean(struct columns *c, struct span s)
{
	while (s.len) {
		size_t n = utf8_len(s);
		unsigned char first = (unsigned char)*s.at;
		/* C0, DEL, and C1 in its two bytes. */
		bool acts = n == 0 || first < 0x20 || first == 0x7f ||
		            (first == 0xc2 && n == 2 &&
		             (unsigned char)s.at[1] < 0xa0);

		if (acts)
			buf_putc(&c->text, '?');
		else
			buf_add(&c->text, s.at, n);
		s = span_from(s, n ? n : 1);
	}
}

static void add(struct columns *c, struct span cell)
{
	size_t before = c->text.len;

	assert(c->n > 0);
	add_clean(c, cell);
	if (buf_err(&c->text) == 0)
		c->width[c->at] =
			MAX(c->width[c->at],
		            width(span_from(buf_span(&c->text), before)));
	buf_putc(&c->text, '\0');
	c->at = (c->at + 1) % c->n;
}

void columns_init(struct columns *c, const char *headings)
{
	struct span rest = span_str(headings);
	struct span all = rest;

	*c = (struct columns){ .text = { .max = COLUMNS_CONTENT }, .n = 1 };
	for (size_t i = 0; i < all.len; i++)
		c->n += all.at[i] == '|';
	assert(c->n <= COLUMNS_MAX);
	for (unsigned i = 0; i < c->n; i++) {
		struct span one = span_first(rest, span_find(rest, '|'));

		rest = span_from(rest, one.len + 1);
		if (span_starts(one, SPAN(">"))) {
			c->right |= 1u << i;
			one = span_from(one, 1);
		}
		add(c, one);
	}
}

void columns_add(struct columns *c, const char *format, ...)
{
	char cell[COLUMNS_CELL];
	va_list args;

	va_start(args, format);
	vsnprintf(cell, sizeof(cell), format, args);
	va_end(args);
	add(c, span_str(cell));
}

static void pad(FILE *out, size_t n)
{
	while (n-- > 0)
		fputc(' ', out);
}

static void print_cell(const struct columns *c, unsigned i, struct span cell,
                       FILE *out)
{
	size_t gap = c->width[i] - width(cell);

	fputs("  ", out);
	if (c->right >> i & 1)
		pad(out, gap);
	fwrite(cell.at, 1, cell.len, out);
	if (!(c->right >> i & 1) && i + 1 < c->n)
		pad(out, gap);
	if (i + 1 == c->n)
		fputc('\n', out);
}

void columns_print(struct columns *c, FILE *out)
{
	struct span rest = buf_span(&c->text);

	for (unsigned i = 0; rest.len; i = (i + 1) % c->n) {
		struct span cell = span_first(rest, span_find(rest, '\0'));

		print_cell(c, i, cell, out);
		rest = span_from(rest, cell.len + 1);
	}
	buf_free(&c->text);
}
