#include "lib/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/utf8.h"

#define FIRST_CAP 256

static void fail(struct buf *b, int err)
{
	buf_free(b);
	b->err = err;
}

char *buf_reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : FIRST_CAP;

	if (b->err)
		return NULL;
	if (b->bytes && n <= b->cap - b->len)
		return b->bytes + b->len;
	if (n > b->max || b->len > b->max - n) {
		fail(b, -ENOBUFS);
		return NULL;
	}
	while (cap < b->len + n)
		cap *= 2;

	char *bytes = realloc(b->bytes, MIN(cap, b->max));
	if (!bytes) {
		fail(b, -ENOMEM);
		return NULL;
	}
	b->bytes = bytes;
	b->cap = MIN(cap, b->max);
	return b->bytes + b->len;
}

void buf_commit(struct buf *b, size_t n)
{
	assert(n <= b->cap - b->len);
	b->len += n;
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
	if (len == 0)
		return;

	char *to = buf_reserve(b, len);
	if (!to)
		return;
	memcpy(to, bytes, len);
	b->len += len;
}

void buf_add_u64(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	buf_add(b, digits + at, sizeof(digits) - at);
}

void buf_add_i64(struct buf *b, int64_t n)
{
	if (n < 0)
		buf_putc(b, '-');
	buf_add_u64(b, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list args, again;

	va_start(args, fmt);
	va_copy(again, args);

	int n = vsnprintf(NULL, 0, fmt, args);
	assert(n >= 0);
	/* One more for the NUL, which is not part of the content. */
	char *to = buf_reserve(b, (size_t)n + 1);
	if (to) {
		vsnprintf(to, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	va_end(args);
}

/* The escape of one ASCII byte, or NULL when it stands for itself. */
static const char *escape(unsigned char c, char hex[7])
{
	switch (c) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\n':
		return "\\n";
	case '\r':
		return "\\r";
	case '\t':
		return "\\t";
	default:
		break;
	}
	if (c >= 0x20 && c != 0x7f)
		return NULL;
	snprintf(hex, 7, "\\u%04x", c);
	return hex;
}

void buf_add_json(struct buf *b, struct span s)
{
	char hex[7];
	size_t plain = 0; /* start of the run that needs no change */
	size_t i = 0;

	buf_putc(b, '"');
	while (i < s.len) {
		unsigned char c = (unsigned char)s.at[i];
		const char *as = c < 0x80 ? escape(c, hex) : NULL;
		size_t n = c < 0x80 ? 1 : utf8_len(span_from(s, i));

		if (n == 0) {
			as = "\xef\xbf\xbd"; /* U+FFFD */
			n = 1;
		}
		if (as) {
			buf_add(b, s.at + plain, i - plain);
			buf_puts(b, as);
			plain = i + n;
		}
		i += n;
	}
	if (plain < s.len)
		buf_add(b, s.at + plain, s.len - plain);
	buf_putc(b, '"');
}

void buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len);
	b->len -= n;
	if (b->len)
		memmove(b->bytes, b->bytes + n, b->len);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->err = 0;
}

int buf_err(const struct buf *b)
{
	return b->err;
}

void buf_free(struct buf *b)
{
	free(b->bytes);
	b->bytes = NULL;
	b->len = 0;
	b->cap = 0;
	b->err = 0;
}
